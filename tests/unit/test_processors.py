"""A model's own image processor: the fast way where it is the same, else the processor itself."""

import json
import logging
import pathlib
from typing import Any

import numpy as np
import pytest
from PIL import Image
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from imgcls_beam.classifying import resolve_model
from imgcls_beam.elements import Pixels
from imgcls_beam.errors import FailureCode, ImageError, ModelError
from imgcls_beam.preparing import Preparer, load_preparer
from tests.models import FAMILIES

SIZE = {"height": 32, "width": 32}


def draw(width_px: int = 96, height_px: int = 64) -> Image.Image:
    """Every grey level in every channel, and noise."""
    pixels = np.random.default_rng(3).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def to_model_input(preparer: Preparer, image: Image.Image) -> Pixels:
    """What the model is fed: float32 (3, H, W), by the arithmetic that it does for a batch."""
    pixels = preparer.prepare(image)
    if preparer.affine is None:
        return pixels
    scale, shift = (np.asarray(each, np.float32) for each in _pair(preparer))
    return np.moveaxis(pixels.astype(np.float32) * scale + shift, -1, 0)


def _pair(preparer: Preparer) -> tuple[tuple[float, ...], tuple[float, ...]]:
    assert preparer.affine is not None
    return preparer.affine.scale, preparer.affine.shift


def call(processor: Any, image: Image.Image) -> Pixels:
    pixels: Pixels = processor(images=image, return_tensors="np")["pixel_values"][0]
    return pixels


@pytest.mark.parametrize("family", FAMILIES)
def test_the_families_take_the_fast_way_and_feed_the_model_the_same(
    family: str, model_folders: dict[str, pathlib.Path]
) -> None:
    preparer = load_preparer(resolve_model(str(model_folders[family]), None))
    assert preparer.geometry is not None
    assert preparer.prepare(draw()).dtype == np.uint8
    _, processor = FAMILIES[family]()
    difference = np.abs(to_model_input(preparer, draw()) - call(processor, draw()))
    assert difference.max() <= 1e-6


IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


@pytest.mark.parametrize(
    "config",
    [
        {},
        IMAGENET,
        {"image_mean": 0.4, "image_std": 0.2},
        {"rescale_factor": 1 / 127.5, "image_mean": 1.0, "image_std": 1.0},
        {"do_rescale": False, "image_mean": [123.7, 116.3, 103.5], "image_std": [58, 57, 58]},
        {"do_normalize": False},
        {"do_rescale": False, "do_normalize": False},
    ],
    ids=str,
)
def test_the_affine_is_the_rescaling_and_normalising_of_the_config(config: dict[str, Any]) -> None:
    processor = ViTImageProcessorPil(size=SIZE, **config)
    preparer = Preparer(processor)
    assert preparer.geometry is not None
    expected = call(processor, draw(32, 32)).astype(np.float32)
    assert np.abs(to_model_input(preparer, draw(32, 32)) - expected).max() <= 1e-6


class OtherResize(ViTImageProcessorPil):
    def resize(self, image: Pixels, *args: Any, **kwargs: Any) -> Pixels:
        resized: Pixels = super().resize(image, *args, **kwargs)[:, ::-1]
        return resized


class OtherCall(ViTImageProcessorPil):
    def __call__(self, images: Any, *args: Any, **kwargs: Any) -> Any:
        return super().__call__(images.transpose(Image.Transpose.ROTATE_180), *args, **kwargs)


class OtherPreprocess(DeiTImageProcessorPil):
    def preprocess(self, images: Any, *args: Any, **kwargs: Any) -> Any:
        return super().preprocess(images.convert("L").convert("RGB"), *args, **kwargs)


class ConvNextImageProcessorOther(ConvNextImageProcessorPil):
    def __call__(self, images: Any, *args: Any, **kwargs: Any) -> Any:
        return super().__call__(images, *args, **{**kwargs, "size": {"shortest_edge": 40}})


@pytest.mark.parametrize(
    ("kind", "warnings"),
    [(OtherResize, 0), (OtherCall, 1), (OtherPreprocess, 1), (ConvNextImageProcessorOther, 1)],
)
def test_a_processor_that_does_other_things_than_its_config_says_is_called(
    kind: type, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    size = {"shortest_edge": 32} if kind is ConvNextImageProcessorOther else SIZE
    processor = kind(size=size)
    with caplog.at_level(logging.WARNING, "imgcls_beam"):
        preparer = Preparer(processor)
        results = [preparer.prepare(draw()) for _ in range(3)]
    assert (preparer.geometry, preparer.affine) == (None, None)
    assert results[0].dtype == np.float32
    np.testing.assert_array_equal(results[0], call(processor, draw()))
    assert len(caplog.messages) == warnings
    assert all(kind.__name__ in each for each in caplog.messages)


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (ViTImageProcessorPil, {"do_resize": False}),
        (ViTImageProcessorPil, {"size": {"shortest_edge": 32}}),
        (ViTImageProcessorPil, {"size": {"shortest_edge": 20, "longest_edge": 40}}),
        (ViTImageProcessorPil, {"size": SIZE, "do_pad": True, "pad_size": SIZE}),
        (ConvNextImageProcessorPil, {"do_center_crop": True, "crop_size": SIZE}),
    ],
)
def test_steps_that_a_geometry_does_not_know_are_left_to_the_processor(
    kind: type, config: dict[str, Any]
) -> None:
    processor = kind(**config)
    preparer = Preparer(processor)
    assert (preparer.geometry, preparer.affine) == (None, None)
    np.testing.assert_array_equal(preparer.prepare(draw()), call(processor, draw()))


class WithMask(ViTImageProcessorPil):
    def _preprocess(self, *args: Any, **kwargs: Any) -> Any:
        outputs = super()._preprocess(*args, **kwargs)
        outputs["pixel_mask"] = np.ones(3)
        return outputs


class OnlyLandscape(ViTImageProcessorPil):
    def resize(self, image: Pixels, *args: Any, **kwargs: Any) -> Pixels:
        if image.shape[1] > image.shape[2]:
            raise ValueError(f"bad image at 0x{id(image):x}")
        return image


def test_a_processor_that_gives_more_than_pixels_is_a_model_that_cannot_be_fed() -> None:
    with pytest.raises(ModelError, match="pixel_mask"):
        Preparer(WithMask()).prepare(draw())


def test_an_image_that_the_processor_refuses_is_its_own_failure() -> None:
    preparer = Preparer(OnlyLandscape())
    assert preparer.prepare(draw(20, 10)).shape == (3, 10, 20)
    with pytest.raises(ImageError) as caught:
        preparer.prepare(draw(10, 20))
    assert caught.value.code is FailureCode.UNPREPARABLE
    assert "0x" not in caught.value.message


def test_a_called_processor_is_not_asked_to_resize_to_gigabytes() -> None:
    preparer = Preparer(ViTImageProcessorPil(size={"shortest_edge": 224}))
    assert preparer.prepare(draw(200, 2)).shape == (3, 224, 22400)
    with pytest.raises(ImageError, match="1 × 65500 pixels are too long and thin"):
        preparer.prepare(Image.new("RGB", (1, 65_500)))
    bounded = Preparer(ViTImageProcessorPil(size={"shortest_edge": 224, "longest_edge": 300}))
    assert bounded.prepare(Image.new("RGB", (65_500, 200))).shape == (3, 1, 300)


def write_config(folder: pathlib.Path, text: str | None, **changes: Any) -> str:
    """A folder with a processor's config as it is published, but for the changes."""
    ViTImageProcessorPil(size=SIZE).save_pretrained(folder)
    path = folder / "preprocessor_config.json"
    path.write_text(
        text if text is not None else json.dumps(json.loads(path.read_text()) | changes)
    )
    (folder / "config.json").write_text('{"model_type": "vit"}')
    return str(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"resample": 9},
        {"resample": None},
        {"size": {}},
        {"size": "big"},
        {"size": {"height": 0, "width": 0}},
        {"image_mean": [0.5]},
        {"image_mean": "grey"},
        {"image_std": [0, 0, 0]},
        {"rescale_factor": "x"},
        {"do_center_crop": True},
        {"image_processor_type": "UnheardOfImageProcessor"},
    ],
    ids=str,
)
def test_a_config_that_makes_no_sense_stops_the_job_with_the_models_name(
    tmp_path: pathlib.Path, changes: dict[str, Any]
) -> None:
    source = resolve_model(write_config(tmp_path, None, **changes), None)
    with pytest.raises(ModelError, match=f"^{tmp_path}: its image processor ") as caught:
        load_preparer(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "null", "nonsense", "\xff"])
def test_a_config_that_is_none_stops_the_job_too(tmp_path: pathlib.Path, text: str) -> None:
    source = resolve_model(write_config(tmp_path, text), None)
    with pytest.raises(ModelError, match="image processor cannot be loaded"):
        load_preparer(source)


def test_a_processor_is_loaded_once_for_each_content_of_a_model(tmp_path: pathlib.Path) -> None:
    folder = write_config(tmp_path, None)
    first = load_preparer(resolve_model(folder, None))
    assert load_preparer(resolve_model(folder, None)) is first
    write_config(tmp_path, None, size={"height": 16, "width": 16})
    second = load_preparer(resolve_model(folder, None))
    assert (first.prepare(draw()).shape, second.prepare(draw()).shape) == ((32, 32, 3), (16, 16, 3))
