"""What an image declares, judged against the limits."""

import struct

import pytest

from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing.formats import FORMATS
from imgcls_beam.preparing.limits import check_inspection
from tests import pictures

OPTIONS = DecodeOptions()
PLAIN_JPEG = pictures.encode(pictures.draw_picture(), "JPEG")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("GIF", pictures.gif_of((1, 1), b"!\xfe" + b"\1a" * 600_000), "524,288 blocks"),
        ("GIF", pictures.gif_of((1, 1), b"!\xf9\1a\0" * 600_000), "524,288 blocks"),
        ("GIF", pictures.gif_of((1, 1), b"\0" * 600_000), "524,288 blocks"),
        (
            "JPEG",
            pictures.with_jpeg_segments(PLAIN_JPEG, 0xE5, *[b""] * 200_000),
            "segments in its head",
        ),
        ("PNG", pictures.png_of((1, 1), pictures.png_chunk(b"IDAT", b"") * 140_000), "chunks"),
        ("JPEG2000", pictures.jpeg2000_with_tiles((255, 255), (1, 1)), "tiles"),
        ("TIFF", pictures.tag_bomb(2000, 30_000), "claim more bytes"),
    ],
)
def test_a_header_that_would_take_a_decoders_memory_is_refused(
    name: str, data: bytes, message: str
) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        check_inspection(name, FORMATS[name].inspect(data), OPTIONS)
    assert caught.value.code is FailureCode.CORRUPT


@pytest.mark.parametrize("name", FORMATS)
def test_a_good_image_sets_off_no_trap(name: str) -> None:
    data = pictures.encode(pictures.draw_picture(), name)
    check_inspection(name, FORMATS[name].inspect(data), OPTIONS)


def test_scans_are_limited_by_the_pixels_that_they_go_over() -> None:
    for size_px, scans, is_allowed in (
        ((8192, 8192), 20, True),
        ((8192, 8192), 21, False),
        ((4000, 3000), 100, True),
        ((6000, 4000), 60, False),
    ):
        declared = struct.pack(">HH", *size_px[::-1])
        data = pictures.jpeg_with_scans(scans)
        data = data.replace(struct.pack(">HH", *pictures.SIZE_PX[::-1]), declared, 1)
        found = FORMATS["JPEG"].inspect(data)
        assert (found.size, found.scans) == (size_px, scans)
        if is_allowed:
            check_inspection("JPEG", found, OPTIONS)
        else:
            with pytest.raises(ImageError, match="scans of") as caught:
                check_inspection("JPEG", found, OPTIONS)
            assert caught.value.code is FailureCode.TOO_MANY_SCANS


def test_small_tiles_of_a_large_image_are_allowed() -> None:
    data = pictures.jpeg2000_with_tiles((2000, 2000), (64, 64))
    check_inspection("JPEG2000", FORMATS["JPEG2000"].inspect(data), OPTIONS)
