"""`WriteJsonl`: the task's responses, a JSON line each, in one file or in none.

::

    outcomes ─▶ line (one staged file per bundle) ─▶ collect ─▶ publish

Lines never cross a shuffle: only the names, sizes and counts of staged files do. The functions that
do the work are in `lines`; this module wires them.
"""

import dataclasses
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import AsIter, AsSingleton
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from imgcls_beam.elements import Outcome
from imgcls_beam.sinks.lines import JsonlFile, LineWriter, locate_staging, publish_lines
from imgcls_beam.sinks.whole import take_whole


@dataclasses.dataclass(eq=False)
class WriteJsonl(beam.PTransform):
    """Writes outcomes as lines of one file; gives its one `JsonlFile`.

    The file is there, whole, when that is given. Where a run does not add up, or something stands
    in the file's place, the transform fails and nothing is published. Lines stand bundle after
    bundle, and within a bundle in the order in which the outcomes came.

    Attributes:
        url: the file, a path or any fsspec URL.
        listed: one element, the number of images that were listed.
        after: what must be there before the file is: a run that commits its rows gives its record.
        attempt: unique to this start of the program; names its staging folder.
        hints: resource hints of what stages lines, as `WriteParquet` has them.
    """

    url: str
    listed: beam.PCollection[int]
    after: beam.PCollection | None = None
    attempt: str = dataclasses.field(default_factory=lambda: uuid.uuid4().hex)
    hints: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Beam's own."""
        super().__init__()

    def expand(self, outcomes: beam.PCollection[Outcome]) -> beam.PCollection[JsonlFile]:
        """Stages, merges, publishes.

        Raises:
            ConfigError: the outcomes are unbounded.
        """
        outcomes = take_whole(outcomes, self.hints)
        awaited = [] if self.after is None else [AsIter(self.after)]
        publish = beam.Map(
            _publish, self.url, self.attempt, AsSingleton(self.listed), *awaited
        ).with_output_types(JsonlFile)
        stage = beam.ParDo(_StageLines(locate_staging(self.url, self.attempt)))
        return (
            outcomes
            | "Line" >> stage.with_resource_hints(**self.hints)
            | "Collect" >> beam.combiners.ToList()
            | "Publish" >> publish
        )


def _publish(
    fragments: Sequence[JsonlFile],
    url: str,
    attempt: str,
    listed: int,
    *_: Any,  # noqa: ANN401  what was waited for
) -> JsonlFile:
    return publish_lines(fragments, listed, url, attempt)


class _StageLines(beam.DoFn):
    """One staged file per bundle; a bundle without outcomes writes none."""

    def __init__(self, staging: str) -> None:
        self._staging = staging
        self._writer: LineWriter | None = None

    def start_bundle(self) -> None:
        self.teardown()  # of a bundle that failed upstream, of which nobody told us
        self._writer = LineWriter(self._staging)

    def process(self, outcome: Outcome) -> None:
        if self._writer is not None:
            self._writer.write(outcome)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        fragment = self._writer.close() if self._writer else None
        self._writer = None
        if fragment is not None:
            window = GlobalWindow()
            yield WindowedValue(fragment, window.max_timestamp(), [window])

    def teardown(self) -> None:
        if self._writer is not None:
            self._writer.discard()
        self._writer = None
