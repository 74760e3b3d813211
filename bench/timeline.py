"""What the clocks of `profiling` noted, summed up for a person."""

import dataclasses
import json
import pathlib
from collections.abc import Iterable, Sequence

from bench.profiling import Span

_STAGES = ("read", "prepare", "forward", "row")
_OF_BEAM = ("wait for predict", "wait for prepare", "wait for read", "row")


@dataclasses.dataclass(frozen=True, slots=True)
class Timeline:
    """One run of the job.

    Attributes:
        started_at: when the process began, since 1970.
        ended_at: when the program was done.
        spans: calls of the stages.
    """

    started_at: float
    ended_at: float
    spans: tuple[Span, ...]

    @property
    def window(self) -> tuple[float, float]:
        """From the end of the first pass to the end of the last: when all stages work at once."""
        ends = [span.end_s for span in self._of("forward")]
        return min(ends), max(ends)

    def find_moments(self) -> list[tuple[str, float]]:
        """What happened when, in seconds since the process began."""
        moments = [
            ("imports are made, the job begins", self._first("job").start_s),
            ("the model begins to load", self._first("load").start_s),
            ("the model is loaded", self._first("load").end_s),
            ("listing begins", self._first("list").start_s),
            ("the first batch is read", self._first("read").end_s),
            ("the first image is prepared", self._first("prepare").end_s),
            ("first scores", self._first("forward").end_s),
            ("last scores", self.window[1]),
            ("the rows are published", max(span.end_s for span in self._of("publish"))),
            ("the program is done", self.ended_at),
        ]
        return [(name, at - self.started_at) for name, at in moments]

    def find_shares(self) -> list[tuple[str, float, float]]:
        """Stages in the window: threads that are in it on average, share in which any is."""
        start_s, end_s = self.window
        length_s = max(end_s - start_s, 1e-9)
        return [
            (stage, sum(map(_length, spans)) / length_s, _cover(spans) / length_s)
            for stage in _STAGES
            if (spans := self._within(stage))
        ]

    def find_beam_threads(self) -> list[tuple[str, float]]:
        """What the threads that hand images on do in the window, in shares of their time."""
        threads = {span.thread for span in self._of("row")}
        start_s, end_s = self.window
        length_s = max(end_s - start_s, 1e-9) * len(threads)
        shares = []
        for stage in _OF_BEAM:
            spans = [span for span in self._within(stage) if span.thread in threads]
            shares.append((stage, sum(map(_length, spans)) / length_s))
        named = sum(share for _, share in shares)
        listed = [("make rows" if stage == "row" else stage, share) for stage, share in shares]
        return [*listed, ("Beam and the rest", max(0.0, 1.0 - named))]

    def _of(self, stage: str) -> list[Span]:
        found = [span for span in self.spans if span.stage == stage]
        if not found:
            raise ValueError(f"no call of the stage {stage!r} was noted")
        return found

    def _first(self, stage: str) -> Span:
        return min(self._of(stage), key=lambda span: span.start_s)

    def _within(self, stage: str) -> list[Span]:
        start_s, end_s = self.window
        return [
            dataclasses.replace(
                span, start_s=max(span.start_s, start_s), end_s=min(span.end_s, end_s)
            )
            for span in self.spans
            if span.stage == stage and span.end_s > start_s and span.start_s < end_s
        ]


def read_timeline(file: pathlib.Path) -> Timeline:
    """Reads what `profiling` wrote."""
    found = json.loads(file.read_text(encoding="utf-8"))
    spans = tuple(Span(*each) for each in found["spans"])
    return Timeline(found["started_at"], found["ended_at"], spans)


def _length(span: Span) -> float:
    return span.end_s - span.start_s


def _cover(spans: Iterable[Span]) -> float:
    """Seconds in which at least one of them is under way."""
    total_s, reached_s = 0.0, float("-inf")
    for span in _by_start(spans):
        total_s += max(0.0, span.end_s - max(span.start_s, reached_s))
        reached_s = max(reached_s, span.end_s)
    return total_s


def _by_start(spans: Iterable[Span]) -> Sequence[Span]:
    return sorted(spans, key=lambda span: span.start_s)
