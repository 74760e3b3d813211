"""What the first bytes say an object is."""

import pytest

from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.preparing.formats import FORMATS, identify
from tests import pictures

PICTURE = pictures.draw_picture()


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_known_by_what_pillow_writes(name: str) -> None:
    assert identify(pictures.encode(PICTURE, name)) == name


def test_each_format_has_an_inspector_of_its_own_and_pillows_reader() -> None:
    readers = {name: each.reader for name, each in FORMATS.items() if name != "HEIF"}
    assert {name: reader.format for name, reader in readers.items()} == {
        name: name for name in readers
    }
    assert len({each.inspect for each in FORMATS.values()}) == len(FORMATS)


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
    assert caught.value.code is FailureCode.UNSUPPORTED


def test_a_jpeg_xl_is_unsupported_and_the_message_says_what_is_not() -> None:
    with pytest.raises(ImageError, match="JPEG XL images are not decoded; decoded are JPEG, PNG"):
        identify(b"\xff\x0a\xfa\x1f")


def test_no_bytes_are_empty() -> None:
    with pytest.raises(ImageError) as caught:
        identify(b"")
    assert caught.value.code is FailureCode.EMPTY
