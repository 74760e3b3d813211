"""Images made to break decoders: each costs its row, and little memory."""

import pathlib
import random
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable

import pytest

from imgcls_beam.errors import FailureCode, ImageError, Stage
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing.decode import DecodedImage, try_decode
from tests import pictures
from tests.hostile.mutants import SEEDS, mutate

OPTIONS = DecodeOptions(max_pixels=1 << 20)
MUTATIONS = 300
MEMORY_MB_MAX = 100
ROOT = pathlib.Path(__file__).resolve().parents[2]

PICTURE = pictures.draw_picture()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", SEEDS)
def test_a_mutated_image_is_decoded_or_is_an_image_error(seed: str) -> None:
    random_source = random.Random(seed)
    codes = []
    for _ in range(MUTATIONS):
        outcome = try_decode(mutate(SEEDS[seed], random_source), OPTIONS)
        if isinstance(outcome, DecodedImage):
            assert outcome.image.mode == "RGB"
            assert outcome.image.size == (outcome.facts.width_px, outcome.facts.height_px)
        else:
            assert isinstance(outcome.error, ImageError)
            assert outcome.error.stage is Stage.PREPARE or not outcome.facts.size_bytes
            codes.append(outcome.error.code)
    assert FailureCode.TRUNCATED in codes


def test_bytes_behind_a_good_signature_are_an_image_error() -> None:
    random_source = random.Random(1)
    heads = [data[:size] for data in SEEDS.values() for size in (4, 12, 16, 30)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for head in heads:
            outcome = try_decode(head + random_source.randbytes(300), OPTIONS)
            assert isinstance(outcome, DecodedImage) or outcome.error.message


BOMB_PX = (13_000, 12_000)
PLAIN_JPEG = pictures.jpeg_without_density(PICTURE)


def _with_exif(kind: str) -> bytes:
    exif = pictures.tag_bomb(5000, 120_000)
    if kind != "JPEG":
        return pictures.encode(PICTURE, kind, exif=exif)
    parts = [b"Exif\0\0" + exif[i : i + 60_000] for i in range(0, len(exif), 60_000)]
    return pictures.with_jpeg_segments(PLAIN_JPEG, 0xE1, *parts)


def _with_xmp() -> bytes:
    text = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(200 << 20))
    return pictures.png_of((1, 1), pictures.png_chunk(b"iTXt", text))


TOO_MANY = FailureCode.TOO_MANY_PIXELS
BOMBS: dict[str, tuple[Callable[[], bytes], FailureCode | None]] = {
    "WEBP of 34 bytes": (lambda: pictures.webp_lossless_of(BOMB_PX), TOO_MANY),
    "WEBP canvas": (lambda: pictures.webp_extended_of(BOMB_PX), TOO_MANY),
    "PNG": (lambda: pictures.png_of(BOMB_PX), TOO_MANY),
    "PNG, animated": (lambda: pictures.animated_png_of(BOMB_PX), TOO_MANY),
    "JPEG": (lambda: pictures.jpeg_of(BOMB_PX), TOO_MANY),
    "BMP of 54 bytes": (lambda: pictures.bmp_of(BOMB_PX), TOO_MANY),
    "PPM of 19 bytes": (lambda: b"P6 13000 12000 255\n", TOO_MANY),
    "GIF of 43 bytes": (lambda: pictures.gif_of(BOMB_PX), TOO_MANY),
    "TIFF, one tile": (lambda: pictures.tiff_of((8, 8), (20_000, 20_000)), TOO_MANY),
    "TIFF, tags": (lambda: pictures.tag_bomb(5000, 120_000), FailureCode.CORRUPT),
    "JPEG2000, tiles": (
        lambda: pictures.jpeg2000_with_tiles((255, 255), (1, 1)),
        FailureCode.CORRUPT,
    ),
    "JPEG, EXIF": (lambda: _with_exif("JPEG"), None),
    "PNG, EXIF": (lambda: _with_exif("PNG"), None),
    "WEBP, EXIF": (lambda: _with_exif("WEBP"), None),
    "PNG, profile": (
        lambda: pictures.encode(PICTURE, "PNG", icc_profile=bytes(200 << 20)),
        None,
    ),
    "PNG, XMP": (_with_xmp, None),
    "GIF, comment": (
        lambda: pictures.gif_of((1, 1), b"!\xfe" + (b"\xff" * 256) * 8000 + b"\0"),
        None,
    ),
    "PGM, one long comment": (lambda: b"P5 " + b"#" * 2_000_000, FailureCode.CORRUPT),
    "PGM, no maximum": (lambda: b"P5 46 30\n" + b"#" * 2_000_000, FailureCode.CORRUPT),
    "JPEG, segments": (
        lambda: pictures.with_jpeg_segments(PLAIN_JPEG, 0xE5, *[b""] * 200_000),
        FailureCode.CORRUPT,
    ),
    "JPEG, scans": (lambda: pictures.jpeg_with_scans(5000), FailureCode.TOO_MANY_SCANS),
}
"""What makes each, which takes up to a second, and the failure that it is."""
MEASURE = """
import re, sys
from PIL import Image
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing.decode import try_decode
data = sys.stdin.buffer.read()
# Not ru_maxrss, which begins with what the parent of the process had.
kb = lambda: int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
before = kb()
outcome = try_decode(data, DecodeOptions())
error = getattr(outcome, "error", None)
sys.stdout.write(f"{error.code if error else None} {(kb() - before) // 1024}")
"""


def _decode_in_child(data: bytes) -> tuple[str, int]:
    """The failure's code, or `None`; and by how many MB the process grew at its highest."""
    child = subprocess.run(
        [sys.executable, "-c", MEASURE], input=data, capture_output=True, cwd=ROOT, check=True
    )
    code, grown_mb = child.stdout.decode().split()
    return code, int(grown_mb)


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_does_not_go_off(bomb: str) -> None:
    make, code = BOMBS[bomb]
    said, grown_mb = _decode_in_child(make())
    assert said == str(code)
    assert grown_mb < MEMORY_MB_MAX


@pytest.mark.slow
def test_a_large_image_takes_two_copies_at_most_and_the_measure_sees_them() -> None:
    picture = PICTURE.convert("RGBA").resize((6000, 5000))
    data = pictures.encode(picture, "PNG", compress_level=1, exif=pictures.exif_block(6))
    said, grown_mb = _decode_in_child(data)
    copy_mb = 6000 * 5000 * 4 / (1 << 20)
    assert said == "None"
    assert copy_mb < grown_mb < copy_mb * 2.3


def test_an_avif_is_measured_by_its_largest_item_before_it_is_opened() -> None:
    data = SEEDS["AVIF"].replace(
        (46).to_bytes(4, "big") + (30).to_bytes(4, "big"),
        (13_000).to_bytes(4, "big") + (12_000).to_bytes(4, "big"),
    )
    outcome = try_decode(data, DecodeOptions())
    assert not isinstance(outcome, DecodedImage)
    assert outcome.error.code is FailureCode.TOO_MANY_PIXELS
