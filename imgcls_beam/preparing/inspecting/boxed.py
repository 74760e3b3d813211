"""AVIF, HEIF and JPEG 2000, which are made of the boxes of ISO files."""

import dataclasses
import re
import struct

from imgcls_beam.preparing.inspecting import Inspection, Samples
from imgcls_beam.preparing.limits import MIN_TILE_PIXELS

_ISPE = re.compile(rb"ispe\0.{3}(.{8})", re.DOTALL)
_EXIF = re.compile(rb"(infe[\2\3].{7,9}?)Exif", re.DOTALL)

_BARE_CODESTREAM = b"\xff\x4f"
_GRID = re.compile(rb"\xff\x4f\xff\x51.{4}(.{32})(.{3})", re.DOTALL)
_COLOUR = re.compile(rb"colr\x01..(.{4})", re.DOTALL)
_OTHER_COLOURS = {
    1: "YCbCr",
    3: "YCbCr",
    4: "YCbCr",
    9: "PhotoYCC",
    11: "CMY",
    13: "YCCK",
    14: "CIELAB",
    19: "CIEJab",
}
_MAX_CHANNELS = 4
_SIGNED = 0x80
_MAX_16_BITS = 65_535
_HEAD_BYTES = 1 << 16


def inspect_avif(data: bytes) -> Inspection:
    """The sizes of its items. EXIF is renamed always, since Pillow refuses an image with bad EXIF.

    The orientation is not lost: AVIF keeps it in a box of its own.
    """
    return Inspection(
        _EXIF.sub(rb"\1none", data) if _EXIF.search(data) else data,
        [struct.unpack(">II", found[1]) for found in _ISPE.finditer(data)],
        is_cut=_is_box_cut(data),
    )


def inspect_heif(data: bytes) -> Inspection:
    """The sizes of its items, and their codec; EXIF is renamed, as in AVIF."""
    is_usual = b"hvc1" in data[:_HEAD_BYTES]
    variant = "" if is_usual else "a HEIF of another codec than HEVC"
    return dataclasses.replace(inspect_avif(data), variant=variant)


def inspect_jpeg2000(data: bytes) -> Inspection:
    """The sizes and pixels that its codestreams declare; how many small tiles one has at most."""
    grids = [struct.unpack(">8I", found[1]) for found in _GRID.finditer(data)]
    sizes = [(max(0, right - left), max(0, low - top)) for right, low, left, top, *_ in grids]
    is_bare = data.startswith(_BARE_CODESTREAM)
    return Inspection(
        data,
        sizes,
        is_cut=not data.endswith(b"\xff\xd9") if is_bare else _is_box_cut(data),
        small_tiles=max((_count_small_tiles(*grid) for grid in grids), default=0),
        samples=_describe(data),
        unsupported=_name_unsupported(data),
    )


def _describe(data: bytes) -> Samples:
    """What the grey means: Pillow stretches it to 16 bits, signed grey over their whole range."""
    found = _GRID.search(data)
    if not found or not found[2].startswith(b"\0\1"):
        return Samples()
    bits = (found[2][2] & 0x7F) + 1
    is_told = bits != 16 or found[2][2] & _SIGNED
    return Samples(bits, whites=(_MAX_16_BITS,) if is_told else ())


def _name_unsupported(data: bytes) -> str:
    """What a JPEG 2000 is whose channels Pillow does not know, or takes for others."""
    found = _GRID.search(data)
    channels = int.from_bytes(found[2][:2], "big") if found else 0
    if channels > _MAX_CHANNELS:
        return f"a JPEG 2000 of {channels} channels"
    space = _COLOUR.search(data[: found.start()]) if found else None
    number = int.from_bytes(space[1], "big") if space else 0
    return f"a JPEG 2000 of {_OTHER_COLOURS[number]}" if number in _OTHER_COLOURS else ""


def _count_small_tiles(width: int, height: int, _left: int, _top: int, *tile: int) -> int:
    tile_width, tile_height, tile_left, tile_top = tile
    across = -(-max(0, width - tile_left) // max(1, tile_width))
    tiles = across * -(-max(0, height - tile_top) // max(1, tile_height))
    return tiles - width * height // MIN_TILE_PIXELS


def _is_box_cut(data: bytes) -> bool:
    """Whether the last box ends behind the data, or none holds pixels."""
    at, has_pixels = 0, False
    while at + 8 <= len(data):
        has_pixels |= data[at + 4 : at + 8] in (b"mdat", b"jp2c")
        length = int.from_bytes(data[at : at + 4], "big")
        if length == 1:
            length = int.from_bytes(data[at + 8 : at + 16], "big")
        if length < 8:  # 0: the last box, as long as the file is
            return False
        at += length
    return at != len(data) or not has_pixels
