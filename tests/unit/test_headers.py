"""What is read of an image before a decoder sees it."""

import pytest
from PIL import Image

from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.preparing import headers, metadata
from imgcls_beam.preparing.signatures import SUPPORTED_FORMATS, identify
from tests import pictures

PICTURE = pictures.draw_picture()
ENCODED = {name: pictures.encode(PICTURE, name) for name in SUPPORTED_FORMATS}


@pytest.mark.parametrize("name", SUPPORTED_FORMATS)
def test_a_format_is_known_by_what_pillow_writes(name: str) -> None:
    assert identify(ENCODED[name]) == name


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x20ftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
        (b"\0\0\0\x20ftypavis\0\0\0\0avismsf1miaf", "AVIF"),
        (b"MM\0*\0\0\0\x08", "TIFF"),
        (b"II+\0\x08\0\0\0", "TIFF"),
        (b"P6\n2 2\n255\n", "PPM"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    ],
)
def test_a_format_is_known_by_its_rarer_signatures(head: bytes, name: str) -> None:
    assert identify(head) == name


@pytest.mark.parametrize(
    ("data", "looks_like"),
    [
        (b"<!DOCTYPE html><html></html>", "an HTML page"),
        (b"\xef\xbb\xbf\r\n <HTML><body>404", "an HTML page"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b"<svg width='3'/>", "an SVG drawing"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "an XML document"),
        (b'{"error": "not found"}', "a JSON document"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\x1f\x8b\x08\0", "a gzip file"),
        (b"PK\x03\x04\x14\0", "a zip archive"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "a video"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (bytes(4096), "a file of zero bytes"),
        (b"BMW is a maker of cars\n", "plain text"),
    ],
)
def test_what_is_no_image_is_called_what_it_looks_like(data: bytes, looks_like: str) -> None:
    with pytest.raises(ImageError) as caught:
        identify(data)
    assert caught.value.code is FailureCode.NOT_AN_IMAGE
    assert caught.value.message == f"not an image: it looks like {looks_like}"


@pytest.mark.parametrize("data", [b"\x07\x93\xee", bytes(range(200, 256)), b"\0"])
def test_bytes_of_no_known_kind_are_no_image(data: bytes) -> None:
    with pytest.raises(ImageError, match="no known signature") as caught:
        identify(data)
    assert caught.value.code is FailureCode.NOT_AN_IMAGE


@pytest.mark.parametrize("kind", ["ICO", "DDS", "ICNS", "QOI", "SGI", "PCX", "EPS"])
def test_what_pillow_could_open_beyond_the_list_is_unsupported(kind: str) -> None:
    data = pictures.encode(PICTURE, kind)
    with pytest.raises(ImageError) as caught:
        identify(data)
    assert caught.value.code is FailureCode.UNSUPPORTED_FORMAT


def test_a_heif_photo_is_unsupported_and_the_message_says_what_is_not() -> None:
    with pytest.raises(ImageError, match="HEIF images are not decoded; decoded are JPEG, PNG"):
        identify(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")


def test_no_bytes_are_empty() -> None:
    with pytest.raises(ImageError) as caught:
        identify(b"")
    assert caught.value.code is FailureCode.EMPTY


BIG_PX = (13_000, 12_000)


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
    assert headers.declared_size(data, name) == BIG_PX


@pytest.mark.parametrize("name", ["PNG", "GIF", "WEBP", "AVIF", "TIFF", "JPEG2000"])
def test_the_declared_size_is_the_pictures_own(name: str) -> None:
    assert headers.declared_size(ENCODED[name], name) == pictures.SIZE_PX


@pytest.mark.parametrize(("lossless", "exif"), [(True, b""), (False, pictures.exif_block(1))])
def test_each_kind_of_webp_declares_its_size(lossless: bool, exif: bytes) -> None:
    data = pictures.encode(PICTURE, "WEBP", lossless=lossless, exif=exif)
    assert headers.declared_size(data, "WEBP") == pictures.SIZE_PX


def test_the_last_header_of_a_png_counts_too() -> None:
    small_first = pictures.png_of((1, 1), pictures.png_of(BIG_PX)[8:33])
    assert headers.declared_size(small_first, "PNG") == BIG_PX


@pytest.mark.parametrize("name", SUPPORTED_FORMATS)
@pytest.mark.parametrize("kept_bytes", [4, 12, 20, 25, 33, 60])
def test_a_header_that_is_cut_raises_nothing(name: str, kept_bytes: int) -> None:
    data = ENCODED[name][:kept_bytes]
    headers.check_traps(data, name)
    assert headers.declared_size(data, name) in (None, pictures.SIZE_PX, (1, 1))
    assert headers.is_cut_short(data, name) == (name != "PPM")


@pytest.mark.parametrize("name", SUPPORTED_FORMATS)
def test_a_whole_image_is_not_cut_short(name: str) -> None:
    assert not headers.is_cut_short(ENCODED[name], name)


def test_scans_are_counted_up_to_the_limit() -> None:
    data = pictures.jpeg_with_scans(30)
    assert headers.has_more_scans(data, 29)
    assert not headers.has_more_scans(data, 30)


def test_a_film_behind_a_jpeg_holds_no_scans() -> None:
    moving = ENCODED["JPEG"] + b"\xff\xda\x00\x08" * 500
    assert not headers.has_more_scans(moving, 100)


def test_scan_marks_in_a_comment_are_no_scans() -> None:
    data = pictures.with_jpeg_segments(ENCODED["JPEG"], 0xFE, b"\xff\xda" * 500)
    assert not headers.has_more_scans(data, 100)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("GIF", pictures.gif_of((1, 1), b"!\xfe" + (b"\xff" + b"a" * 255) * 5000), "comments"),
        ("GIF", pictures.gif_of((1, 1), b"!\xff" + (b"\xff" + b"a" * 255) * 17_000), "4 MiB"),
        ("JPEG2000", pictures.jpeg2000_with_tiles((255, 255), (1, 1)), "tiles"),
        ("TIFF", pictures.tag_bomb(2000, 30_000), "claim more bytes"),
    ],
)
def test_a_header_that_would_take_a_decoders_memory_is_refused(
    name: str, data: bytes, message: str
) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        headers.check_traps(data, name)
    assert caught.value.code is FailureCode.CORRUPT


@pytest.mark.parametrize("name", SUPPORTED_FORMATS)
def test_a_good_image_sets_off_no_trap(name: str) -> None:
    headers.check_traps(ENCODED[name], name)


def test_small_tiles_of_a_large_image_are_allowed() -> None:
    data = pictures.jpeg2000_with_tiles((2000, 2000), (64, 64))
    headers.check_traps(data, "JPEG2000")


def test_tags_that_share_their_bytes_are_a_bomb_and_a_cameras_are_not() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x927C] = "maker " * 300, 6, b"n" * 9000
    assert metadata.is_tag_bomb(b"Exif\0\0" + pictures.tag_bomb(2000, 30_000))
    assert not metadata.is_tag_bomb(exif.tobytes())
    assert not metadata.is_tag_bomb(b"Exif\0\0garbage")


def test_a_bomb_behind_a_sub_directory_is_found() -> None:
    bomb = pictures.tag_bomb(2000, 30_000)
    to_bomb = pictures.exif_block(1)[6:].replace(b"\x12\x01\x03\0", b"\x69\x87\x04\0")
    assert metadata.is_tag_bomb(to_bomb[:18] + (34).to_bytes(4, "little") + bytes(4) + bomb)


def test_a_jpegs_exif_is_renamed_only_where_it_is_a_bomb() -> None:
    plain = pictures.jpeg_without_density(PICTURE)
    good = pictures.with_jpeg_segments(plain, 0xE1, pictures.exif_block(6))
    block = pictures.tag_bomb(9000, 120_000)
    parts = [b"Exif\0\0" + block[i : i + 60_000] for i in range(0, len(block), 60_000)]
    bad = pictures.with_jpeg_segments(plain, 0xE1, pictures.exif_block(6), *parts)
    assert metadata.without_hostile_exif(good, "JPEG") is good
    assert b"Exif" not in metadata.without_hostile_exif(bad, "JPEG")
    assert len(metadata.without_hostile_exif(bad, "JPEG")) == len(bad)
