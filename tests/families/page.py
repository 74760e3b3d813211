"""docs/models.md: a row for each class."""

import pathlib

from tests.families.comparing import Result
from tests.families.table import FAMILIES, Family

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "models.md"

_HEAD = """\
# Models

Every class that `transformers` 5.23 maps for image classification
(`AutoModelForImageClassification`): {types} model types, {classes} classes, of which {loadable}
load with the packages that this project declares. A small model of each, with random weights, was
asked about {images} images of many sizes, modes and formats, plain sheets and graphics among them,
here and by `transformers`' own pipeline, and every label was compared. The tests do it again and
allow 1e-5, or the model's own rounding: how far the pipeline's own scores of the image move where
each pixel moves by one rounding. This page is written by `make models`.

*Preparing*: `uint8` where the processor is geometry followed by a scale and shift, which the
model's device does for the whole batch; `processor` where the model's own processor is called for
each image, and all that it gives goes to the model. `dinov2_with_registers` and `hgnet_v2` have no
processor of their own: a checkpoint's file names it.

| model type | class | image processor | preparing | largest difference |
|---|---|---|---|---|
"""

_WAYS = {"geometry": "uint8", "processor": "processor"}


def make_page(results: dict[str, Result]) -> str:
    """The whole page.

    Args:
        results: by class, of every family that can be had.
    """
    images = len(next(iter(results.values())).comparisons)
    head = _HEAD.format(
        types=len({each.model_type for each in FAMILIES}),
        classes=len(FAMILIES),
        loadable=len(results),
        images=images,
    )
    return head + "".join(map(lambda each: _make_row(each, results), FAMILIES))


def read_rows(text: str) -> dict[str, list[str]]:
    """The cells of each row, by class."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return {row[1].strip("`"): row for row in rows}


def describe_way(result: Result) -> list[str]:
    """What of a row stays the same from run to run."""
    return [f"`{result.processor}`", _WAYS[result.way]]


def _make_row(family: Family, results: dict[str, Result]) -> str:
    names = [f"`{family.model_type}`", f"`{family.model_class}`"]
    if family.missing is not None:
        cells = [*names, "–", "–", f"not loaded: {family.missing}"]
    else:
        result = results[family.model_class]
        found = f"{result.difference:.0e}"
        if result.rounding_of:
            found += f", its own rounding {result.rounding:.0e}"
        cells = [*names, *describe_way(result), found]
    return f"| {' | '.join(cells)} |\n"
