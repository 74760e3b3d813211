"""EXIF orientation, and sizes."""

import functools
import struct

from tests.edges import files
from tests.edges.case import ANSWERS, PHOTO, Difference, table
from tests.edges.files import draw_noise, exif_with
from tests.pictures import encode, exif_block, with_jpeg_segments

BAD_EXIF = Difference(
    "Bad EXIF",
    "Of EXIF the orientation alone is read, tolerantly. The reference writes the whole block anew, "
    "and rejects a good image for a tag that has nothing to do with its pixels.",
)
TOO_LONG = Difference(
    "Too long and thin",
    "A processor that resizes by the shorter edge makes of a long thin image one that takes "
    "gigabytes before its crop; beyond a limit it is refused.",
)
_ORIENTATION, _WIDTH, _SUB_DIRECTORY = 0x0112, 0x0100, 0x8769
_SIX = struct.pack("<HH", 6, 0)
_XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'

_turn = table("orientation")
_bad = table("orientation", ours=ANSWERS, difference=BAD_EXIF)
_size = table("sizes")


def _photo(kind: str, **options: object) -> functools.partial[bytes]:
    return functools.partial(encode, PHOTO, kind, **options)


def _jpeg(*tags: tuple[int, int, bytes]) -> functools.partial[bytes]:
    return _photo("JPEG", exif=exif_with(*tags))


def _noise(*size_px: int) -> functools.partial[bytes]:
    return functools.partial(encode, draw_noise((size_px[0], size_px[1])), "PNG")


ORIENTATION = (
    *(_turn(f"{n} in a JPEG", image=_photo("JPEG", exif=exif_block(n))) for n in range(10)),
    *(
        _turn(f"6 in {k}", image=_photo(k, exif=exif_block(6)))
        for k in ("PNG", "WEBP", "AVIF", "MPO")
    ),
    _turn("6 in TIFF", image=_photo("TIFF", tiffinfo={_ORIENTATION: 6})),
    _turn("65,535", image=_photo("JPEG", exif=exif_block(65_535))),
    _turn("6 for a PNG with alpha", image=lambda: encode(files.ALPHA, "PNG", exif=exif_block(6))),
    _turn(
        "5 for a grey JPEG", image=lambda: encode(PHOTO.convert("L"), "JPEG", exif=exif_block(5))
    ),
    _turn("6 in four bytes", image=_jpeg((_ORIENTATION, 4, struct.pack("<L", 6)))),
    _turn("6 as text", image=_jpeg((_ORIENTATION, 2, b"6\0\0\0"))),
    _turn(
        "6, big-endian",
        image=_photo(
            "JPEG",
            exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01"
            + struct.pack(">HHLHHL", _ORIENTATION, 3, 1, 6, 0, 0),
        ),
    ),
    _turn("6 in a JPEG's XMP", image=_photo("JPEG", xmp=_XMP)),
    _turn(
        "EXIF that is rubbish, in a JPEG", image=_photo("JPEG", exif=b"Exif\0\0rubbish, rubbish")
    ),
    _turn("EXIF that ends at once", image=_photo("JPEG", exif=b"Exif\0\0II*\0")),
    _turn("EXIF cut in its directory", image=_photo("JPEG", exif=exif_block(6)[:20])),
    _turn(
        "EXIF whose directory lies beyond", image=_photo("JPEG", exif=b"Exif\0\0II*\0\xff\xff\0\0")
    ),
    _turn(
        "6 beside a directory that lies beyond",
        image=_jpeg((_ORIENTATION, 3, _SIX), (_SUB_DIRECTORY, 4, b"\xff\xff\xff\0")),
    ),
    _turn(
        "6 in the second of two EXIF segments",
        image=lambda: with_jpeg_segments(
            encode(PHOTO, "JPEG"), 0xE1, exif_with((_WIDTH, 3, _SIX)), exif_block(6)
        ),
    ),
    _bad(
        "EXIF that is rubbish, in a PNG",
        "SyntaxError",
        image=lambda: files.png_with(b"eXIf", b"rubbish!"),
    ),
    _bad("EXIF that is rubbish, in a WebP", "SyntaxError", image=_photo("WEBP", exif=b"rubbish!")),
    _bad("EXIF that is rubbish, in an AVIF", "ValueError", image=files.avif_with_bad_exif),
    _bad(
        "6 beside a number that is text",
        "error",
        image=_jpeg((_ORIENTATION, 3, _SIX), (_WIDTH, 2, b"abc\0")),
    ),
)

SIZES = (
    _size("1 × 1", image=_noise(1, 1)),
    _size("2 × 3", image=_noise(2, 3)),
    _size("the model's own", image=_noise(32, 32)),
    _size("1 × 400", image=_noise(1, 400)),
    _size("400 × 1", image=_noise(400, 1)),
    _size("3,000 × 1", image=_noise(3000, 1)),
    _size("60,000 × 1", image=_noise(60_000, 1)),
    _size("1,500 × 1,500", image=_noise(1500, 1500)),
    _size("3 × 2 by the shorter edge", image=_noise(3, 2), model="shortest edge"),
    _size("3,000 × 1 by the shorter edge", image=_noise(3000, 1), model="shortest edge"),
    _size("1 × 3,000 by the shorter edge", image=_noise(1, 3000), model="shortest edge"),
    _size("3,000 × 1, the processor called", image=_noise(3000, 1), model="shortest edge, called"),
    _size("5 × 7, a crop beyond the image", image=_noise(5, 7), model="crop beyond the image"),
    _size(
        "30,000 × 1, the processor called",
        ours="unpreparable",
        difference=TOO_LONG,
        image=_noise(30_000, 1),
        model="shortest edge, called",
    ),
)
