"""A model's own image processor: the fast way where it is the same, else the processor itself."""

import logging
import pathlib
from typing import Any

import numpy as np
import pytest
from PIL import Image
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from imgcls_beam.elements import Pixels
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.models import resolve_model
from imgcls_beam.preparing import Preparer, load_preparer
from tests.models import FAMILIES

SIZE = {"height": 32, "width": 32}


def draw(width_px: int = 96, height_px: int = 64) -> Image.Image:
    """Every grey level in every channel, and noise."""
    pixels = np.random.default_rng(3).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def to_model_input(preparer: Preparer, image: Image.Image) -> Pixels:
    """What the model is fed: float32 (3, H, W), by the arithmetic that it does for a batch."""
    pixels = preparer.prepare(image)["pixel_values"]
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
    assert preparer.prepare(draw())["pixel_values"].dtype == np.uint8
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


class OtherSettings(ConvNextImageProcessorPil):
    """A class of somebody's own that only has other settings: its methods are transformers'."""

    size = {"shortest_edge": 40}  # noqa: RUF012  as transformers' own classes have it
    crop_pct = 0.8


class OtherProperty(ViTImageProcessorPil):
    @property
    def rescale_factor(self) -> float:
        return 0.5

    @rescale_factor.setter
    def rescale_factor(self, value: float) -> None:
        pass


@pytest.mark.parametrize("kind", [OtherResize, OtherCall, OtherPreprocess, OtherProperty])
def test_a_class_with_methods_of_its_own_is_not_taken_for_its_parent(
    kind: type, caplog: pytest.LogCaptureFixture
) -> None:
    processor = kind(size=SIZE)
    with caplog.at_level(logging.WARNING, "imgcls_beam"):
        preparer = Preparer(processor)
        results = [preparer.prepare(draw())["pixel_values"] for _ in range(3)]
    assert (preparer.geometry, preparer.affine, preparer.way) == (None, None, "processor")
    assert results[0].dtype == np.float32
    np.testing.assert_array_equal(results[0], call(processor, draw()))
    assert caplog.messages == []


def test_a_method_of_one_object_is_seen_too() -> None:
    processor = ViTImageProcessorPil(size=SIZE)
    processor.resize = OtherResize(size=SIZE).resize
    assert Preparer(processor).way == "processor"


def test_a_class_with_only_other_settings_is_its_parent() -> None:
    preparer = Preparer(OtherSettings())
    assert (preparer.way, preparer.processor_name) == ("geometry", "OtherSettings")
    difference = to_model_input(preparer, draw()) - call(OtherSettings(), draw())
    assert np.abs(difference).max() <= 1e-6


@pytest.mark.parametrize("kind", [OtherCall, OtherPreprocess])
def test_a_later_transformers_that_does_other_things_is_called_and_said(
    kind: type, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kind, "__module__", "transformers.models.later")
    with caplog.at_level(logging.WARNING, "imgcls_beam"):
        preparer = Preparer(kind(size=SIZE))
    assert (preparer.geometry, preparer.affine, preparer.way) == (None, None, "processor")
    assert len(caplog.messages) == 1
    assert kind.__name__ in caplog.messages[0]


def test_a_pad_after_the_normalising_is_left_to_the_processor() -> None:
    processor = ViTImageProcessorPil(size=SIZE, do_pad=True, pad_size={"height": 40, "width": 33})
    preparer = Preparer(processor)
    assert preparer.way == "processor"
    np.testing.assert_array_equal(preparer.prepare(draw())["pixel_values"], call(processor, draw()))


class WithMask(ViTImageProcessorPil):
    def _preprocess(self, *args: Any, **kwargs: Any) -> Any:
        outputs = super()._preprocess(*args, **kwargs)
        outputs["pixel_mask"] = np.ones((1, 3))
        return outputs


class OnlyLandscape(ViTImageProcessorPil):
    def resize(self, image: Pixels, *args: Any, **kwargs: Any) -> Pixels:
        if image.shape[1] > image.shape[2]:
            raise ValueError(f"bad image at 0x{id(image):x}")
        return image


def test_what_a_processor_gives_beside_pixels_is_kept_for_the_model() -> None:
    inputs = Preparer(WithMask()).prepare(draw())
    assert set(inputs) == {"pixel_values", "pixel_mask"}


def test_an_image_that_the_processor_refuses_is_its_own_failure() -> None:
    preparer = Preparer(OnlyLandscape())
    assert preparer.prepare(draw(20, 10))["pixel_values"].shape == (3, 10, 20)
    with pytest.raises(ImageError) as caught:
        preparer.prepare(draw(10, 20))["pixel_values"]
    assert caught.value.code is FailureCode.UNPREPARABLE
    assert "0x" not in caught.value.message


class Called(ViTImageProcessorPil):
    def resize(self, image: Pixels, *args: Any, **kwargs: Any) -> Pixels:
        resized: Pixels = super().resize(image, *args, **kwargs)
        return resized


@pytest.mark.parametrize(
    ("config", "size", "is_taken"),
    [
        ({"size": {"shortest_edge": 224}}, (100, 2), True),
        ({"size": {"shortest_edge": 224}}, (200, 2), False),
        ({"size": {"shortest_edge": 224}}, (1, 65_500), False),
        ({"size": {"shortest_edge": 22}, "crop_pct": 0.1}, (100, 1), False),
        (
            {"size": {"shortest_edge": 224}, "do_center_crop": True, "crop_size": SIZE},
            (200, 2),
            True,
        ),
        ({"size": {"shortest_edge": 224, "longest_edge": 300}}, (65_500, 200), True),
        ({"size": SIZE}, (65_500, 1), True),
        ({"do_resize": False}, (300, 200), True),
        ({"do_resize": False}, (3000, 2000), False),
    ],
)
def test_a_called_processor_is_not_asked_for_gigabytes(
    config: dict[str, Any], size: tuple[int, int], is_taken: bool
) -> None:
    preparer, image = Preparer(Called(**config)), Image.new("RGB", size)
    assert preparer.way == "processor"
    if is_taken:
        assert preparer.prepare(image)["pixel_values"].shape[0] == 3
        return
    with pytest.raises(ImageError, match=f"^unpreparable: {size[0]} × {size[1]} pixels"):
        preparer.prepare(image)


class Several(ViTImageProcessorPil):
    def _preprocess(self, images: Any, *args: Any, **kwargs: Any) -> Any:
        return super()._preprocess([*images, *images], *args, **kwargs)


def test_a_processor_that_makes_several_images_of_one_is_refused_as_a_whole() -> None:
    with pytest.raises(ValueError, match="several images of one"):
        Preparer(Several())
