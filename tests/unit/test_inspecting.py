"""What is read of an image before a decoder sees it."""

import pytest
from PIL import Image

from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing.formats import FORMATS
from imgcls_beam.preparing.inspecting.headers import inspect_webp
from imgcls_beam.preparing.inspecting.jpeg import inspect_jpeg
from imgcls_beam.preparing.inspecting.png import inspect_png
from imgcls_beam.preparing.inspecting.tags import is_tag_bomb
from imgcls_beam.preparing.limits import check_inspection
from tests import pictures

PICTURE = pictures.draw_picture()
ENCODED = {name: pictures.encode(PICTURE, name) for name in FORMATS}
BIG_PX = (13_000, 12_000)
HEIF_SIZE_PX = (64, 64)
"""HEVC is coded in blocks of 64, and cropped."""


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("PNG", pictures.png_of(BIG_PX)),
        ("PNG", pictures.animated_png_of(BIG_PX)),
        ("GIF", pictures.gif_of(BIG_PX)),
        ("GIF", pictures.gif_of(BIG_PX, b"!\xfe\x03abc\0!\xff\x02ab\0")),
        ("GIF", pictures.gif_of(BIG_PX, b"!\xf9\0\x0d,\0\0\0\0\1\0\1\0\0\0\0\0\0")),
        ("WEBP", pictures.webp_lossless_of(BIG_PX)),
        ("WEBP", pictures.webp_extended_of(BIG_PX)),
        ("TIFF", pictures.tiff_of(BIG_PX, (16, 16))),
        ("TIFF", pictures.tiff_of((8, 8), BIG_PX)),
    ],
)
def test_a_large_size_is_found_before_anything_is_opened(name: str, data: bytes) -> None:
    assert FORMATS[name].inspect(data).size == BIG_PX


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "HEIF"])
def test_the_declared_size_is_the_pictures_own(name: str) -> None:
    assert FORMATS[name].inspect(ENCODED[name]).size == pictures.SIZE_PX


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("JPEG", pictures.encode(PICTURE, "JPEG", progressive=True, exif=pictures.exif_block(6))),
        ("JPEG", pictures.with_jpeg_segments(ENCODED["JPEG"], 0xFE, *[b""] * 400)),
        ("TIFF", pictures.encode(PICTURE, "TIFF", big_tiff=True)),
        ("JPEG2000", pictures.encode(PICTURE, "JPEG2000", no_jp2=True)),
        ("BMP", pictures.bmp_of(pictures.SIZE_PX)),
        ("BMP", pictures.bmp_of((46, -30))),
        ("BMP", b"BM\x1a\0\0\0\0\0\0\0\x1a\0\0\0\x0c\0\0\0\x2e\0\x1e\0\1\0\x18\0"),
        ("PPM", pictures.encode(PICTURE.convert("F"), "PPM")),
        ("PPM", b"P4 # a comment with 9 9\n# another\r\n46\t30\n"),
    ],
)
def test_the_size_is_found_in_the_rarer_forms_of_a_format(name: str, data: bytes) -> None:
    assert FORMATS[name].inspect(data).size == pictures.SIZE_PX


@pytest.mark.parametrize(("lossless", "exif"), [(True, b""), (False, pictures.exif_block(1))])
def test_each_kind_of_webp_declares_its_size(lossless: bool, exif: bytes) -> None:
    data = pictures.encode(PICTURE, "WEBP", lossless=lossless, exif=exif)
    assert inspect_webp(data).size == pictures.SIZE_PX


def test_the_last_header_of_a_png_counts_too() -> None:
    small_first = pictures.png_of((1, 1), pictures.png_of(BIG_PX)[8:33])
    assert inspect_png(small_first).size == BIG_PX


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kept_bytes", [4, 12, 20, 25, 33, 60])
def test_a_header_that_is_cut_raises_nothing(name: str, kept_bytes: int) -> None:
    found = FORMATS[name].inspect(ENCODED[name][:kept_bytes])
    check_inspection(name, found, DecodeOptions())
    assert found.size in (None, pictures.SIZE_PX, (1, 1), HEIF_SIZE_PX)
    assert found.is_cut == (name != "PPM")


@pytest.mark.parametrize("name", FORMATS)
def test_a_whole_image_is_not_cut_short(name: str) -> None:
    assert not FORMATS[name].inspect(ENCODED[name]).is_cut


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "PPM"])
@pytest.mark.parametrize("kept_ratio", [0.1, 0.5, 0.9])
def test_an_image_without_its_end_is_cut_short(name: str, kept_ratio: float) -> None:
    data = ENCODED[name]
    assert FORMATS[name].inspect(data[: int(len(data) * kept_ratio)]).is_cut


def test_the_scans_of_a_jpeg_are_counted() -> None:
    assert inspect_jpeg(ENCODED["JPEG"]).scans == 1
    assert inspect_jpeg(pictures.jpeg_with_scans(30)).scans == 30


def test_many_scans_are_counted_and_not_walked() -> None:
    found = inspect_jpeg(pictures.jpeg_with_scans(5000))
    assert (found.size, found.scans, found.is_cut) == (pictures.SIZE_PX, 5000, False)


def test_a_film_behind_a_jpeg_holds_no_scans() -> None:
    moving = ENCODED["JPEG"] + b"\xff\xda\x00\x08" * 500
    assert inspect_jpeg(moving).scans == 1


def test_scan_marks_in_a_comment_are_no_scans() -> None:
    data = pictures.with_jpeg_segments(ENCODED["JPEG"], 0xFE, b"\xff\xda" * 500)
    assert inspect_jpeg(data).scans == 1


def test_tags_that_share_their_bytes_are_a_bomb_and_a_cameras_are_not() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x927C] = "maker " * 300, 6, b"n" * 9000
    assert is_tag_bomb(b"Exif\0\0" + pictures.tag_bomb(2000, 30_000))
    assert not is_tag_bomb(exif.tobytes())
    assert not is_tag_bomb(b"Exif\0\0garbage")


def test_a_bomb_behind_a_sub_directory_is_found() -> None:
    bomb = pictures.tag_bomb(2000, 30_000)
    to_bomb = pictures.exif_block(1)[6:].replace(b"\x12\x01\x03\0", b"\x69\x87\x04\0")
    assert is_tag_bomb(to_bomb[:18] + (34).to_bytes(4, "little") + bytes(4) + bomb)


def test_a_jpegs_exif_is_renamed_only_where_it_is_a_bomb() -> None:
    plain = pictures.jpeg_without_density(PICTURE)
    good = pictures.with_jpeg_segments(plain, 0xE1, pictures.exif_block(6))
    block = pictures.tag_bomb(9000, 120_000)
    parts = [b"Exif\0\0" + block[i : i + 60_000] for i in range(0, len(block), 60_000)]
    bad = pictures.with_jpeg_segments(plain, 0xE1, pictures.exif_block(6), *parts)
    assert inspect_jpeg(good).data is good
    assert b"Exif" not in inspect_jpeg(bad).data
    assert len(inspect_jpeg(bad).data) == len(bad)
