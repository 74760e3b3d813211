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
from transformers.models.donut.image_processing_pil_donut import DonutImageProcessorPil
from transformers.models.perceiver.image_processing_pil_perceiver import PerceiverImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from imgcls_beam.elements import Pixels
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.preparing import Geometry, Preparer, resizing
from imgcls_beam.preparing.geometry import CenterCrop, CenterShare, Keep, PadAround, Resize, Step
from imgcls_beam.preparing.sizes import BothEdges, ShortestEdge, Thumbnail, Warp, Within

ROOT = pathlib.Path(__file__).parents[2]
BICUBIC = Image.Resampling.BICUBIC
EXTREMES = [(1, 1), (1, 7), (7, 1), (2, 2), (600, 1), (1, 600), (3, 900), (224, 224), (40, 4101)]

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
    "shorter edge without crop": (ViTImageProcessorPil, {"size": {"shortest_edge": 20}}),
    "both edges": (ViTImageProcessorPil, {"size": {"shortest_edge": 20, "longest_edge": 50}}),
    "both edges and crop": (
        DeiTImageProcessorPil,
        {"size": {"shortest_edge": 20, "longest_edge": 50}, "crop_size": (24, 30)},
    ),
    "within": (ViTImageProcessorPil, {"size": {"max_height": 400, "max_width": 410}}),
    "crop of the image as it is": (
        DeiTImageProcessorPil,
        {"do_resize": False, "crop_size": (40, 41)},
    ),
    "the image as it is": (ViTImageProcessorPil, {"do_resize": False}),
    "crop after ConvNeXT's own": (
        ConvNextImageProcessorPil,
        {"size": {"shortest_edge": 32}, "do_center_crop": True, "crop_size": (20, 40)},
    ),
    "crop first": (
        PerceiverImageProcessorPil,
        {"size": {"height": 20, "width": 30}, "crop_size": (24, 32)},
    ),
    "pad first": (PerceiverImageProcessorPil, {"size": (30, 20), "crop_size": (24, 32)}),
    "Donut": (DonutImageProcessorPil, {"size": {"height": 61, "width": 40}}),
    "Donut, turned": (
        DonutImageProcessorPil,
        {"size": {"height": 61, "width": 40}, "do_align_long_axis": True},
    ),
    "Donut without pad": (
        DonutImageProcessorPil,
        {"size": {"height": 61, "width": 40}, "do_pad": False},
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


def assert_equal(processor: Any, *images: Image.Image) -> None:
    """Equal pixels, and a refusal where the processor refuses."""
    preparer = Preparer(processor)
    assert preparer.way == "geometry"
    for image in images:
        try:
            expected = apply_reference(processor, image)
        except ValueError:
            with pytest.raises(ImageError):
                preparer.prepare(image)
            continue
        ours = preparer.prepare(image)["pixel_values"]
        assert ours.dtype == np.uint8
        np.testing.assert_array_equal(ours, expected, str(image.size))


@pytest.mark.parametrize("name", SMALL)
def test_pixels_equal_the_processors_for_sizes_at_random(name: str) -> None:
    kind, config = SMALL[name]
    rng = np.random.default_rng(len(name))
    sizes = [*rng.integers(1, 150, (30, 2)).tolist(), (400, 9), (9, 400), (1, 1), (1, 9)]
    assert_equal(make_processor(kind, **config), *(draw(rng, *size) for size in sizes))


@pytest.mark.parametrize("resample", range(6))
@pytest.mark.parametrize("size", [(61, 40), (17, 90), (3, 350), (1, 1)])
def test_pixels_equal_with_every_filter(resample: int, size: tuple[int, int]) -> None:
    image = draw(np.random.default_rng(resample), *size)
    for name in ("warp", "odd differences", "shorter edge", "odd crop_pct", "Donut without pad"):
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


@pytest.mark.parametrize("strip_pixels", [1, 900])
@pytest.mark.parametrize("resample", range(6))
def test_the_middle_is_the_same_in_one_pass_and_in_strips(
    resample: int, strip_pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small images are resized whole and then cropped; the strips are for large ones."""
    rng = np.random.default_rng(resample)
    for _ in range(20):
        width_px, height_px = rng.integers(1, 120, 2).tolist()
        image = draw(rng, width_px, height_px * (1 + 40 * (width_px < 9)))
        size, crop = (tuple(rng.integers(1, 90, 2).tolist()) for _ in range(2))
        whole = resizing.resize_centre(image, size, crop, Image.Resampling(resample))
        with monkeypatch.context() as patch:
            patch.setattr(resizing, "_STRIP_PIXELS", strip_pixels)
            strips = resizing.resize_centre(image, size, crop, Image.Resampling(resample))
        assert np.array_equal(np.asarray(whole), np.asarray(strips))


LONG = [(10_000, 1), (1, 65_500), (1 << 26, 1)]


@pytest.mark.parametrize("size", LONG)
@pytest.mark.parametrize(
    "step",
    [
        Resize(ShortestEdge(256), BICUBIC, (224, 224)),
        Resize(ShortestEdge(640, 32), BICUBIC),
        CenterShare((20_000.0, 20_000.0)),
    ],
    ids=str,
)
def test_an_image_that_would_become_gigabytes_is_refused(step: Step, size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match="too long and thin") as caught:
        Geometry((step,)).apply(Image.new("RGB", size))
    assert caught.value.code is FailureCode.UNPREPARABLE


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (Keep(), "5000 × 4000 pixels are too many"),
        (PadAround((6000, 4999)), "larger than the model's frame"),
        (Resize(BothEdges(30, 2000), BICUBIC), None),
        (Resize(Within((100, 200)), BICUBIC), None),
        (Resize(Thumbnail((100, 200)), BICUBIC), None),
        (CenterCrop((10, 10)), None),
    ],
    ids=str,
)
def test_a_large_image_is_refused_where_a_step_cannot_take_it(
    step: Step, problem: str | None
) -> None:
    image = Image.new("RGB", (5000, 4000))
    if problem is None:
        assert min(Geometry((step,)).apply(image).shape[:2]) >= 10
        return
    with pytest.raises(ImageError, match=problem) as caught:
        Geometry((step,)).apply(image)
    assert caught.value.code is FailureCode.UNPREPARABLE


def test_a_fixed_size_takes_the_longest_image_that_a_jpeg_can_be() -> None:
    geometry = Geometry((Resize(Warp((32, 32)), BICUBIC),))
    for size in ((65_500, 1), (1, 65_500)):
        assert geometry.apply(Image.new("RGB", size, "red")).tolist() == [[[255, 0, 0]] * 32] * 32


def test_a_model_that_takes_bgr_gets_bgr() -> None:
    image = Image.new("RGB", (3, 2), (1, 2, 3))
    assert Geometry((Keep(),), is_bgr=True).apply(image).tolist() == [[[3, 2, 1]] * 3] * 2


PEAK = """
import pathlib, sys
from PIL import Image
from imgcls_beam.errors import ImageError
from transformers.models.auto.image_processing_auto import get_image_processor_class_from_name
from imgcls_beam.preparing import Preparer

def read_peak_kb():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])

sizes = ((3000, 1), (1, 3000), (1, 65_500), (65_500, 1), (20_000, 2), (4100, 640), (200, 900))
kinds = {name: get_image_processor_class_from_name(name) for name in sys.argv[1:]}
settings = {"ConvNextImageProcessorPil": {"size": {"shortest_edge": 224}}}
preparers = {name: Preparer(kind(**settings.get(name, {}))) for name, kind in kinds.items()}
for name, preparer in preparers.items():
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before_kb = read_peak_kb()
    for size in sizes:
        try:
            preparer.prepare(Image.new("RGB", size))
        except ImageError:
            pass
    print(name, read_peak_kb() - before_kb)
"""


@pytest.mark.long(minutes=1)
def test_no_shape_of_an_image_costs_300_mb() -> None:
    # The reference takes 1.3 GB for 3000 × 1 in ConvNeXT's.
    names = ("ConvNext", "TextNet", "Donut", "Siglip2", "Perceiver", "Levit", "MobileViT")
    program = [sys.executable, "-c", PEAK, *(f"{name}ImageProcessorPil" for name in names)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True)
    peaks_kb = {line.split()[0]: int(line.split()[1]) for line in done.stdout.splitlines()}
    assert len(peaks_kb) == len(names)
    assert max(peaks_kb.values()) < 300 << 10, peaks_kb
