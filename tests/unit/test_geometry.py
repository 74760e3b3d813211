"""Our geometry against the processors' own, grey level by grey level."""

import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from imgcls_beam.elements import Pixels
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.preparing import Geometry, Preparer

ROOT = pathlib.Path(__file__).parents[2]
BICUBIC = Image.Resampling.BICUBIC
EXTREMES = [(1, 1), (1, 7), (7, 1), (2, 2), (2000, 1), (1, 2000), (3, 900), (224, 224), (40, 4101)]

VIT = {"size": {"height": 224, "width": 224}}
DEIT = {"size": {"height": 256, "width": 256}, "crop_size": {"height": 224, "width": 224}}
CONVNEXT = {"size": {"shortest_edge": 224}}
# Small, so that many sizes are tried in little time; every difference in the table is one that
# a published processor has.
SMALL: dict[str, tuple[type, dict[str, Any]]] = {
    "warp": (ViTImageProcessorPil, {"size": {"height": 30, "width": 47}}),
    "warp and crop": (DeiTImageProcessorPil, {"size": (36, 36), "crop_size": (32, 32)}),
    "odd differences": (DeiTImageProcessorPil, {"size": (37, 40), "crop_size": (30, 31)}),
    "crop is larger": (DeiTImageProcessorPil, {"size": (20, 21), "crop_size": (29, 33)}),
    "crop is wider": (DeiTImageProcessorPil, {"size": (40, 21), "crop_size": (31, 32)}),
    "shorter edge": (
        DeiTImageProcessorPil,
        {"size": {"shortest_edge": 36}, "crop_size": (32, 32)},
    ),
    "shorter edge below crop": (
        DeiTImageProcessorPil,
        {"size": {"shortest_edge": 20}, "crop_size": (33, 32)},
    ),
    "crop_pct": (ConvNextImageProcessorPil, {"size": {"shortest_edge": 32}}),
    "odd crop_pct": (
        ConvNextImageProcessorPil,
        {"size": {"shortest_edge": 31}, "crop_pct": 0.9},
    ),
    "warp of ConvNeXT": (ConvNextImageProcessorPil, {"size": {"shortest_edge": 384}}),
}


def make_processor(kind: type, **config: Any) -> Any:
    """A processor; a pair as size is height and width."""
    pairs = {
        name: {"height": value[0], "width": value[1]} if isinstance(value, tuple) else value
        for name, value in config.items()
    }
    return kind(**{"do_rescale": False, "do_normalize": False, **pairs})


def draw(rng: np.random.Generator, width_px: int, height_px: int) -> Image.Image:
    return Image.fromarray(rng.integers(0, 256, (height_px, width_px, 3), dtype=np.uint8))


def apply_reference(processor: Any, image: Image.Image) -> Pixels:
    outputs = processor(images=image, return_tensors="np")
    return np.moveaxis(np.asarray(outputs["pixel_values"][0]), 0, -1)


def assert_equal(processor: Any, image: Image.Image) -> None:
    preparer = Preparer(processor)
    assert preparer.geometry is not None
    ours = preparer.prepare(image)
    assert ours.dtype == np.uint8
    np.testing.assert_array_equal(ours, apply_reference(processor, image), str(image.size))


@pytest.mark.parametrize("name", SMALL)
def test_pixels_equal_the_processors_for_sizes_at_random(name: str) -> None:
    kind, config = SMALL[name]
    rng = np.random.default_rng(len(name))
    preparer = Preparer(processor := make_processor(kind, **config))
    assert preparer.geometry is not None
    for width_px, height_px in [*rng.integers(1, 150, (30, 2)).tolist(), (400, 3), (3, 400)]:
        image = draw(rng, width_px, height_px)
        expected = apply_reference(processor, image)
        np.testing.assert_array_equal(preparer.prepare(image), expected, str(image.size))


@pytest.mark.parametrize("resample", range(6))
@pytest.mark.parametrize("size", [(61, 40), (17, 90), (3, 350), (1, 1)])
def test_pixels_equal_with_every_filter(resample: int, size: tuple[int, int]) -> None:
    image = draw(np.random.default_rng(resample), *size)
    for name in ("warp", "odd differences", "shorter edge", "odd crop_pct"):
        kind, config = SMALL[name]
        assert_equal(make_processor(kind, resample=resample, **config), image)


@pytest.mark.parametrize("size", EXTREMES)
@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (ViTImageProcessorPil, VIT),
        (DeiTImageProcessorPil, DEIT),
        (ConvNextImageProcessorPil, CONVNEXT),
        (ConvNextImageProcessorPil, {"size": {"shortest_edge": 384}}),
    ],
)
def test_pixels_equal_at_full_size_and_extreme_aspect(
    kind: type, config: dict[str, Any], size: tuple[int, int]
) -> None:
    assert_equal(make_processor(kind, **config), draw(np.random.default_rng(1), *size))


@pytest.mark.parametrize("resample", range(6))
def test_a_tall_image_is_resized_in_the_order_that_pillow_takes_for_it(resample: int) -> None:
    # Above 100 : 1 Pillow shrinks the height first, and rounds between the two.
    image = draw(np.random.default_rng(resample), 40, 4100)
    kind, config = SMALL["shorter edge"]
    assert_equal(make_processor(kind, resample=resample, **config), image)


@pytest.mark.parametrize("size", [(10_000, 1), (1, 65_500), (1 << 26, 1)])
def test_an_image_that_would_be_resized_to_gigabytes_is_refused(size: tuple[int, int]) -> None:
    geometry = Geometry(None, 256, (224, 224), BICUBIC)
    with pytest.raises(ImageError, match="too long and thin") as caught:
        geometry.apply(Image.new("RGB", size))
    assert caught.value.code is FailureCode.UNPREPARABLE


def test_a_fixed_size_takes_the_longest_image_that_a_jpeg_can_be() -> None:
    geometry = Geometry((32, 32), None, None, BICUBIC)
    for size in ((65_500, 1), (1, 65_500)):
        assert geometry.apply(Image.new("RGB", size, "red")).tolist() == [[[255, 0, 0]] * 32] * 32


PEAK = """
import resource, sys
from PIL import Image
from imgcls_beam.preparing import Geometry
geometry = Geometry(None, 256, (224, 224), Image.Resampling(int(sys.argv[1])))
geometry.apply(Image.new("RGB", (300, 200)))
before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for size in ((3000, 1), (1, 3000)):
    assert geometry.apply(Image.new("RGB", size)).shape == (224, 224, 3)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb)
"""


@pytest.mark.parametrize("resample", [Image.Resampling.NEAREST, BICUBIC])
def test_an_image_of_3000_by_1_costs_less_than_200_mb(resample: Image.Resampling) -> None:
    # The reference takes 1.3 GB for it.
    program = [sys.executable, "-c", PEAK, str(int(resample))]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 200 << 10
