"""`WriteParquet`: rows to Parquet files, all of them or none.

::

    outcomes ─▶ row (staged files, bundle by bundle) ─▶ collect ─▶ plan ─▶ merge ─▶ publish

Rows never cross a shuffle: only the names, sizes and counts of staged files do. The functions that
do the work are in `rows`, `fragments`, `parts` and `publishing`; this module wires them.
"""

import dataclasses
import datetime
import json
from collections.abc import Iterator, Mapping, Sequence

import apache_beam as beam
from apache_beam.pvalue import AsSingleton
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from imgcls_beam.elements import Outcome, Prediction, Skipped
from imgcls_beam.errors import ConfigError
from imgcls_beam.metrics import count_staged
from imgcls_beam.options import OutputOptions
from imgcls_beam.rows import RunContext, to_record_batch
from imgcls_beam.sinks.fragments import Fragments, FragmentWriter, merge_fragments
from imgcls_beam.sinks.layout import Layout
from imgcls_beam.sinks.parts import Part, find_failed_files, merge_part, plan_parts
from imgcls_beam.sinks.publishing import Publication, find_base, publish
from imgcls_beam.sinks.record import RunRecord
from imgcls_beam.sinks.succession import ERRORS, plan_succession
from imgcls_beam.sinks.whole import take_whole

BATCH_ROWS = 1024
_LABELS_PER_WEIGHT = 16


@dataclasses.dataclass(eq=False)
class WriteParquet(beam.PTransform):
    """Writes outcomes as Parquet and commits the run; gives its one `RunRecord`.

    The output is committed when the record is given. Where a run does not add up
    (`listed = ok + error + skipped`), the transform fails and nothing is committed.

    Attributes:
        run: what all rows share.
        output: where to write.
        listed: one element, the number of images that were listed.
        configuration: of the job, a JSON object in text; no secrets.
        started_at: when the program was started, UTC.
        skipped: images that were listed and are not among the outcomes: `Skipped`; None for none.
        hints: resource hints of what stages rows. Give those of the transform that the outcomes
            come from: stages of other hints are not fused, and rows would cross a shuffle.

    Raises:
        ConfigError: a configuration that is no JSON object.
    """

    run: RunContext
    output: OutputOptions
    listed: beam.PCollection[int]
    configuration: str = "{}"
    started_at: datetime.datetime = dataclasses.field(
        default_factory=lambda: datetime.datetime.now(datetime.UTC)
    )
    skipped: beam.PCollection[Skipped] | None = None
    hints: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks now what would otherwise fail when everything has been computed."""
        super().__init__()
        _check_json_object("configuration", self.configuration)
        _check_json_object("library_versions", self.run.library_versions)

    def expand(self, outcomes: beam.PCollection[Outcome]) -> beam.PCollection[RunRecord]:
        """Stages, merges, publishes.

        Raises:
            ConfigError: the outcomes are unbounded.
        """
        outcomes = take_whole(outcomes, self.hints)
        layout = Layout.of_run(self.output, self.run)
        succession = plan_succession(self.output, self.run)
        publication = Publication(self.run, layout, self.configuration, self.started_at, succession)
        file_bytes = self.output.file_bytes
        stage = beam.ParDo(_StageRows(self.run, layout.staging, file_bytes))
        staged = [outcomes | "Row" >> stage.with_resource_hints(**self.hints)]
        if self.skipped is not None:
            stage_skipped = beam.ParDo(_StageRows(self.run, layout.staging, file_bytes))
            staged.append(self.skipped | "RowSkipped" >> stage_skipped)
        fragments = (
            staged | "Staged" >> beam.Flatten() | "Collect" >> beam.CombineGlobally(merge_fragments)
        )
        return (
            fragments
            | "Plan" >> beam.FlatMap(_plan, publication, file_bytes)
            | "Spread" >> beam.Reshuffle()
            | "Merge" >> beam.Map(merge_part, layout.staging)
            | "CollectParts" >> beam.combiners.ToList()
            | "Publish"
            >> beam.Map(publish, AsSingleton(fragments), AsSingleton(self.listed), publication)
        )


class _StageRows(beam.DoFn):
    """Staged files of bounded size; no two bundles share one, and one without rows writes none.

    It gathers rows into batches itself: with `BatchElements` before it 50,000 rows took 1.5 s, and
    take 0.7 s here. The likely reason: Beam encodes a sample of all elements to count their bytes,
    and where the elements are batches, encoding means pickling a thousand outcomes.
    """

    def __init__(self, run: RunContext, staging: str, file_bytes: int) -> None:
        self._run = run
        self._file_bytes = file_bytes
        self._staging = staging
        self._writer: FragmentWriter | None = None
        self._outcomes: list[Outcome | Skipped] = []
        self._weight = 0

    def start_bundle(self) -> None:
        self.teardown()  # of a bundle that failed upstream, of which nobody told us
        self._writer = FragmentWriter(self._staging, self._file_bytes)

    def process(self, outcome: Outcome | Skipped) -> None:
        self._outcomes.append(outcome)
        self._weight += _weigh(outcome)
        if self._weight >= BATCH_ROWS:
            self._write()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        self._write()
        fragments = self._writer.close() if self._writer else None
        self._writer = None
        if fragments is not None:
            count_staged(fragments.summary.rows, sum(file.size_bytes for file in fragments.files))
            window = GlobalWindow()
            yield WindowedValue(fragments, window.max_timestamp(), [window])

    def teardown(self) -> None:
        if self._writer is not None:
            self._writer.discard()
        self._writer = None
        self._outcomes, self._weight = [], 0

    def _write(self) -> None:
        if self._outcomes and self._writer:
            self._writer.write(to_record_batch(self._outcomes, self._run.library_versions))
        self._outcomes, self._weight = [], 0


def _weigh(outcome: Outcome | Skipped) -> int:
    # Rows that carry every label of a large model are batched in fewer, for the memory's sake.
    labels = len(outcome.labels) if isinstance(outcome, Prediction) else 0
    return 1 + labels // _LABELS_PER_WEIGHT


def _plan(fragments: Fragments, publication: Publication, file_bytes: int) -> Sequence[Part]:
    if publication.succession.how != ERRORS or not fragments.files:
        return plan_parts(fragments.files, file_bytes)
    base = find_base(publication)
    failed = find_failed_files(publication.layout.output, base) if base else []
    return plan_parts((*fragments.files, *failed), file_bytes, retries=fragments.files)


def _check_json_object(option: str, text: str) -> None:
    try:
        parsed = json.loads(text)
    except ValueError as error:
        raise ConfigError(option, text, "allowed: a JSON object") from error
    if not isinstance(parsed, dict):
        raise ConfigError(option, text, "allowed: a JSON object")
