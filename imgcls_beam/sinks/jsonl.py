"""`WriteJsonl`: the task's responses, a JSON line each, in one file or in none.

::

    begin ─▶ JsonlSession ─┐
    outcomes ─▶ line (one staged file per bundle) ─▶ commit

Lines never cross a shuffle: only the names, sizes and counts of staged files do. The functions that
do the work are in `jsonl_files`; this module wires them. Making the graph reads and writes nothing.
"""

import dataclasses
import functools
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import AsIter, AsSingleton
from apache_beam.utils.windowed_value import WindowedValue

from imgcls_beam.board import BOARD
from imgcls_beam.elements import Outcome
from imgcls_beam.errors import Stage
from imgcls_beam.sinks.abandoning import abandon_with
from imgcls_beam.sinks.bounded import in_one_window, require_bounded
from imgcls_beam.sinks.jsonl_files import (
    JsonlFile,
    JsonlSession,
    LineWriter,
    abandon_jsonl,
    begin_jsonl,
    commit_jsonl,
)
from imgcls_beam.sinks.staged_lines import StagedLines
from imgcls_beam.upstream import count_taken


@dataclasses.dataclass(eq=False)
class WriteJsonl(beam.PTransform):
    """Writes outcomes as lines of one file; gives its one `JsonlFile`.

    The file is there, whole, when that is given. Where a run does not add up, another file is in
    its place, or the pipeline fails, nothing is published and nothing is left behind. Answers to
    requests are in the order of their lines, after all others, which lie bundle after bundle.

    Attributes:
        url: the file, a path or any fsspec URL; or a session that has begun already.
        listed: one element, the number of images that were listed; None counts what came into the
            transforms that classified, else the outcomes.
        after: what must be there before the file is: a run that commits its rows gives its record.
        hints: resource hints of what stages lines, as `WriteParquet` has them.
    """

    url: str | JsonlSession
    listed: beam.PCollection[int] | None = None
    after: beam.PCollection | None = None
    hints: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        """Beam's own."""
        super().__init__()

    def expand(self, outcomes: beam.PCollection[Outcome]) -> beam.PCollection[JsonlFile]:
        """Begins, stages, merges, commits.

        Raises:
            ConfigError: the outcomes are unbounded.
        """
        hints = self.hints or {}
        outcomes = require_bounded(outcomes, hints)
        session = self._begin(outcomes.pipeline)
        listed = self.listed
        if listed is None:
            listed = count_taken(outcomes, hints=hints)
        awaited = [] if self.after is None else [AsIter(self.after)]
        stage = beam.ParDo(_StageLines(), session).with_resource_hints(**hints)
        staged = outcomes | "Line" >> stage
        commit = beam.Map(_commit, AsIter(staged), AsSingleton(listed, 0), session, *awaited)
        once = outcomes.pipeline | "Once" >> beam.Impulse()
        return once | "Commit" >> commit.with_output_types(JsonlFile)

    def _begin(self, pipeline: beam.Pipeline) -> "JsonlSession | AsSingleton":
        """The session: as it was given, or as the first step of the pipeline begins it."""
        if isinstance(self.url, JsonlSession):
            given = self.url
            abandon_with(pipeline, lambda: abandon_jsonl(given), lambda: given.made)
            return given
        session_id = uuid.uuid4().hex
        find_session = functools.partial(JsonlSession.of_url, self.url, session_id)
        abandon_with(
            pipeline,
            lambda: abandon_jsonl(find_session()),
            lambda: find_session().find_missing_folders(),
        )
        place = pipeline | "Url" >> beam.Create([self.url], reshuffle=False)
        return AsSingleton(place | "Begin" >> beam.Map(begin_jsonl, session_id))


def _commit(
    _impulse: bytes,
    staged: Iterable[StagedLines],
    listed: int,
    session: JsonlSession,
    *_awaited: Any,  # noqa: ANN401
) -> JsonlFile:
    files = list(staged)
    with BOARD.held(Stage.SINK):
        return commit_jsonl(files, listed, session)


class _StageLines(beam.DoFn):
    """One staged file per bundle; a bundle without outcomes writes none."""

    def __init__(self) -> None:
        self._writer: LineWriter | None = None

    def start_bundle(self) -> None:
        self.teardown()  # of a bundle that failed upstream, of which nobody told us

    def process(self, outcome: Outcome, session: JsonlSession) -> None:
        if self._writer is None:
            self._writer = LineWriter(session)
        self._writer.write(outcome)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        with BOARD.held(Stage.SINK):
            staged = self._writer.close() if self._writer else None
        self._writer = None
        if staged is not None:
            yield in_one_window(staged)

    def teardown(self) -> None:
        if self._writer is not None:
            self._writer.discard()
        self._writer = None
