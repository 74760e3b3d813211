"""What an image declares, judged against the limits."""

import dataclasses
import struct
from typing import Any

import pytest
from PIL import Image

from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing.decode import UndecodedImage, try_decode
from imgcls_beam.preparing.decode_memory import estimate_bytes
from imgcls_beam.preparing.formats import FORMATS
from imgcls_beam.preparing.limits import check_inspection, check_memory, check_size
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


@pytest.mark.parametrize(("mode", "pixel_bytes"), [("L", 9), ("LA", 14), ("RGB", 19), ("RGBA", 24)])
def test_a_jpeg_2000_in_one_tile_counts_by_its_channels(mode: str, pixel_bytes: int) -> None:
    data = pictures.encode(Image.new(mode, (64, 64)), "JPEG2000", no_jp2=True)
    found = FORMATS["JPEG2000"].inspect(data)
    taken = estimate_bytes("JPEG2000", dataclasses.replace(found, blocks=0), 64 * 64)
    assert taken == 64 * 64 * pixel_bytes


def test_a_tiled_jpeg_2000_counts_its_tiles_one_by_one() -> None:
    data = pictures.encode(
        Image.new("RGBA", (256, 256)), "JPEG2000", no_jp2=True, tile_size=(64, 64)
    )
    found = FORMATS["JPEG2000"].inspect(data)
    assert estimate_bytes("JPEG2000", dataclasses.replace(found, blocks=0), 1 << 16) == 8 << 16


@pytest.mark.parametrize(
    ("file_bytes", "groups"), [(34, 8), (100_000, 25_000), (295_000, 1 << 16), (8 << 20, 1 << 16)]
)
def test_a_lossless_webp_counts_the_tables_of_its_groups_of_codes(
    file_bytes: int, groups: int
) -> None:
    """One for each 16 pixels at the most, and for each four bytes of the file."""
    found = FORMATS["WEBP"].inspect(pictures.webp_lossless_of((1024, 1024)))
    found = dataclasses.replace(found, data=found.data.ljust(file_bytes, b"\0"))
    assert estimate_bytes("WEBP", found, 1 << 20) == (13 << 20) + groups * 5700
    lossy = FORMATS["WEBP"].inspect(pictures.encode(pictures.draw_picture(), "WEBP"))
    assert estimate_bytes("WEBP", lossy, 1 << 20) == 13 << 20


@pytest.mark.parametrize(("options", "pixel_bytes"), [({}, 8), ({"progressive": True}, 16)])
def test_a_jpeg_whose_coefficients_are_held_counts_them(
    options: dict[str, Any], pixel_bytes: int
) -> None:
    data = pictures.encode(pictures.draw_picture(), "JPEG", **options)
    found = dataclasses.replace(FORMATS["JPEG"].inspect(data), scans=1)
    assert estimate_bytes("JPEG", found, 100) == 100 * pixel_bytes
    scanned = dataclasses.replace(found, is_held=False, scans=2)
    assert estimate_bytes("JPEG", scanned, 100) == 1600


def test_what_takes_more_memory_than_an_image_may_have_is_refused() -> None:
    outcome = try_decode(FILES["boxes: JPEG2000, 64 Mi pixels of four channels"](0), OPTIONS)
    assert isinstance(outcome, UndecodedImage)
    assert outcome.error.code is FailureCode.TOO_MUCH_MEMORY
    assert outcome.error.message.endswith("MiB to decode, more than 1,024")
    check_memory("JPEG2000", 1 << 30, DecodeOptions(max_pixels=1))
    check_memory("JPEG2000", 2 << 30, DecodeOptions(max_pixels=128 << 20))


def test_packed_pixels_that_look_like_a_header_are_none() -> None:
    """A decoder takes a header only if it is as long as its channels want it."""
    data = pictures.encode(Image.new("RGB", (64, 64)), "JPEG2000", no_jp2=True)
    lookalike = b"\xff\x4f\xff\x51" + bytes(range(40))
    assert FORMATS["JPEG2000"].inspect(data + lookalike).sizes == [(64, 64)]
    hidden = b"\xff\x4f\xff\x51" + data
    assert FORMATS["JPEG2000"].inspect(hidden).sizes == [(64, 64)]
