"""JPEGs that are decoded at a scale, and the resize that averages squares first."""

import dataclasses
import functools
import pathlib
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from imgcls_beam.elements import EncodedImage, ImageRef, PixelArray
from imgcls_beam.models import resolve_model
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing import Geometry, Preparer, prepare_for_models
from imgcls_beam.preparing.decode import DecodedImage, try_decode
from imgcls_beam.preparing.fast_resizing import resize_fast
from imgcls_beam.preparing.geometry import CenterCrop, CenterShare, Keep, Resize
from imgcls_beam.preparing.inspecting.jpeg import inspect_jpeg
from imgcls_beam.preparing.prepare import prepare_opened
from imgcls_beam.preparing.processor_loading import load_processor
from imgcls_beam.preparing.sizes import ShortestEdge, Size, Warp, Within
from tests import pictures
from tests.scenes import draw_photo

BILINEAR, BICUBIC = Image.Resampling.BILINEAR, Image.Resampling.BICUBIC
FAST = DecodeOptions(preprocess="fast")
XMP_TURN = b'http://ns.adobe.com/xap/1.0/\0<rdf:Description tiff:Orientation="6"/>'


def _decode(data: bytes, target: Size | None) -> DecodedImage:
    decoded = try_decode(data, DecodeOptions(), find_target=lambda full: target)
    assert isinstance(decoded, DecodedImage)
    return decoded


@pytest.mark.parametrize(
    ("target", "size_px"),
    [
        ((241, 320), (640, 480)),
        ((121, 160), (640, 480)),
        ((120, 161), (640, 480)),
        ((120, 160), (320, 240)),
        ((60, 160), (320, 240)),
        ((60, 80), (160, 120)),
        ((31, 40), (160, 120)),
        ((30, 40), (80, 60)),
        ((1, 1), (80, 60)),
    ],
)
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}], ids=str)
def test_a_jpeg_is_decoded_at_the_smallest_scale_of_twice_the_target(
    target: Size, size_px: tuple[int, int], options: dict[str, bool]
) -> None:
    data = pictures.encode(draw_photo(1, (640, 480)), "JPEG", **options)
    decoded = _decode(data, target)
    assert (decoded.image.size, decoded.image.mode) == (size_px, "RGB")
    assert decoded.extent.full == (480, 640)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_reduced_image_is_upright_and_its_target_is_too(orientation: int) -> None:
    """Half of each edge is needed, and it would be all of it were the target not turned."""
    data = pictures.encode(draw_photo(1, (640, 480)), "JPEG", exif=pictures.exif_block(orientation))
    is_lying = orientation > 4
    exact, reduced = _decode(data, None), _decode(data, (150, 60) if is_lying else (60, 150))
    assert reduced.facts == exact.facts
    assert reduced.extent.full == exact.extent.full == ((640, 480) if is_lying else (480, 640))
    assert reduced.image.size == ((240, 320) if is_lying else (320, 240))
    _assert_near(exact.image.resize(reduced.image.size, Image.Resampling.BOX), reduced.image, 1.0)


def test_the_orientation_of_xmp_is_minded_too() -> None:
    data = pictures.encode(draw_photo(1, (640, 480)), "JPEG")
    data = pictures.with_jpeg_segments(data, 0xE1, XMP_TURN)
    exact, reduced = _decode(data, None), _decode(data, (150, 60))
    assert reduced.image.size == (240, 320)
    assert (reduced.facts, reduced.extent.full) == (exact.facts, exact.extent.full)
    assert reduced.extent.full == (640, 480)


def test_grey_becomes_rgb_and_inks_are_decoded_in_full() -> None:
    picture = draw_photo(1, (640, 480))
    grey = _decode(pictures.encode(picture.convert("L"), "JPEG"), (30, 40)).image
    assert (grey.mode, grey.size) == ("RGB", (80, 60))
    inks = _decode(pictures.encode(picture.convert("CMYK"), "JPEG"), (30, 40)).image
    assert (inks.mode, inks.size) == ("RGB", (640, 480))


@pytest.mark.parametrize("marker", [0xC3, 0xC9, 0xCA])
def test_what_libjpeg_does_not_scale_is_not_scalable(marker: int) -> None:
    """Pillow would make room for the reduced rows, and be given whole ones."""
    data = pictures.encode(draw_photo(1, (640, 480)), "JPEG")
    assert inspect_jpeg(data).is_scalable
    changed = data.replace(b"\xff\xc0", bytes((0xFF, marker)), 1)
    assert changed != data
    assert not inspect_jpeg(changed).is_scalable


def test_a_jpeg_of_two_frames_or_none_is_not_scalable() -> None:
    data = pictures.encode(draw_photo(1, (640, 480)), "JPEG")
    at = data.index(b"\xff\xc0")
    frame = data[at : at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")]
    assert not inspect_jpeg(data[:at] + frame + data[at:]).is_scalable
    assert not inspect_jpeg(data[:at] + data[at + len(frame) :]).is_scalable


def test_what_is_about_to_be_decoded_is_told_before_its_memory_is_taken() -> None:
    told: list[int] = []
    for options in ({}, {"progressive": True}):
        data = pictures.encode(draw_photo(1, (640, 480)), "JPEG", **options)
        try_decode(data, DecodeOptions(), told.append, lambda full: (60, 80))
    # The coefficients of a progressive one are all in memory: twice as many bytes, of every pixel.
    assert told == [160 * 120 * 8, 640 * 480 * 16]


def _draw_hard() -> dict[str, Image.Image]:
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 256, (375, 500, 3), np.uint8)
    return {
        "noise": Image.fromarray(noise),
        "black and white": Image.fromarray(
            (noise[:, :, :1] > 127).repeat(3, 2).astype(np.uint8) * 255
        ),
        "dark": Image.fromarray(noise // 40),
        "flat": Image.new("RGB", (500, 375), (40, 90, 255)),
        "photograph": draw_photo(5, (500, 375)),
        "odd": Image.fromarray(noise[:41, :333]),
        "tiny": Image.fromarray(noise[:5, :3]),
        "one pixel": Image.fromarray(noise[:1, :1]),
        "a line": Image.fromarray(noise[:1]),
    }


HARD = _draw_hard()


def _resize(image: Image.Image, size: Size, resample: Image.Resampling) -> Image.Image:
    return resize_fast(image, size, resample, (0, 0, *image.size))


def _assert_near(one: Image.Image, other: Image.Image, mean_levels: float) -> None:
    difference = np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16))
    assert difference.mean() <= mean_levels


@pytest.mark.parametrize("size", [(224, 224), (50, 224), (600, 40), (1, 1), (375, 100)], ids=str)
@pytest.mark.parametrize("resample", sorted(Image.Resampling))
@pytest.mark.parametrize("picture", HARD)
def test_the_fast_resize_is_near_the_exact_one(
    picture: str, resample: Image.Resampling, size: Size
) -> None:
    image = HARD[picture]
    ours, exact = _resize(image, size, resample), image.resize((size[1], size[0]), resample)
    assert (ours.mode, ours.size) == ("RGB", (size[1], size[0]))
    is_noise = picture in ("noise", "black and white", "odd", "a line")
    # Filters that see a pixel or two: of noise they may see any others.
    if not (is_noise and resample in (Image.Resampling.NEAREST, Image.Resampling.BOX)):
        _assert_near(ours, exact, 16.0)


@pytest.mark.parametrize("resample", [BILINEAR, BICUBIC])
def test_the_fast_resize_of_a_photograph_is_the_exact_one_but_for_a_grey_level(
    resample: Image.Resampling,
) -> None:
    image = draw_photo(2, (2600, 2000))
    _assert_near(_resize(image, (224, 224), resample), image.resize((224, 224), resample), 1.0)


@pytest.mark.parametrize("size", [(224, 300), (375, 500), (400, 700)], ids=str)
@pytest.mark.parametrize("resample", sorted(Image.Resampling))
def test_less_than_a_square_is_not_averaged(resample: Image.Resampling, size: Size) -> None:
    """What is more than a quarter of its edges has the exact pixels."""
    image = HARD["noise"]
    exact = image.resize((size[1], size[0]), resample)
    assert _resize(image, size, resample).tobytes() == exact.tobytes()


def test_squares_of_a_large_image_are_averaged() -> None:
    image = HARD["noise"]
    exact, ours = image.resize((60, 50), BICUBIC), _resize(image, (50, 60), BICUBIC)
    assert ours.tobytes() != exact.tobytes()


def test_an_image_of_the_models_own_size_is_not_touched() -> None:
    assert _resize(HARD["noise"], (375, 500), BICUBIC) is HARD["noise"]


@dataclasses.dataclass(frozen=True)
class GeometryPreparer(Preparer):
    """What a preparer is where its geometry is known."""

    geometry: Geometry  # type: ignore[misc]


def _prepare(
    data: bytes, geometries: Sequence[Geometry], options: DecodeOptions
) -> list[PixelArray]:
    image = EncodedImage(ImageRef("a"), data)
    found = prepare_for_models(image, list(map(GeometryPreparer, geometries)), options)
    assert all(isinstance(each, PixelArray) for each in found)
    return found  # type: ignore[return-value]


RESIZES = {
    "warped": Resize(Warp((64, 64)), BILINEAR),
    "warped and cropped": Resize(Warp((80, 80)), BILINEAR, (64, 64)),
    "cropped": Resize(ShortestEdge(73), BICUBIC, (64, 64)),
    "framed": Resize(ShortestEdge(50), BICUBIC, (64, 64), fill=(9, 99, 199)),
    "within": Resize(Within((64, 64)), BILINEAR),
    "of a multiple": Resize(ShortestEdge(50, 32), BILINEAR),
    "by another filter": Resize(Warp((64, 64)), Image.Resampling.LANCZOS),
}


@pytest.mark.parametrize("is_bgr", [False, True])
@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("size_px", [(640, 480), (479, 641), (63, 64), (1500, 90)], ids=str)
def test_fast_pixels_have_the_exact_shape_and_nearly_the_exact_levels(
    size_px: tuple[int, int], resize: str, is_bgr: bool
) -> None:
    data = pictures.encode(draw_photo(4, size_px), "JPEG", exif=pictures.exif_block(8))
    geometry = Geometry((RESIZES[resize],), is_bgr)
    exact, fast = (_prepare(data, [geometry], each)[0] for each in (DecodeOptions(), FAST))
    ours, theirs = fast.inputs["pixel_values"], exact.inputs["pixel_values"]
    assert (fast.facts, ours.shape, ours.dtype) == (exact.facts, theirs.shape, theirs.dtype)
    assert np.abs(ours.astype(np.int16) - theirs).mean() < 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_lies_beyond_the_picture_in_a_reduced_one_is_left_out(orientation: int) -> None:
    """At an eighth its 90 rows are 11 and a quarter; a resize of 12 to 3 is 7 levels off."""
    photo, block = draw_photo(4, (1500, 90)), pictures.exif_block(orientation)
    geometry = Geometry((RESIZES["within"],))
    exact, fast = (
        _prepare(pictures.encode(photo, "JPEG", exif=block), [geometry], each)[0]
        for each in (DecodeOptions(), FAST)
    )
    ours, theirs = (each.inputs["pixel_values"].astype(np.int16) for each in (fast, exact))
    assert ours.shape == theirs.shape
    assert 0 < np.abs(ours - theirs).mean() < 2


@pytest.mark.parametrize(
    "steps",
    [
        (CenterCrop((64, 64)),),
        (CenterShare((0.8, 0.8)), Resize(Warp((40, 40)), BICUBIC)),
        (Keep(),),
    ],
    ids=str,
)
def test_where_another_step_than_a_resize_comes_first_fast_is_exact(steps: tuple[Resize]) -> None:
    data = pictures.encode(draw_photo(4, (640, 480)), "JPEG")
    exact, fast = (
        _prepare(data, [Geometry(steps)], each)[0].inputs["pixel_values"]
        for each in (DecodeOptions(), FAST)
    )
    assert np.array_equal(exact, fast)


def test_several_models_share_one_decoding_that_does_for_the_largest() -> None:
    data = pictures.encode(draw_photo(4, (640, 480)), "JPEG")
    small, large = (Geometry((Resize(Warp((px, px)), BILINEAR),)) for px in (20, 110))
    together = _prepare(data, [small, large], FAST)
    alone = _prepare(data, [large], FAST)
    assert np.array_equal(together[1].inputs["pixel_values"], alone[0].inputs["pixel_values"])
    at_half = _resize(_decode(data, (110, 110)).image, (20, 20), BILINEAR)
    assert np.array_equal(together[0].inputs["pixel_values"], np.asarray(at_half))


def test_beside_a_model_whose_processor_is_called_every_pixel_is_decoded() -> None:
    data = pictures.encode(draw_photo(4, (640, 480)), "JPEG")
    small = Geometry((Resize(Warp((20, 20)), BILINEAR),))
    called = Geometry((Keep(),))
    both = _prepare(data, [small, called], FAST)
    whole = _decode(data, None).image
    assert np.array_equal(both[1].inputs["pixel_values"], np.asarray(whole))
    expected = np.asarray(_resize(whole, (20, 20), BILINEAR))
    assert np.array_equal(both[0].inputs["pixel_values"], expected)


def test_a_processor_that_is_called_has_its_own_pixels(
    model_folders: dict[str, pathlib.Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    preparer = Preparer(load_processor(resolve_model(str(model_folders["vit"]), None)))
    data = EncodedImage(ImageRef("a"), pictures.encode(draw_photo(4, (640, 480)), "JPEG"))
    prepare = functools.partial(prepare_for_models, data, [preparer])
    known = prepare(FAST)[0]
    monkeypatch.setattr(preparer, "geometry", None)
    exact, fast = prepare(DecodeOptions())[0], prepare(FAST)[0]
    assert isinstance(exact, PixelArray) and isinstance(fast, PixelArray)
    assert isinstance(known, PixelArray) and known.inputs["pixel_values"].dtype == np.uint8
    assert np.array_equal(exact.inputs["pixel_values"], fast.inputs["pixel_values"])
    assert fast.inputs["pixel_values"].dtype == np.float32


def test_an_opened_image_is_prepared_fast_where_that_is_asked() -> None:
    image = HARD["noise"].convert("RGBA")
    preparer = GeometryPreparer(Geometry((RESIZES["cropped"],)))
    fast, exact = (prepare_opened(image, preparer, each) for each in ("fast", "exact"))  # type: ignore[arg-type]
    assert isinstance(fast, PixelArray) and isinstance(exact, PixelArray)
    ours, theirs = (each.inputs["pixel_values"].astype(np.int16) for each in (fast, exact))
    assert 0 < np.abs(ours - theirs).mean() < 4


_LEAN = """
import sys
from PIL import Image
from imgcls_beam.preparing.fast_resizing import resize_fast
resize_fast(Image.new("RGB", (900, 700)), (224, 224), Image.Resampling.BICUBIC, (0, 0, 900, 700))
assert not {"torch", "transformers"} & set(sys.modules)
"""


def test_the_fast_resize_needs_no_torch() -> None:
    subprocess.run([sys.executable, "-c", _LEAN], check=True)
