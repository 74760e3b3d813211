"""Images that cannot be decoded: the reason, and what was known of them."""

import gc
import struct
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import BmpImagePlugin, Image, ImageOps

from imgcls_beam.elements import ImageFacts
from imgcls_beam.errors import FailureCode
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing import decode
from imgcls_beam.preparing.decode import UndecodedImage, try_decode
from tests import pictures

OPTIONS = DecodeOptions()
PICTURE = pictures.draw_picture()
PALETTE = PICTURE.quantize(60)
TURNED = [PICTURE.rotate(180), PICTURE.rotate(90)]
WIDTH_PX, HEIGHT_PX = pictures.SIZE_PX


def _decode(data: bytes) -> Image.Image:
    return pictures.decode(data).image


def _code_of(data: bytes, options: DecodeOptions = OPTIONS) -> FailureCode | None:
    decoded = try_decode(data, options)
    return decoded.error.code if isinstance(decoded, UndecodedImage) else None


CUT: list[tuple[str, dict[str, Any]]] = [
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("PNG", {}),
    ("GIF", {}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("BMP", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "jpeg"}),
    ("AVIF", {}),
    ("JPEG2000", {}),
    ("JPEG2000", {"no_jp2": True}),
    ("PPM", {}),
]


@pytest.mark.parametrize(("kind", "options"), CUT)
@pytest.mark.parametrize("kept", [0.05, 0.2, 0.5, 0.8, 0.95])
def test_a_truncated_image_is_a_failure_that_says_so(
    kind: str, options: dict[str, Any], kept: float
) -> None:
    data = pictures.encode(PICTURE, kind, **options)
    assert _code_of(data[: int(len(data) * kept)]) is FailureCode.TRUNCATED


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def find_images() -> set[int]:
    return {id(each) for each in gc.get_objects() if isinstance(each, Image.Image)}


@pytest.mark.parametrize(("kind", "options"), CUT)
def test_no_pixel_of_a_truncated_image_stays_in_memory(
    no_collector: None, kind: str, options: dict[str, Any]
) -> None:
    """Not even until garbage is collected: an image has up to 256 MB of them by then."""
    data = pictures.encode(PICTURE, kind, **options)
    before = find_images()
    assert _code_of(data[: len(data) // 2]) is FailureCode.TRUNCATED
    assert find_images() <= before


def test_an_animation_that_ends_after_its_first_frame_is_an_image() -> None:
    whole = pictures.encode(PICTURE, "GIF", save_all=True, append_images=TURNED)
    first = pictures.encode(PICTURE, "GIF")
    pictures.assert_equal(_decode(whole[: len(first) + 50]), _decode(whole))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "AVIF"])
def test_damage_in_the_middle_of_a_whole_file_is_corrupt(kind: str) -> None:
    options = {"compression": "tiff_adobe_deflate"} if kind == "TIFF" else {}
    data = bytearray(pictures.encode(PICTURE, kind, **options))
    middle = {"PNG": 60, "TIFF": 20}.get(kind, len(data) - 80)
    data[middle : middle + 40] = b"\xa5" * 40
    assert _code_of(bytes(data)) is FailureCode.CORRUPT


def test_too_many_pixels_are_refused_with_their_number() -> None:
    data = pictures.encode(PICTURE, "JPEG", exif=pictures.exif_block(6))
    pixels = WIDTH_PX * HEIGHT_PX
    assert _code_of(data, DecodeOptions(max_pixels=pixels)) is None
    failed = try_decode(data, DecodeOptions(max_pixels=pixels - 1))
    assert isinstance(failed, UndecodedImage)
    assert failed.error.code is FailureCode.TOO_MANY_PIXELS
    assert failed.error.message == f"46 × 30 pixels are more than {pixels - 1}"
    assert (failed.facts.width_px, failed.facts.height_px) == (HEIGHT_PX, WIDTH_PX)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000"])
def test_the_limit_of_pixels_holds_for_every_format(kind: str) -> None:
    code = _code_of(pictures.encode(PICTURE, kind), DecodeOptions(max_pixels=100))
    assert code is FailureCode.TOO_MANY_PIXELS


def test_pillows_own_limit_neither_warns_nor_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for kind in ("JPEG", "PNG", "WEBP", "BMP"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert _code_of(pictures.encode(PICTURE, kind)) is None


def test_a_palette_with_transparency_does_not_warn() -> None:
    data = pictures.encode(PALETTE, "PNG", transparency=bytes(range(60)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _code_of(data) is None


def test_too_many_scans_are_refused_and_the_limit_can_be_raised() -> None:
    data = pictures.jpeg_with_scans(101)
    assert _code_of(data) is FailureCode.TOO_MANY_SCANS
    assert _code_of(data, DecodeOptions(max_scans=101)) is None


@pytest.mark.parametrize("width_px", [-127, -1, -(1 << 31)])
def test_a_width_that_no_column_holds_is_not_a_fact(width_px: int) -> None:
    failed = try_decode(pictures.bmp_of((width_px, 64)), OPTIONS)
    assert isinstance(failed, UndecodedImage)
    assert failed.error.code is FailureCode.TOO_MANY_PIXELS
    assert (failed.facts.width_px, failed.facts.format) == (None, "BMP")


def test_a_failure_brings_what_was_known_of_the_image() -> None:
    data = pictures.encode(PICTURE, "JPEG")[:700]
    failed = try_decode(data, OPTIONS)
    assert isinstance(failed, UndecodedImage)
    assert failed.facts == ImageFacts(700, decode.measure(data).sha256, WIDTH_PX, HEIGHT_PX, "JPEG")


def test_an_object_that_is_no_image_has_size_and_checksum() -> None:
    failed = try_decode(b"abc", OPTIONS)
    assert isinstance(failed, UndecodedImage)
    assert failed.facts == decode.measure(b"abc")
    assert failed.facts.sha256.startswith("ba7816bf")


def test_a_failure_holds_no_pixels_and_no_text_of_pillows() -> None:
    failed = try_decode(pictures.encode(PICTURE, "PNG")[:400], OPTIONS)
    assert isinstance(failed, UndecodedImage)
    error = failed.error
    assert (error.__cause__, error.__context__, error.__traceback__) == (None, None, None)
    assert error.message == "the PNG ends too early"


def test_no_bytes_are_empty_and_nothing_more_is_known() -> None:
    failed = try_decode(b"", OPTIONS)
    assert isinstance(failed, UndecodedImage)
    assert (failed.error.code, failed.facts) == (FailureCode.EMPTY, decode.measure(b""))


def test_memory_that_runs_out_can_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_out(self: object) -> None:
        raise MemoryError

    monkeypatch.setattr(BmpImagePlugin.BmpImageFile, "load", run_out)
    failed = try_decode(pictures.encode(PICTURE, "BMP"), OPTIONS)
    assert isinstance(failed, UndecodedImage)
    assert (failed.error.code, failed.error.retryable) == (FailureCode.TOO_MUCH_MEMORY, True)


def test_the_second_header_of_a_bitmap_may_say_its_rows_go_down() -> None:
    data = bytearray(pictures.encode(PICTURE, "BMP"))
    data[22:26] = struct.pack("<i", -HEIGHT_PX)
    pictures.assert_equal(_decode(bytes(data)), ImageOps.flip(PICTURE))
