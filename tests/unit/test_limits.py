"""What an image declares, judged against the limits."""

import struct
from typing import Any

import pytest
from PIL import Image

from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing.formats import FORMATS
from imgcls_beam.preparing.limits import check_inspection, check_size
from tests import pictures
from tests.hostile import FILES

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
        ("JPEG", FILES["JPEG: fill bytes"](2 << 20), "no segment"),
        ("JPEG", FILES["JPEG: stuffed bytes"](2 << 20), "no segment"),
        ("JPEG", FILES["JPEG: zero bytes"](2 << 20), "no segment"),
        ("JPEG", FILES["JPEG: restarts in the head"](2 << 20), "no segment"),
        ("JPEG", FILES["JPEG: quantization tables"](2 << 20), "no segment"),
        ("JPEG", b"\xff\xd8\xff\xd9" + b"\xff" * (2 << 20), "no segment"),
        ("JPEG", b"\xff\xd8" + b"\xff\xf0\xff\xff" * (1 << 19), "no segment"),
        ("JPEG2000", FILES["boxes: JPEG2000, precincts of 1,024²"](0), "precincts"),
        ("JPEG2000", FILES["boxes: JPEG2000, precincts, 33 levels"](0), "precincts"),
        ("JPEG2000", FILES["boxes: JPEG2000, blocks of 4 × 4"](0), "precincts"),
        ("TIFF", FILES["TIFF: strips of a row, plain"](3 << 20), "262,144 strips"),
        ("AVIF", FILES["boxes: AVIF, EXIF heads"](3 << 20), "131,072 chunks"),
        ("WEBP", FILES["WEBP: empty chunks"](2 << 20), "131,072 chunks"),
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


def test_run_lengths_that_would_take_long_are_not_decoded() -> None:
    data = FILES["flat: BMP, runs of no pixel"](9 << 20)
    with pytest.raises(ImageError, match="run lengths") as caught:
        check_inspection("BMP", FORMATS["BMP"].inspect(data), OPTIONS)
    assert caught.value.code is FailureCode.UNSUPPORTED
    check_inspection("BMP", FORMATS["BMP"].inspect(data[: 7 << 20]), OPTIONS)


@pytest.mark.parametrize("size_px", [(1, (1 << 20) + 1), ((1 << 20) + 1, 1)])
def test_an_edge_that_is_too_long_is_refused(size_px: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match="an edge") as caught:
        check_size(size_px, OPTIONS)
    assert caught.value.code is FailureCode.TOO_MANY_PIXELS
    assert check_size((size_px[0] - 1 or 1, size_px[1] - 1 or 1), OPTIONS) == 1 << 20


@pytest.mark.parametrize(
    ("size_px", "more"),
    [
        ((8192, 8192), {}),
        ((3000, 2000), {"codeblock_size": (16, 16)}),
        ((2048, 1080), {"precinct_size": (128, 128)}),
    ],
)
def test_a_usual_jpeg_2000_is_within_the_blocks(size_px: tuple[int, int], more: Any) -> None:
    """Its head is that of a small one, with another size."""
    small = pictures.encode(Image.new("RGB", (64, 64)), "JPEG2000", no_jp2=True, **more)
    data = bytearray(small)
    data[8:16] = data[24:32] = struct.pack(">II", *size_px)
    found = FORMATS["JPEG2000"].inspect(bytes(data))
    assert found.blocks > 0
    check_inspection("JPEG2000", found, OPTIONS)


def test_small_tiles_of_a_large_image_are_allowed() -> None:
    data = pictures.jpeg2000_with_tiles((2000, 2000), (64, 64))
    check_inspection("JPEG2000", FORMATS["JPEG2000"].inspect(data), OPTIONS)
