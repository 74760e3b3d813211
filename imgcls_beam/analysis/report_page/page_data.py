"""What the script of a page works on: the rows as one JSON object, small and already visible."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from imgcls_beam.analysis.report_page.page_facts import (
    PageImages,
    Picture,
    Pictures,
    ReportedImage,
    ShownScore,
)
from imgcls_beam.analysis.report_page.page_text import LABEL_CHARS, cut_middle, make_visible

_MESSAGE_CHARS = 300
_DIGITS = 5


def make_page_data(facts: PageImages, pictures: Pictures) -> dict[str, Any]:
    """The rows in the order of their indices, each an array; labels by number; names of both sides.

    The names of the array's items are in `page.js`.
    """
    uris = [make_visible(image.uri) for image in facts.images]
    prefix = _find_folder(uris)
    labels = _Numbers()
    rows = [
        [uri.removeprefix(prefix), *_to_cells(image, labels), _problem_of(pictures.get(index))]
        for index, (uri, image) in enumerate(zip(uris, facts.images, strict=True))
    ]
    sides = None if facts.sides is None else list(map(make_visible, facts.sides))
    return {"prefix": prefix, "rows": rows, "labels": labels.texts, "sides": sides}


class _Numbers(dict[str, int]):
    """Labels, numbered as they come."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def __missing__(self, label: str) -> int:
        self[label] = len(self.texts)
        self.texts.append(cut_middle(make_visible(label), LABEL_CHARS))
        return self[label]


def _to_cells(image: ReportedImage, labels: _Numbers) -> Iterator[Any]:
    yield image.status
    yield _to_pairs(image.labels, labels)
    yield None if image.margin is None else round(image.margin, _DIGITS)
    yield make_visible(image.problem)
    yield cut_middle(make_visible(image.message), _MESSAGE_CHARS)
    yield image.width_px
    yield image.height_px
    yield image.size_bytes
    yield image.format
    for label in (image.label_before, image.truth):
        yield -1 if label is None else labels[label]
    yield _to_pairs(image.labels_before, labels)


def _to_pairs(scores: Sequence[ShownScore], labels: _Numbers) -> list[list[float]]:
    return [[labels[label], round(score, _DIGITS)] for label, score in scores]


def _problem_of(picture: Picture | None) -> str:
    return "" if picture is None else picture.problem


def _find_folder(uris: list[str]) -> str:
    """What all have in common, up to a slash."""
    if len(uris) < 2:
        return ""
    pairs = zip(min(uris), max(uris), strict=False)
    same = "".join(one for one, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    return same[: same.rfind("/") + 1]
