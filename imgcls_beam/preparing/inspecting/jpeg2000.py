"""JPEG 2000: a bare codestream, or one in boxes."""

import re
import struct

from imgcls_beam.preparing.inspecting import Inspection
from imgcls_beam.preparing.inspecting.boxes import is_box_cut
from imgcls_beam.preparing.limits import MIN_TILE_PIXELS

_BARE = b"\xff\x4f"
_GRID = re.compile(rb"\xff\x4f\xff\x51.{4}(.{32})", re.DOTALL)


def inspect(data: bytes) -> Inspection:
    """The sizes that its codestreams declare, and how many small tiles one of them has at most."""
    grids = [struct.unpack(">8I", found[1]) for found in _GRID.finditer(data)]
    sizes = [(max(0, right - left), max(0, low - top)) for right, low, left, top, *_ in grids]
    return Inspection(
        data,
        sizes,
        is_cut=not data.endswith(b"\xff\xd9") if data.startswith(_BARE) else is_box_cut(data),
        small_tiles=max((_count_small_tiles(*grid) for grid in grids), default=0),
    )


def _count_small_tiles(width: int, height: int, _left: int, _top: int, *tile: int) -> int:
    tile_width, tile_height, tile_left, tile_top = tile
    across = -(-max(0, width - tile_left) // max(1, tile_width))
    tiles = across * -(-max(0, height - tile_top) // max(1, tile_height))
    return tiles - width * height // MIN_TILE_PIXELS
