"""Two runs, or two models, over the same images: where they agree, and where to look.

An image is in both where it has a good row in both, by its URI; of several references to one image
the first counts. A shift is B's score minus A's, over images whose rows both have the label.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from imgcls_beam.analysis.class_scores import divide
from imgcls_beam.analysis.scored_rows import Integers, ScoredRows, take_rows
from imgcls_beam.errors import ConfigError


@dataclasses.dataclass(frozen=True, slots=True)
class ChangedImage:
    """An image with another best label.

    Attributes:
        image_uri: of the image.
        label_a: its best label in A.
        score_a: the score of that.
        label_b: its best label in B.
        score_b: the score of that.
        same_content: whether both saw the same bytes; None where that is not known.
    """

    image_uri: str
    label_a: str
    score_a: float
    label_b: str
    score_b: float
    same_content: bool | None


@dataclasses.dataclass(frozen=True, slots=True)
class ChangedPair:
    """Images of one best label in A and another in B.

    Attributes:
        label_a: best label in A.
        label_b: best label in B.
        images: how many there are.
    """

    label_a: str
    label_b: str
    images: int


@dataclasses.dataclass(frozen=True, slots=True)
class LabelShift:
    """What happens to one label from A to B.

    Attributes:
        label: its name.
        images_a: images of which it is the best label in A.
        images_b: the same in B.
        scored: images whose rows both have it.
        shift: mean of B's score minus A's over them; None where there are none.
        distance: mean of how far apart the two are; None where there are none.
    """

    label: str
    images_a: int
    images_b: int
    scored: int
    shift: float | None
    distance: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class RunComparison:
    """A beside B.

    Attributes:
        images: in both; all that follows is of them.
        only_a: images with a good row in A alone.
        only_b: images with a good row in B alone.
        agreement: the share of images with the same best label, 0 to 1.
        kappa: Cohen's: the agreement beyond that of chance, 1 at the most; None where chance alone
            would always agree.
        flipped: how many have another best label.
        other_content: how many were other bytes in B than in A.
        same_function: whether the same function made the scores of both.
        pairs: of labels, those of the most images first.
        shifts: each label that stands in A or B, the largest change in images first.
        flips: those to look at first: of which both are the most sure.
    """

    images: int
    only_a: int
    only_b: int
    agreement: float
    kappa: float | None
    flipped: int
    other_content: int
    same_function: bool
    pairs: tuple[ChangedPair, ...]
    shifts: tuple[LabelShift, ...]
    flips: tuple[ChangedImage, ...]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ChangedRows:
    """The F rows of A whose image has another best label in B.

    Attributes:
        at: indices in A; those of which both are the most sure come first, F.
        labels_b: the best label in B, F.
    """

    at: Integers
    labels_b: Sequence[str]


def find_changed(a: ScoredRows, b: ScoredRows) -> ChangedRows:
    """All rows of A whose image has another best label in B.

    Raises:
        ConfigError: no image is in both.
    """
    own, a, b = _put_together(a, b)
    flipped = _find_flipped(a, b)
    return ChangedRows(own[flipped], [b.labels[each] for each in b.top_ids[flipped].tolist()])


def compare_rows(a: ScoredRows, b: ScoredRows, shown_flips: int = 1000) -> RunComparison:
    """Compares the rows of two runs or models.

    Args:
        a: rows of one.
        b: rows of the other.
        shown_flips: how many flips are listed at the most.

    Raises:
        ConfigError: no image is in both.
    """
    unique_a, unique_b = len(pc.unique(a.uris)), len(pc.unique(b.uris))
    own, a, b = _put_together(a, b)
    labels = b.labels
    tops_a, tops_b = a.top_ids, b.top_ids
    flipped = _find_flipped(a, b)
    contents = pc.equal(a.contents, b.contents)
    return RunComparison(
        images=len(own),
        only_a=unique_a - len(own),
        only_b=unique_b - len(own),
        agreement=1.0 - len(flipped) / len(own),
        kappa=find_kappa(tops_a, tops_b, len(labels)),
        flipped=len(flipped),
        other_content=pc.sum(pc.invert(contents), min_count=0).as_py(),
        same_function=bool((a.functions == b.functions).all()),
        pairs=tuple(_count_pairs(labels, tops_a[flipped], tops_b[flipped])),
        shifts=tuple(_find_shifts(labels, a, b)),
        flips=tuple(_list_flips(labels, a, b, flipped[:shown_flips], contents)),
    )


def find_kappa(tops_a: Integers, tops_b: Integers, classes: int) -> float | None:
    """Cohen's kappa of two lists of label ids; None where it is 0 divided by 0."""
    images = len(tops_a)
    shares = (np.bincount(each, minlength=classes) / images for each in (tops_a, tops_b))
    share_a, share_b = shares
    by_chance = float(share_a @ share_b)
    if by_chance >= 1.0:
        return None
    return float(((tops_a == tops_b).mean() - by_chance) / (1.0 - by_chance))


def _join(uris_a: pa.ChunkedArray, uris_b: pa.ChunkedArray) -> tuple[Integers, Integers]:
    """The rows of the images that stand in both, each image once."""
    texts = [each.cast(pa.large_string()).combine_chunks() for each in (uris_a, uris_b)]
    codes = texts[0].dictionary_encode().indices.to_numpy(zero_copy_only=False)
    own = np.sort(np.unique(codes, return_index=True)[1]) if len(codes) else np.zeros(0, np.int64)
    found = pc.index_in(texts[0].take(own), value_set=texts[1])
    is_in_both = found.is_valid().to_numpy(zero_copy_only=False)
    other = found.drop_null().to_numpy(zero_copy_only=False).astype(np.int64)
    return own[is_in_both], other


def _put_together(a: ScoredRows, b: ScoredRows) -> tuple[Integers, ScoredRows, ScoredRows]:
    """Indices in A of the images that are in both; A's rows of them; B's, with labels of both."""
    own, other = _join(a.uris, b.uris)
    if not len(own):
        raise ConfigError("with", None, "no image has a good row in both, by its URI")
    labels, ids_of_b = _name_together(a.labels, b.labels)
    a, b = take_rows(a, own), take_rows(b, other)
    return own, a, dataclasses.replace(b, labels=labels, label_ids=ids_of_b[b.label_ids])


def _find_flipped(a: ScoredRows, b: ScoredRows) -> Integers:
    """Rows with another best label, those of which both are the most sure first."""
    flipped = np.flatnonzero(a.top_ids != b.top_ids)
    sure = np.minimum(a.top_scores[flipped], b.top_scores[flipped])
    return flipped[np.argsort(-sure, kind="stable")]


def _name_together(
    labels_a: Sequence[str], labels_b: Sequence[str]
) -> tuple[tuple[str, ...], Integers]:
    """The labels of both, those of A first; and for each id of B the id among them."""
    known = {label: index for index, label in enumerate(labels_a)}
    ids = [known.setdefault(label, len(known)) for label in labels_b]
    return tuple(known), np.array(ids, np.int64)


def _count_pairs(labels: Sequence[str], tops_a: Integers, tops_b: Integers) -> list[ChangedPair]:
    codes, counts = np.unique(tops_a * len(labels) + tops_b, return_counts=True)
    pairs = [
        ChangedPair(labels[code // len(labels)], labels[code % len(labels)], count)
        for code, count in zip(codes.tolist(), counts.tolist(), strict=True)
    ]
    return sorted(pairs, key=lambda pair: (-pair.images, pair.label_a, pair.label_b))


def _find_shifts(labels: Sequence[str], a: ScoredRows, b: ScoredRows) -> list[LabelShift]:
    size = len(labels)
    keys_a, keys_b = (each.row_ids * size + each.label_ids for each in (a, b))
    found, at_a, at_b = np.intersect1d(keys_a, keys_b, return_indices=True)
    ids, moved = found % size, b.scores[at_b] - a.scores[at_a]
    scored = np.bincount(ids, minlength=size)
    shift = divide(np.bincount(ids, moved, size), scored)
    distance = divide(np.bincount(ids, np.abs(moved), size), scored)
    images = [np.bincount(each.top_ids, minlength=size) for each in (a, b)]
    shifts = [
        LabelShift(
            *(labels[at], int(images[0][at]), int(images[1][at]), int(scored[at])),
            *(map(float, (shift[at], distance[at])) if scored[at] else (None, None)),
        )
        for at in np.unique(np.concatenate([a.label_ids, b.label_ids])).tolist()
    ]
    return sorted(shifts, key=_by_change)


def _by_change(shift: LabelShift) -> tuple[int, float, str]:
    change = abs(shift.images_b - shift.images_a)
    return -change, -(shift.distance or 0.0), shift.label


def _list_flips(
    labels: Sequence[str],
    a: ScoredRows,
    b: ScoredRows,
    at: Integers,
    contents: pa.ChunkedArray,
) -> list[ChangedImage]:
    columns = (
        a.uris.take(at).to_pylist(),
        [labels[each] for each in a.top_ids[at].tolist()],
        a.top_scores[at].tolist(),
        [labels[each] for each in b.top_ids[at].tolist()],
        b.top_scores[at].tolist(),
        contents.take(at).to_pylist(),
    )
    return [ChangedImage(*values) for values in zip(*columns, strict=True)]
