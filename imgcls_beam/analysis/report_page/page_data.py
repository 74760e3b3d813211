"""What the script of a page works on: the rows as one JSON object, small and already visible."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from imgcls_beam.analysis.report_page.page_facts import (
    PageImages,
    Pictures,
    ReportedImage,
    ShownScore,
)
from imgcls_beam.analysis.report_page.page_text import LABEL_CHARS, cut_middle, make_visible

_MESSAGE_CHARS = 300
_DIGITS = 5


def make_page_data(facts: PageImages) -> dict[str, Any]:
    """The rows in the order of their indices, each an array; labels by number; names of both sides.

    The names of the array's items are in `page.js`; the last of them is what `add_problems` adds.
    """
    uris = [make_visible(image.uri) for image in facts.images]
    prefix = _find_folder(uris)
    labels = _Numbers()
    rows = [
        _to_row(uri.removeprefix(prefix), image, labels)
        for uri, image in zip(uris, facts.images, strict=True)
    ]
    sides = None if facts.sides is None else list(map(make_visible, facts.sides))
    return {"prefix": prefix, "rows": rows, "labels": labels.texts, "sides": sides}


def add_problems(data: Mapping[str, Any], pictures: Pictures) -> dict[str, Any]:
    """The same, and in each row why it has no picture; empty where it has one, or needs none."""
    problems = [""] * len(data["rows"])
    for index, picture in pictures.items():
        problems[index] = picture.problem
    rows = [[*row, problem] for row, problem in zip(data["rows"], problems, strict=True)]
    return {**data, "rows": rows}


class _Numbers(dict[str, int]):
    """Labels, numbered as they come."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def __missing__(self, label: str) -> int:
        self[label] = len(self.texts)
        self.texts.append(cut_middle(make_visible(label), LABEL_CHARS))
        return self[label]


def _to_row(name: str, image: ReportedImage, labels: _Numbers) -> list[Any]:
    return [
        name,
        image.status,
        _to_pairs(image.labels, labels),
        None if image.margin is None else round(image.margin, _DIGITS),
        make_visible(image.problem),
        cut_middle(make_visible(image.message), _MESSAGE_CHARS),
        image.width_px,
        image.height_px,
        image.size_bytes,
        image.format,
        -1 if image.label_before is None else labels[image.label_before],
        -1 if image.truth is None else labels[image.truth],
        _to_pairs(image.labels_before, labels),
        int(image.has_probabilities),
        int(image.had_probabilities),
    ]


def _to_pairs(scores: Sequence[ShownScore], labels: _Numbers) -> list[list[float]]:
    return [[labels[label], round(score, _DIGITS)] for label, score in scores]


def _find_folder(uris: list[str]) -> str:
    """What all have in common, up to a slash."""
    if len(uris) < 2:
        return ""
    pairs = zip(min(uris), max(uris), strict=False)
    same = "".join(one for one, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    return same[: same.rfind("/") + 1]
