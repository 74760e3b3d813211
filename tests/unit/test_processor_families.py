"""Every image processor of the families of `AutoModelForImageClassification`, by its settings."""

from typing import Any

import numpy as np
import pytest
from PIL import Image
from transformers.models.auto.image_processing_auto import (
    IMAGE_PROCESSOR_MAPPING_NAMES,
    get_image_processor_class_from_name,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
)

from imgcls_beam.elements import Pixels
from imgcls_beam.errors import ImageError
from imgcls_beam.preparing import Preparer

pytestmark = pytest.mark.slow

EDGE: dict[str, Any] = {"size": {"shortest_edge": 30}}
WARP: dict[str, Any] = {"size": {"height": 30, "width": 44}}
CROP = {"crop_size": {"height": 25, "width": 28}}
CLUSTERS = [[-1.0, -0.9, -0.8], [0.1, 0.2, 0.3], [0.9, 0.8, 0.7], [0.5, -0.5, 0.0]]

FAST: dict[str, dict[str, Any]] = {
    "Beit": WARP,
    "Bit": EDGE,
    "CLIP": EDGE,
    "ConvNext": EDGE,
    "DeiT": WARP,
    "Donut": WARP,
    "EfficientNet": WARP,
    "Levit": EDGE,
    "MobileNetV1": EDGE,
    "MobileNetV2": EDGE,
    "MobileViT": EDGE,
    "Perceiver": WARP,
    "PoolFormer": EDGE,
    "Pvt": WARP,
    "Segformer": WARP,
    "Siglip": WARP,
    "TextNet": EDGE,
    "ViT": WARP,
}
"""The processors that become a geometry, each with a small size of its own kind."""

CALLED: dict[str, dict[str, Any]] = {
    "ImageGPT": {**WARP, "clusters": CLUSTERS},
    "Siglip2": {"max_num_patches": 20, "patch_size": 8},
    "Gemma3": WARP,
}
"""The processors that are called: colour clusters, patches and masks, crops beside the image."""

ABSENT = {"TimmWrapper"}
"""Needs timm and torchvision."""

ODD = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.6, 0.7]}
SETTINGS: dict[str, dict[str, Any]] = {
    "as they are": {},
    "no resize": {"do_resize": False},
    "no resize, crop": {"do_resize": False, "do_center_crop": True},
    "crop": {"do_center_crop": True},
    "no crop": {"do_center_crop": False},
    "large crop": {"do_center_crop": True, "crop_size": {"height": 61, "width": 33}},
    "no rescale": {"do_rescale": False, "image_mean": [99.5] * 3, "image_std": [60, 61, 62]},
    "no normalize": {"do_normalize": False},
    "uint8": {"do_rescale": False, "do_normalize": False, "do_convert_rgb": False},
    "three means": {**ODD, "do_normalize": True, "do_convert_rgb": True},
    "one mean": {"image_mean": 0.4, "image_std": 0.3},
    "factor": {"rescale_factor": 1 / 127.5, "rescale_offset": True},
    "no second normalize": {"include_top": False, "rescale_offset": True},
    "RGB": {"do_flip_channel_order": False},
    "BGR": {"do_flip_channel_order": True},
    "labels": {"do_reduce_labels": True},
    "pad to itself": {"do_pad": True},
    "no pad": {"do_pad": False},
    "turned": {"do_align_long_axis": True},
    "no thumbnail": {"do_thumbnail": False, "do_pad": False},
    "nearest": {"resample": 0},
    "lanczos": {"resample": 1},
    "box": {"resample": 4},
    "hamming": {"resample": 5},
    "in words": {"resample": "bicubic"},
    "crop_pct": {"crop_pct": 0.77},
    "divisor": {"size_divisor": 7},
    "square": {"size": {"height": 33, "width": 33}},
    "edge": {"size": {"shortest_edge": 27}},
}
RAISES = {
    *(("ConvNext", "square"), ("TextNet", "square"), ("Donut", "edge"), ("Perceiver", "edge")),
    ("TextNet", "in words"),
}
"""A setting of this kind is none to these processors."""

CASES = [(name, each) for name in FAST for each in SETTINGS if (name, each) not in RAISES]


def get_class(name: str) -> Any:
    return get_image_processor_class_from_name(f"{name}ImageProcessorPil")


def call(processor: Any, image: Image.Image) -> Any:
    return processor(images=image, return_tensors="np")


def draw(*size: int) -> Image.Image:
    width_px, height_px = size
    pixels = np.random.default_rng(sum(size)).integers(0, 256, (height_px, width_px, 3))
    return Image.fromarray(pixels.astype(np.uint8))


def feed(preparer: Preparer, image: Image.Image) -> Pixels:
    """What the model is fed: (3, H, W), by the arithmetic that it does for a batch."""
    pixels = preparer.prepare(image)["pixel_values"]
    if preparer.affine is None:
        return pixels
    assert pixels.dtype == np.uint8
    affine = (preparer.affine.scale, preparer.affine.shift)
    scale, shift = (np.asarray(each, np.float32) for each in affine)
    return np.moveaxis(pixels.astype(np.float32) * scale + shift, -1, 0)


def test_the_processors_of_all_families_are_in_these_tables() -> None:
    mapped = (IMAGE_PROCESSOR_MAPPING_NAMES.get(f, {}) for f in _list_families())
    names = {names["pil"].partition("ImageProcessor")[0] for names in mapped if "pil" in names}
    assert names == set(FAST) | set(CALLED) | ABSENT


def _list_families() -> list[str]:
    return list(MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES)


@pytest.mark.parametrize("name", sorted({*FAST, *CALLED}))
def test_a_processor_as_it_is_published_takes_the_way_of_its_table(name: str) -> None:
    preparer = Preparer(get_class(name)(**(CALLED.get(name, {}) if name != "Donut" else WARP)))
    assert preparer.way == ("geometry" if name in FAST else "processor")
    assert preparer.processor_name == f"{name}ImageProcessorPil"
    assert (preparer.geometry is None) == (preparer.affine is None) == (name in CALLED)


@pytest.mark.parametrize(("name", "setting"), CASES)
def test_a_geometry_feeds_the_model_what_the_processor_feeds_it(name: str, setting: str) -> None:
    processor = get_class(name)(**{**FAST[name], **CROP, **SETTINGS[setting]})
    preparer = Preparer(processor)
    assert preparer.way == "geometry"
    rng = np.random.default_rng(len(setting) * len(name))
    for size in [*rng.integers(2, 120, (5, 2)).tolist(), (130, 11), (11, 130)]:
        image = draw(*size)
        try:
            expected = call(processor, image)["pixel_values"][0]
        except ValueError:  # Donut's frame is smaller than the image
            with pytest.raises(ImageError):
                preparer.prepare(image)
            continue
        found = feed(preparer, image)
        assert found.shape == expected.shape, size
        tolerance = 1e-6 * max(1.0, float(np.abs(expected).max()))
        assert np.abs(found - expected).max() <= tolerance, size


@pytest.mark.parametrize("name", CALLED)
def test_a_called_processor_hands_on_all_that_it_gives(name: str) -> None:
    processor = get_class(name)(**CALLED[name])
    preparer = Preparer(processor)
    for size in [(90, 40), (5, 77), (300, 2), (33, 33)]:
        expected, found = call(processor, draw(*size)), preparer.prepare(draw(*size))
        assert set(found) == set(expected)
        for key, values in expected.items():
            assert found[key].dtype == values.dtype
            np.testing.assert_array_equal(found[key], values[0])


@pytest.mark.parametrize(("name", "setting"), sorted(RAISES))
def test_a_setting_that_a_processor_cannot_have_is_found_before_the_first_image(
    name: str, setting: str
) -> None:
    with pytest.raises((ValueError, TypeError)):
        Preparer(get_class(name)(**{**FAST[name], **CROP, **SETTINGS[setting]}))


def test_siglip2_gives_patches_a_mask_and_the_shape_of_the_patches() -> None:
    inputs = Preparer(get_class("Siglip2")(max_num_patches=20, patch_size=8)).prepare(draw(90, 40))
    assert {name: (each.shape, each.dtype.name) for name, each in inputs.items()} == {
        "pixel_values": ((20, 192), "float32"),
        "pixel_attention_mask": ((20,), "int32"),
        "spatial_shapes": ((2,), "int64"),
    }
    assert inputs["pixel_attention_mask"].sum() == inputs["spatial_shapes"].prod() < 20


def test_imagegpt_without_its_clusters_can_prepare_nothing() -> None:
    with pytest.raises(ValueError, match="Clusters must be provided"):
        Preparer(get_class("ImageGPT")(**WARP))
    assert Preparer(get_class("ImageGPT")(**WARP, do_color_quantize=False)).way == "geometry"
