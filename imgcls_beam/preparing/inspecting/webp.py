"""WebP: lossy, lossless or extended, which has a canvas."""

import struct

from imgcls_beam.preparing.inspecting import Inspection, WidthHeight


def inspect(data: bytes) -> Inspection:
    """The size that the first chunk declares; whether the RIFF is as long as it says."""
    is_cut = len(data) < int.from_bytes(data[4:8], "little") + 8
    sizes = [_read_size(data[12:16], data[20:30])] if len(data) >= 30 else []
    return Inspection(data, sizes, is_cut=is_cut)


def _read_size(kind: bytes, body: bytes) -> WidthHeight:
    if kind == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", body, 6)
    return (width & 0x3FFF, height & 0x3FFF) if kind == b"VP8 " else (0, 0)
