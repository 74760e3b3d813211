"""`WriteParquet`: rows to Parquet files, all of them or none.

::

    begin ─▶ Session ─┬──────────────────────────────────────────┐
    outcomes ─▶ row (staged files, bundle by bundle) ─▶ collect ─▶ plan ─▶ merge ─▶ commit

Rows never cross a shuffle: only the names, sizes and counts of staged files do. The functions that
do the work are in `session`, `rows`, `staged_files`, `merging` and `commit`; this module wires
them. Making the graph reads and writes nothing.
"""

import dataclasses
import datetime
import functools
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import AsIter, AsSingleton
from apache_beam.utils.windowed_value import WindowedValue

from imgcls_beam.attributes import encode_attributes
from imgcls_beam.board import BOARD
from imgcls_beam.elements import Failure, Outcome, Prediction, Skipped
from imgcls_beam.errors import ConfigError, Stage
from imgcls_beam.library_versions import find_versions
from imgcls_beam.metrics import count_staged
from imgcls_beam.options import IfExists, OutputOptions
from imgcls_beam.passed_over import PassedOver
from imgcls_beam.rows import scoring_of, to_record_batch
from imgcls_beam.scoring import EngineChoice, SandboxState, Scoring
from imgcls_beam.sinks.abandoning import abandon_with
from imgcls_beam.sinks.bounded import in_one_window, require_bounded
from imgcls_beam.sinks.commit import commit_session
from imgcls_beam.sinks.merging import Merge, MergedFile, merge_all, plan_session
from imgcls_beam.sinks.record import RunRecord
from imgcls_beam.sinks.session import (
    Session,
    abandon_output,
    abandon_session,
    begin_session,
    find_missing_folders,
)
from imgcls_beam.sinks.staged_files import BundleWriter, StagedFiles, merge_staged
from imgcls_beam.upstream import count_taken, find_classifications, find_passed_over

BATCH_ROWS = 1024
BATCH_BYTES = 4 << 20
"""A batch has at most so many rows, and about so many bytes of text: Arrow's has a limit of 2 GiB,
and its memory is taken twice."""

MERGES = 256
"""A worker takes at most so many files to publish together: several at once are read back."""

_ROW_BYTES, _LABEL_BYTES = 256, 16  # what a row and a label take beside their text


@dataclasses.dataclass(eq=False)
class WriteParquet(beam.PTransform):
    """Writes outcomes as Parquet and commits the run; gives its one `RunRecord`.

    Outcomes may be of several models: the table then has a row for each image and model, and the
    record names all of them. The output is committed when the record is given. Where a run does not
    add up (`listed = ok + error + skipped`), or the pipeline fails, nothing is committed, and
    nothing is left behind.

    Attributes:
        output: the folder to write to, a path or any fsspec URL; or options with more to say; or a
            session that has begun already.
        listed: one element, the number of images that were listed; None counts what came into the
            transforms that classified, else the outcomes, and what was skipped.
        skipped: images that were listed and are not among the outcomes: `Skipped`; None for none.
        configuration: of the job, a JSON object in text; no secrets.
        hints: resource hints of what stages rows. Give those of the transform that the outcomes
            come from: stages of other hints are not fused, and rows would cross a shuffle.
        run_id: name of the run, where `output` is a folder; None makes one of the time.
        run_date: the day of its rows, where `output` is a folder; None for today, UTC.
        if_exists: see `OutputOptions`, where `output` is a folder.
        started_at: when the program was started, UTC.

    Raises:
        ConfigError: a configuration that is no JSON object, or a value that is not allowed.
    """

    output: str | OutputOptions | Session
    listed: beam.PCollection[int] | None = None
    _: dataclasses.KW_ONLY
    skipped: beam.PCollection[Skipped] | None = None
    configuration: str | None = None
    hints: Mapping[str, str] | None = None
    run_id: str | None = None
    run_date: datetime.date | None = None
    if_exists: IfExists = "fail"
    started_at: datetime.datetime = dataclasses.field(
        default_factory=lambda: datetime.datetime.now(datetime.UTC)
    )

    def __post_init__(self) -> None:
        """Checks now what would otherwise fail when everything has been computed."""
        super().__init__()
        self._configuration = "{}" if self.configuration is None else self.configuration
        _check_json_object("configuration", self._configuration)
        given: dict[str, Any] = {"run_id": self.run_id, "run_date": self.run_date}
        given = {name: value for name, value in given.items() if value is not None}
        if not isinstance(self.output, OutputOptions | Session):
            self.output = OutputOptions(self.output, if_exists=self.if_exists, **given)
        elif given or self.if_exists != "fail":
            name, value = next(iter(given.items()), ("if_exists", self.if_exists))
            raise ConfigError(name, value, "allowed beside a folder; here the output says it")

    def expand(self, outcomes: beam.PCollection[Outcome]) -> beam.PCollection[RunRecord]:
        """Begins, stages, merges, commits.

        Raises:
            ConfigError: the outcomes are unbounded.
        """
        hints = self.hints or {}
        outcomes = require_bounded(outcomes, hints)
        session = self._begin(outcomes)
        stage = beam.ParDo(_StageRows(), session).with_resource_hints(**hints)
        rows = outcomes | "Row" >> stage
        if self.skipped is not None:
            skipped = self.skipped | "RowSkipped" >> beam.ParDo(_StageRows(), session)
            rows = (rows, skipped) | "Staged" >> beam.Flatten()
        staged = rows | "Collect" >> beam.CombineGlobally(merge_staged)
        others = () if self.skipped is None else (self.skipped,)
        listed = self.listed
        if listed is None:
            listed = count_taken(outcomes, others, hints)
        passed_over = find_passed_over(outcomes)
        merged = (
            staged
            | "Plan" >> beam.FlatMap(plan_session, session)
            | "Spread" >> beam.Reshuffle()
            | "Gather" >> beam.BatchElements(MERGES, MERGES)
            | "Merge" >> beam.FlatMap(_merge, session)
        )
        return staged | "Commit" >> beam.Map(
            _commit,
            AsIter(merged),
            AsSingleton(listed, 0),
            session,
            self._configuration,
            PassedOver() if passed_over is None else AsSingleton(passed_over, PassedOver()),
        )

    def _begin(self, outcomes: beam.PCollection) -> "Session | AsSingleton":
        """The session: as it was given, or as the first step of the pipeline begins it."""
        pipeline, output = outcomes.pipeline, self.output
        if isinstance(output, Session):
            given = output
            abandon_with(pipeline, lambda: abandon_session(given), lambda: given.made)
            return output
        assert isinstance(output, OutputOptions)
        find_made = functools.partial(find_missing_folders, output)
        abandon_with(pipeline, functools.partial(abandon_output, output), find_made)
        scorings = [each.scoring for each in find_classifications(outcomes)]
        begin = beam.Map(begin_session, scorings, self.started_at)
        return AsSingleton(
            pipeline | "Output" >> beam.Create([output], reshuffle=False) | "Begin" >> begin
        )


class _StageRows(beam.DoFn):
    """Staged files of bounded size; no two bundles share one, and one without rows writes none.

    It gathers rows into batches itself: with `BatchElements` before it 50,000 rows took 1.5 s, and
    take 0.7 s here. The likely reason: Beam encodes a sample of all elements to count their bytes,
    and where the elements are batches, encoding means pickling a thousand outcomes.
    """

    def __init__(self) -> None:
        self._writer: BundleWriter | None = None
        self._waiting: dict[Scoring, list[Outcome | Skipped]] = defaultdict(list)
        self._rows = self._size_bytes = 0

    def setup(self) -> None:
        self._versions = json.dumps(find_versions(), sort_keys=True)

    def start_bundle(self) -> None:
        self.teardown()  # of a bundle that failed upstream, of which nobody told us

    def process(self, outcome: Outcome | Skipped, session: Session) -> None:
        if self._writer is None:
            self._writer = BundleWriter(session.folder, session.paths.staging, session.file_bytes)
        self._waiting[scoring_of(outcome)].append(outcome)
        self._rows += 1
        self._size_bytes += weigh(outcome)
        if self._rows >= BATCH_ROWS or self._size_bytes >= BATCH_BYTES:
            self._write()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        self._write()
        with BOARD.held(Stage.SINK):
            staged = self._writer.close() if self._writer else None
        self._writer = None
        if staged is not None:
            count_staged(staged.summary.rows, sum(file.size_bytes for file in staged.files))
            yield in_one_window(staged)

    def teardown(self) -> None:
        if self._writer is not None:
            self._writer.discard()
        self._writer = None
        self._forget()

    def _write(self) -> None:
        if self._writer is not None:
            with BOARD.held(Stage.SINK):
                for scoring, outcomes in self._waiting.items():
                    batch = to_record_batch(outcomes, self._versions)
                    engines, sandbox = list_engines(outcomes), list_sandbox(outcomes)
                    self._writer.write(batch, scoring, engines, sandbox)
        self._forget()

    def _forget(self) -> None:
        self._waiting.clear()
        self._rows = self._size_bytes = 0


def list_engines(outcomes: Iterable[Outcome | Skipped]) -> list[EngineChoice]:
    """What ran the model for these outcomes, each once."""
    ran = (each.execution.engine for each in outcomes if isinstance(each, Prediction))
    return list(dict.fromkeys(engine for engine in ran if engine is not None))


def list_sandbox(outcomes: Iterable[Outcome | Skipped]) -> list[SandboxState]:
    """Where these images were decoded, each once."""
    found = (each.sandbox for each in outcomes if not isinstance(each, Skipped))
    return list(dict.fromkeys(state for state in found if state is not None))


def weigh(outcome: Outcome | Skipped) -> int:
    """About how many bytes a row takes: that of its texts, and of what has a fixed size."""
    ref = outcome.ref
    size = _ROW_BYTES + len(ref.uri)
    if ref.attributes:
        size += len(encode_attributes(ref.attributes))
    if isinstance(ref.request_id, str):
        size += len(ref.request_id)
    if isinstance(outcome, Prediction):
        size += sum(_LABEL_BYTES + len(each.label) for each in outcome.labels)
    elif isinstance(outcome, Failure):
        size += len(outcome.message)
    return size


def _merge(merges: Sequence[Merge], session: Session) -> list[MergedFile]:
    with BOARD.held(Stage.SINK):
        return merge_all(merges, session.folder, session.paths.staging)


def _commit(
    staged: StagedFiles,
    merged: Iterable[MergedFile],
    listed: int,
    session: Session,
    configuration: str,
    passed_over: PassedOver,
) -> RunRecord:
    files = list(merged)
    with BOARD.held(Stage.SINK):
        return commit_session(files, staged, listed, session, configuration, passed_over)


def _check_json_object(option: str, text: str) -> None:
    try:
        parsed = json.loads(text)
    except ValueError as error:
        raise ConfigError(option, text, "allowed: a JSON object") from error
    if not isinstance(parsed, dict):
        raise ConfigError(option, text, "allowed: a JSON object")
