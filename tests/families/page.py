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

## Classes

| model type | class | image processor | preparing | largest difference |
|---|---|---|---|---|
"""

TAIL = """\

## What a model must hold

Weights are read from `model.safetensors`, from the files that `model.safetensors.index.json`
names (whatever these `.safetensors` are called, never outside of the model's folder), else from
`pytorch_model.bin`, which is a pickle and is read by a loader that takes tensors alone.
`--weights=safetensors` refuses such a model by the names of its files, before one is read. Weights
that are missing matter if a prediction reads them: each gap is filled with two different values,
and the model is asked about five pictures. Batch counters, the heads of other tasks, mask tokens
and tables that a model computes itself may be missing; a weight that moves a score may not.
Weights that hold NaN or infinity are looked at in the same way: they are refused by name where a
prediction reads them. What is there instead of a model (a pointer of Git LFS, a saved web page,
another format, an adapter, a trainer's checkpoint, a cut file) is one sentence that names the file
and the next step, and so is a setting that cannot be.

`--model` takes `owner/name`, `owner/name@revision`, the address of the model's page, a folder
(`~/vit`) and the URL of a folder.

## timm

Models of timm (`timm/…` on the Hub) load with `pip install imgcls_beam[timm]`: timm, and the
torchvision that fits the torch that is installed (both from one index). Their `pretrained_cfg`
says how images are prepared, by timm's own rules, on uint8; as in the pipeline, `input_size` is
the size, and a `test_input_size` beside it is not used. `make timm` compares 17 architectures
with the pipeline, label by label, and PP-LCNet with its own class, which the pipeline cannot run.

## How a model is run

The plain way is the library's own. Pixels that stay channels-last, and linear layers packed for
the CPU, are used for a model only if five pictures (a plain sheet, a graphic, a photograph, a
dark one, noise) get the same logits within 1e-5, or logits that are as near those of float64,
picture by picture.

OpenVINO (the extra `[openvino]`) is held to the same pictures. It runs all of these classes but
`siglip2`, which shapes each image by a loop that a graph cannot hold, and some of the three of
`perceiver`: on some processors their logits come out further from those of float64 than torch's.
With `--engine=auto` torch runs those, and the run record says why. OpenVINO takes one image at a
time, so an image's scores do not depend on the others of its batch.
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
    return head + "".join(map(lambda each: _make_row(each, results), FAMILIES)) + TAIL


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
