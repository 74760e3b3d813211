"""TIFFs of every kind of pixel, tag by tag: what Pillow reads and does not write."""

import dataclasses
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

_LONGS = frozenset({256, 257, 273, 278, 279, 322, 323, 324, 325, 330})
_DEFLATE = 8


@dataclasses.dataclass(frozen=True)
class TiffForm:
    """How pixels are laid down.

    Attributes:
        photometric: 0 where 0 is white, 1 where it is black, 2 RGB, 5 CMYK, 6 YCbCr, 8 CIELAB.
        bits: of a sample.
        number: 1 unsigned, 2 signed, 3 floating point.
        is_big: the byte order is big-endian.
        is_tiled: tiles of 16 × 16, else strips of eight rows.
        is_packed: deflated.
        is_planar: each channel apart.
        is_reversed: the bits of each byte run the other way (FillOrder).
        tags: more of them: one number, or several.
    """

    photometric: int = 1
    bits: int = 8
    number: int = 1
    is_big: bool = False
    is_tiled: bool = False
    is_packed: bool = False
    is_planar: bool = False
    is_reversed: bool = False
    tags: Mapping[int, int | list[int]] = dataclasses.field(default_factory=dict)

    @property
    def order(self) -> str:
        return ">" if self.is_big else "<"


def write_tiff(pixels: npt.NDArray[Any], form: TiffForm) -> bytes:
    """A TIFF of pixels of shape (H, W) or (H, W, C)."""
    height_px, width_px, *more = pixels.shape
    channels = more[0] if more else 1
    planes = [pixels[..., i] for i in range(channels)] if form.is_planar and more else [pixels]
    pieces = [
        _encode(piece, form) for plane in planes for piece in _cut(plane, is_tiled=form.is_tiled)
    ]
    tags: dict[int, int | list[int]] = {
        256: width_px,
        257: height_px,
        258: [form.bits] * channels,
        259: _DEFLATE if form.is_packed else 1,
        262: form.photometric,
        266: 2 if form.is_reversed else 1,
        277: channels,
        284: 2 if form.is_planar else 1,
        339: [form.number] * channels,
        **form.tags,
    }
    ends = np.cumsum([8, *map(len, pieces)]).tolist()
    lengths = list(map(len, pieces))
    places = {322: 16, 323: 16, 324: ends[:-1], 325: lengths}
    rows = {278: 8, 273: ends[:-1], 279: lengths}
    tags |= places if form.is_tiled else rows
    head = (b"MM\0*" if form.is_big else b"II*\0") + struct.pack(form.order + "L", ends[-1])
    return head + b"".join(pieces) + _write_directory(tags, ends[-1], form.order)


def _cut(plane: npt.NDArray[Any], *, is_tiled: bool) -> list[npt.NDArray[Any]]:
    height_px, width_px = plane.shape[:2]
    if not is_tiled:
        return [plane[top : top + 8] for top in range(0, height_px, 8)]
    more = [(0, -height_px % 16), (0, -width_px % 16), *[(0, 0)] * (plane.ndim - 2)]
    padded = np.pad(plane, more)
    return [
        padded[top : top + 16, left : left + 16]
        for top in range(0, height_px, 16)
        for left in range(0, width_px, 16)
    ]


def _encode(piece: npt.NDArray[Any], form: TiffForm) -> bytes:
    if form.bits % 8:
        wide = piece.reshape(len(piece), -1, 1).astype(">u2").view(np.uint8)
        bits = np.unpackbits(wide, axis=-1)[..., 16 - form.bits :]
        body = np.packbits(bits.reshape(len(piece), -1), axis=1)
    else:
        kind = {1: "u", 2: "i", 3: "f"}[form.number]
        body = piece.astype(f"{form.order}{kind}{form.bits // 8}")
    if form.is_reversed:
        body = np.packbits(np.unpackbits(body.view(np.uint8), bitorder="little"))
    return zlib.compress(body.tobytes()) if form.is_packed else body.tobytes()


def _write_directory(tags: Mapping[int, int | list[int]], at: int, order: str) -> bytes:
    entries, pool = b"", b""
    pool_at = at + 2 + 12 * len(tags) + 4
    for number, value in sorted(tags.items()):
        values = value if isinstance(value, list) else [value]
        kind, form = (4, "L") if number in _LONGS else (3, "H")
        body = struct.pack(f"{order}{len(values)}{form}", *values)
        if len(body) > 4:
            body, pool = struct.pack(order + "L", pool_at + len(pool)), pool + body
        entries += struct.pack(order + "HHL", number, kind, len(values)) + body.ljust(4, b"\0")
    return struct.pack(order + "H", len(tags)) + entries + bytes(4) + pool
