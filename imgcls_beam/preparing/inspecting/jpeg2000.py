"""JPEG 2000: a codestream, bare or in a box."""

import itertools
import re
import struct
from collections.abc import Sequence

from imgcls_beam.preparing.inspecting import NOTHING_SAID, Inspection, Samples, WidthHeight
from imgcls_beam.preparing.inspecting.boxed import is_box_cut, walk_boxes
from imgcls_beam.preparing.inspecting.jpeg2000_blocks import count_blocks
from imgcls_beam.preparing.limits import MAX_BLOCKS, MIN_TILE_PIXELS

_BARE_CODESTREAM = b"\xff\x4f"
_GRID = re.compile(rb"(?=\xff\x4f\xff\x51(..)..(.{32})(.{3}))", re.DOTALL)
"""One may begin within what looks like another."""
_MAX_GRIDS = 16
_FIXED_BYTES, _SAMPLE_BYTES = 38, 5
_NEEDED = frozenset({b"jP  ", b"ftyp", b"jp2h", b"jp2c"})
"""The boxes that a decoder needs. It fails on any other of 1 MiB and more."""

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
"""Colour spaces that Pillow takes for RGB or CMYK, by their number."""
_PALETTE = re.compile(rb"pclr..(.)", re.DOTALL)
_MAX_CHANNELS = 4
_SIGNED = 0x80
_MAX_16_BITS = 65_535


def inspect_jpeg2000(data: bytes) -> Inspection:
    """The sizes, pixels and blocks that its codestreams declare; how many small tiles there are.

    A decoder sees the boxes that it needs, and no others.
    """
    is_bare = data.startswith(_BARE_CODESTREAM)
    boxes = [] if is_bare else list(walk_boxes(data))
    others = [box for box in boxes if box.kind not in _NEEDED]
    shown = data
    if others and boxes[-1].end <= len(data):
        shown = b"".join(data[box.start : box.end] for box in boxes if box.kind in _NEEDED)
    found = list(itertools.islice(filter(_is_grid, _GRID.finditer(shown)), _MAX_GRIDS + 1))
    grids = [struct.unpack(">8I", each[2]) for each in found]
    sizes = [(max(0, right - left), max(0, low - top)) for right, low, left, top, *_ in grids]
    first = found[0] if found else None
    channels = [int.from_bytes(each[3][:2], "big") for each in found]
    tiles = zip(grids, sizes, channels, strict=True)
    return Inspection(
        shown,
        sizes,
        is_cut=not data.endswith(b"\xff\xd9") if is_bare else is_box_cut(data, boxes),
        small_tiles=max((_count_small_tiles(*grid) for grid in grids), default=0),
        tile_bytes=max((_count_tile_bytes(*each) for each in tiles), default=0),
        blocks=_count_blocks(shown, found, sizes),
        chunks=len(boxes),
        samples=_describe(first[3]) if first else NOTHING_SAID,
        unsupported=_name_unsupported(shown, first) if first else "",
    )


def _is_grid(found: re.Match[bytes]) -> bool:
    """Whether its length is what a decoder wants: packed pixels look like the rest now and then."""
    length, channels = (int.from_bytes(part, "big") for part in (found[1], found[3][:2]))
    return length == _FIXED_BYTES + 3 * channels


def _count_tile_bytes(grid: Sequence[int], size_px: WidthHeight, channels: int) -> int:
    """What OpenJPEG and Pillow take for the largest tile: 4 bytes and 1 of each sample."""
    *_, tile_width, tile_height, _, _ = grid
    return min(tile_width, size_px[0]) * min(tile_height, size_px[1]) * channels * _SAMPLE_BYTES


def _count_blocks(
    data: bytes, found: Sequence[re.Match[bytes]], sizes: Sequence[WidthHeight]
) -> int:
    """Of the worst of its codestreams, as far as they are looked at; a file has one, or two."""
    if len(found) > _MAX_GRIDS:
        return MAX_BLOCKS + 1
    counts = [
        count_blocks(data, each.start(), size_px, int.from_bytes(each[3][:2], "big"))
        for each, size_px in zip(found, sizes, strict=True)
    ]
    return max(counts, default=0)


def _describe(channels: bytes) -> Samples:
    """What the grey means: Pillow stretches it to 16 bits, signed grey over their whole range."""
    if not channels.startswith(b"\0\1"):
        return NOTHING_SAID
    bits = (channels[2] & ~_SIGNED) + 1
    is_told = bits != 16 or channels[2] & _SIGNED
    return Samples(bits, whites=(_MAX_16_BITS,) if is_told else ())


def _name_unsupported(data: bytes, first: re.Match[bytes]) -> str:
    """What it is where Pillow does not know its channels, or takes them for others."""
    channels = int.from_bytes(first[3][:2], "big")
    if channels > _MAX_CHANNELS:
        return f"a JPEG 2000 of {channels} channels"
    palette = _PALETTE.search(data, 0, first.start())
    if palette and any(
        each & ~_SIGNED > 7 for each in data[palette.end() : palette.end() + palette[1][0]]
    ):
        return "a JPEG 2000 with a palette of more than 8 bits"
    space = _COLOUR.search(data, 0, first.start())
    number = int.from_bytes(space[1], "big") if space else 0
    return f"a JPEG 2000 of {_OTHER_COLOURS[number]}" if number in _OTHER_COLOURS else ""


def _count_small_tiles(width: int, height: int, _left: int, _top: int, *tile: int) -> int:
    tile_width, tile_height, tile_left, tile_top = tile
    across = -(-max(0, width - tile_left) // max(1, tile_width))
    tiles = across * -(-max(0, height - tile_top) // max(1, tile_height))
    return tiles - width * height // MIN_TILE_PIXELS
