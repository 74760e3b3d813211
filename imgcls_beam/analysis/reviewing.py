"""Which images a person should label: those of which the model, or two models, know the least.

Three reasons: another run or model gives another label (`disagreement`), the two best scores lie
close together (`margin`), the image failed (`error`). Of each, labels take turns, so that no label
fills the list; a failure's code stands for its label. An image, and its bytes, are asked for once.
"""

import dataclasses
import enum
import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from imgcls_beam.analysis.comparing import RunComparison
from imgcls_beam.analysis.run_rows import RunRows
from imgcls_beam.analysis.scored_rows import Floats, Integers, ScoredRows

_ERROR_SHARE, _DISAGREEMENT_SHARE = 0.1, 0.5
"""Of the budget, at the most; the rest goes to margins, and what these leave to more errors."""


class ReviewReason(enum.StrEnum):
    """Why a person should look at an image."""

    ERROR = "error"
    DISAGREEMENT = "disagreement"
    MARGIN = "margin"


@dataclasses.dataclass(frozen=True, slots=True)
class ReviewImage:
    """An image to be labelled.

    Attributes:
        image_uri: of the image.
        reason: why.
        label: its best label; None where it failed.
        score: of that.
        margin: how far apart its two best scores are.
        other_label: what the other run says of it, where there is another.
        error: stage and code, where it failed.
    """

    image_uri: str
    reason: ReviewReason
    label: str | None = None
    score: float | None = None
    margin: float | None = None
    other_label: str | None = None
    error: str | None = None

    @property
    def kind(self) -> str:
        """What takes turns: its label, or what went wrong."""
        return str(self.label if self.error is None else self.error)


def choose_images(
    rows: ScoredRows,
    failed: Sequence[ReviewImage],
    budget: int,
    compared: RunComparison | None = None,
    known: Collection[str] = (),
) -> list[ReviewImage]:
    """Chooses images, the reasons in turn: errors, disagreement, margins.

    Args:
        rows: good rows.
        failed: as `list_failed` gives them.
        budget: how many images at the most.
        compared: these rows as A, beside those of another run or model.
        known: URIs of images whose truth is known; they are left out.
    """
    taken = {*known}
    errors = [each for each in _take_turns(failed) if each.image_uri not in taken]
    chosen = errors[: math.ceil(budget * _ERROR_SHARE)]
    seen: set[str] = set()
    if compared is not None:
        share = min(math.ceil(budget * _DISAGREEMENT_SHARE), budget - len(chosen))
        chosen += itertools.islice(_take_new(_list_flipped(rows, compared), taken, seen), share)
    left = budget - len(chosen)
    chosen += itertools.islice(_take_new(_list_close(rows, compared), taken, seen), left)
    more = errors[math.ceil(budget * _ERROR_SHARE) :]
    return [*chosen, *more[: budget - len(chosen)]]


def list_failed(run: RunRows, model_key: str) -> list[ReviewImage]:
    """The images that failed, each once; what a listing could not even name is left out."""
    failed: dict[str, ReviewImage] = {}
    for batch in run.read(("image_uri", "error", "status"), model_key, "error"):
        pairs = zip(batch["image_uri"].to_pylist(), batch["error"].to_pylist(), strict=True)
        for uri, error in pairs:
            if error["stage"] != "list":
                reason = f"{error['stage']}: {error['code']}"
                failed.setdefault(uri, ReviewImage(uri, ReviewReason.ERROR, error=reason))
    return list(failed.values())


def find_margins(rows: ScoredRows) -> Floats:
    """How sure each row is, N: its margin; of one class how far its score is from one half."""
    alone = np.abs(2.0 * rows.top_scores - 1.0)
    return np.where(np.isnan(rows.margins), alone, rows.margins)


def _list_flipped(
    rows: ScoredRows, compared: RunComparison
) -> Iterator[tuple[ReviewImage, str | None]]:
    """Images of which A and B say different things, and their contents.

    Labels take turns; in a turn, those of which both are sure come first.
    """
    flips = {flip.image_uri: flip for flip in compared.flips}
    places = pc.index_in(pa.array(list(flips), pa.string()), value_set=rows.uris)
    found = {
        uri: _describe(rows, at, ReviewReason.DISAGREEMENT, flips[uri].label_b)
        for uri, at in zip(flips, places.to_pylist(), strict=True)
    }
    for each in _take_turns([image for image, _ in found.values()]):
        yield found[each.image_uri]


def _list_close(
    rows: ScoredRows, compared: RunComparison | None
) -> Iterator[tuple[ReviewImage, str | None]]:
    """Every image and its content. Labels take turns; in a turn, the least margin comes first."""
    others = {} if compared is None else {flip.image_uri: flip.label_b for flip in compared.flips}
    margins = find_margins(rows)
    turns = _find_turns(rows.top_ids, margins)
    for at in np.lexsort((margins, turns)).tolist():
        yield _describe(rows, at, ReviewReason.MARGIN, others.get(rows.uris[at].as_py()))


def _describe(
    rows: ScoredRows, at: int, reason: ReviewReason, other_label: str | None
) -> tuple[ReviewImage, str | None]:
    start, end = rows.starts[at : at + 2].tolist()
    scores = rows.scores[start:end].tolist()
    margin = float(rows.margins[at])
    image = ReviewImage(
        image_uri=rows.uris[at].as_py(),
        reason=reason,
        label=rows.labels[rows.label_ids[start]],
        score=scores[0],
        margin=None if np.isnan(margin) else margin,
        other_label=other_label,
    )
    return image, rows.contents[at].as_py()


def _find_turns(ids: Integers, margins: Floats) -> Integers:
    """The place of each row among those of its label, from 0 for the least margin. N."""
    order = np.lexsort((margins, ids))
    sizes = np.bincount(ids)
    starts = np.cumsum(sizes) - sizes
    turns = np.empty(len(ids), np.int64)
    turns[order] = np.arange(len(ids)) - starts[ids[order]]
    return turns


def _take_turns(images: Iterable[ReviewImage]) -> list[ReviewImage]:
    """The first of each kind, then the second of each, and so on; in a turn the order stays."""
    turns: dict[str, int] = {}
    placed = []
    for image in images:
        turns[image.kind] = turns.get(image.kind, -1) + 1
        placed.append((turns[image.kind], image))
    return [image for _, image in sorted(placed, key=_get_turn)]


def _get_turn(placed: tuple[int, ReviewImage]) -> int:
    return placed[0]


def _take_new(
    images: Iterable[tuple[ReviewImage, str | None]], taken: set[str], seen: set[str]
) -> Iterator[ReviewImage]:
    """Those whose URI is not taken and whose bytes were not seen; adds them to both."""
    for image, content in images:
        if image.image_uri in taken or content in seen:
            continue
        taken.add(image.image_uri)
        seen.update(() if content is None else (content,))
        yield image
