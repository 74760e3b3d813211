"""Which images a person should label: those of which the model, or two models, know the least.

Three reasons: another run or model gives another label (`disagreement`), the two best scores lie
close together (`margin`), the image failed (`error`). Of each, labels take turns, so that no label
fills the list; a failure's code stands for its label. An image, and its bytes, are asked for once;
what is left out takes no turn.
"""

import dataclasses
import enum
import math
from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from imgcls_beam.analysis.comparing import ChangedRows
from imgcls_beam.analysis.scored_rows import Integers, ScoredRows, find_certainties

_ERROR_SHARE, _DISAGREEMENT_SHARE = 0.1, 0.5
"""Of the budget, at the most; the rest goes to margins, and what these leave to more errors."""


_UNKNOWN = -1
"""In the place of a content's number: the image was not read."""


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


FAILED_COLUMNS = ("image_uri", "error", "status", "attributes")
"""Of a failed row: what `list_failed` and the search for known truths need."""


def choose_images(
    rows: ScoredRows,
    failed: Sequence[ReviewImage],
    budget: int,
    changed: ChangedRows | None = None,
    known: Collection[str] = (),
) -> list[ReviewImage]:
    """Chooses images, the reasons in turn: errors, disagreement, margins.

    Args:
        rows: good rows.
        failed: as `list_failed` gives them.
        budget: how many images at the most.
        changed: these rows as A, beside those of another run or model.
        known: URIs of images whose truth is known; they are left out.
    """
    errors = _take_turns(each for each in failed if each.image_uri not in known)
    most = math.ceil(budget * _ERROR_SHARE)
    chosen, more = errors[:most], errors[most:]
    unasked = _Unasked(rows, {*known, *(each.image_uri for each in chosen)})
    others: dict[int, str] = {}
    if changed is not None:
        codes = unasked.uris[changed.at].tolist()
        others = dict(zip(codes, changed.labels_b, strict=True))
        most = min(math.ceil(budget * _DISAGREEMENT_SHARE), budget - len(chosen))
        for at in unasked.choose(changed.at, most):
            other = others.get(int(unasked.uris[at]))
            chosen.append(_describe(rows, at, ReviewReason.DISAGREEMENT, other))
    certainties = find_certainties(rows.top_scores, rows.margins, rows.functions)
    closest = np.argsort(certainties, kind="stable")
    for at in unasked.choose(closest, budget - len(chosen)):
        other = others.get(int(unasked.uris[at]))
        chosen.append(_describe(rows, at, ReviewReason.MARGIN, other))
    asked = {each.image_uri for each in chosen}
    more = [each for each in more if each.image_uri not in asked]
    return [*chosen, *more[: budget - len(chosen)]]


def list_failed(batches: Iterable[pa.RecordBatch]) -> list[ReviewImage]:
    """The images that failed, each once; what a listing could not even name is left out.

    Args:
        batches: failed rows, with `FAILED_COLUMNS`.
    """
    failed: dict[str, ReviewImage] = {}
    for batch in batches:
        pairs = zip(batch["image_uri"].to_pylist(), batch["error"].to_pylist(), strict=True)
        for uri, error in pairs:
            if error["stage"] != "list":
                reason = f"{error['stage']}: {error['code']}"
                failed.setdefault(uri, ReviewImage(uri, ReviewReason.ERROR, error=reason))
    return list(failed.values())


class _Unasked:
    """The images of rows that nobody is asked about yet: each URI, and each content, once.

    Attributes:
        uris: a number for each row, the same for the same URI, N.
    """

    def __init__(self, rows: ScoredRows, taken: Collection[str]) -> None:
        """Begins with the URIs that are taken."""
        self._labels = rows.top_ids
        self.uris, self._contents = _number(rows.uris), _number(rows.contents)
        pairs = zip(rows.uris.to_pylist(), self.uris.tolist(), strict=True)
        self._taken = {code for uri, code in pairs if uri in taken}
        self._seen: set[int] = set()

    def choose(self, order: Integers, most: int) -> list[int]:
        """Up to so many of these rows: labels in turn, in a turn in this order; they are taken."""
        fresh = np.array(list(self._list_fresh(order)), np.int64)
        in_turn = np.argsort(_find_turns(self._labels[fresh]), kind="stable")
        chosen = fresh[in_turn[:most]]
        self._taken.update(self.uris[chosen].tolist())
        self._seen.update(self._contents[chosen].tolist())
        return list(map(int, chosen))

    def _list_fresh(self, order: Integers) -> Iterator[int]:
        """Those of these rows that are not taken; of equal images the first."""
        taken, seen = self._taken.copy(), self._seen - {_UNKNOWN}
        columns = (order.tolist(), self.uris[order].tolist(), self._contents[order].tolist())
        for at, uri, content in zip(*columns, strict=True):
            if uri not in taken and content not in seen:
                taken.add(uri)
                if content != _UNKNOWN:
                    seen.add(content)
                yield at


def _number(texts: pa.ChunkedArray) -> Integers:
    """A number for each text, the same for the same one; `_UNKNOWN` for null. N."""
    codes = texts.cast(pa.large_string()).combine_chunks().dictionary_encode().indices
    found: Integers = pc.fill_null(codes, _UNKNOWN).to_numpy(zero_copy_only=False)
    return found.astype(np.int64)


def _describe(
    rows: ScoredRows, at: int, reason: ReviewReason, other_label: str | None
) -> ReviewImage:
    start, end = rows.starts[at : at + 2].tolist()
    scores = rows.scores[start:end].tolist()
    margin = float(rows.margins[at])
    return ReviewImage(
        image_uri=rows.uris[at].as_py(),
        reason=reason,
        label=rows.labels[rows.label_ids[start]],
        score=scores[0],
        margin=None if np.isnan(margin) else margin,
        other_label=other_label,
    )


def _find_turns(ids: Integers) -> Integers:
    """The place of each row among those of its label, from 0 for the first. N."""
    order = np.argsort(ids, kind="stable")
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
