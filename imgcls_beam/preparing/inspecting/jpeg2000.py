"""JPEG 2000: a codestream, bare or in a box."""

import itertools
import re
import struct
from collections.abc import Sequence

from imgcls_beam.preparing.inspecting import NOTHING_SAID, Inspection, Samples, WidthHeight
from imgcls_beam.preparing.inspecting.boxed import is_box_cut, walk_boxes
from imgcls_beam.preparing.inspecting.jpeg2000_blocks import count_blocks
from imgcls_beam.preparing.inspecting.jpeg2000_channels import (
    Channels,
    find_grids,
    name_misread,
    read_channels,
)
from imgcls_beam.preparing.limits import MAX_BLOCKS, MIN_TILE_PIXELS

_BARE_CODESTREAM = b"\xff\x4f"
_MAX_GRIDS = 16
_SAMPLE_BYTES, _LOADED_PIXEL_BYTES = 4, 4
_NEEDED = frozenset({b"jP  ", b"ftyp", b"jp2h", b"jp2c"})
"""The boxes that a decoder needs. It fails on any other of 1 MiB and more."""

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
    found = list(itertools.islice(find_grids(shown), _MAX_GRIDS + 1))
    grids = [struct.unpack(">8I", each[2]) for each in found]
    sizes = [(max(0, right - left), max(0, low - top)) for right, low, left, top, *_ in grids]
    channels = [read_channels(shown, each) for each in found]
    first = channels[0] if channels else None
    tiles = zip(grids, sizes, channels, strict=True)
    return Inspection(
        shown,
        sizes,
        is_cut=not data.endswith(b"\xff\xd9") if is_bare else is_box_cut(data, boxes),
        small_tiles=max((_count_small_tiles(*grid) for grid in grids), default=0),
        tile_bytes=max((_count_tile_bytes(*each, len(shown)) for each in tiles), default=0),
        blocks=_count_blocks(shown, found, sizes),
        chunks=len(boxes),
        samples=_describe(first) if first else NOTHING_SAID,
        unsupported=name_misread(shown, first) if first else "",
    )


def _count_tile_bytes(
    grid: Sequence[int], size_px: WidthHeight, channels: Channels, encoded_bytes: int
) -> int:
    """What OpenJPEG and Pillow take for the largest tile: 4 bytes of each sample, and its own.

    Colour of more than 8 bits is decoded twice, as one of a bit more from a copy, which the decoder
    copies, with the first image in memory.
    """
    *_, tile_width, tile_height, _, _ = grid
    bits = max(channels.bits, default=0) + channels.is_deep_colour
    own_bytes = 1 if bits <= 8 else 2 if bits <= 16 else 4
    held_bytes = size_px[0] * size_px[1] * _LOADED_PIXEL_BYTES + 2 * encoded_bytes
    samples = min(tile_width, size_px[0]) * min(tile_height, size_px[1]) * len(channels.bits)
    return samples * (_SAMPLE_BYTES + own_bytes) + held_bytes * channels.is_deep_colour


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


def _describe(channels: Channels) -> Samples:
    """What the grey means: Pillow stretches it to 16 bits, signed grey over their whole range."""
    if len(channels.bits) != 1:
        return NOTHING_SAID
    is_told = channels.bits[0] != 16 or channels.is_signed
    return Samples(channels.bits[0], whites=(_MAX_16_BITS,) if is_told else ())


def _count_small_tiles(width: int, height: int, _left: int, _top: int, *tile: int) -> int:
    tile_width, tile_height, tile_left, tile_top = tile
    across = -(-max(0, width - tile_left) // max(1, tile_width))
    tiles = across * -(-max(0, height - tile_top) // max(1, tile_height))
    return tiles - width * height // MIN_TILE_PIXELS
