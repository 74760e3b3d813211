"""BMP, PNG, PPM and WebP, whose sizes are in a header."""

import re
import struct

from imgcls_beam.preparing.inspecting import Inspection, WidthHeight

_PPM_HEAD_BYTES = 1024
_PPM_SIZE = re.compile(rb"P.(?:\s|#[^\r\n]*)+(\d{1,9})(?:\s|#[^\r\n]*)+(\d{1,9})(?!\d)")


def inspect_bmp(data: bytes) -> Inspection:
    """The header's size, whose height is negative where rows go down; and the file's length."""
    form, end = ("<HH", 22) if data[14:15] == b"\x0c" else ("<Ii", 26)
    width, height = struct.unpack(form, data[18:end]) if len(data) >= end else (0, 0)
    is_cut = len(data) < int.from_bytes(data[2:6], "little")
    return Inspection(data, [(width, abs(height))], is_opened_small=True, is_cut=is_cut)


def inspect_png(data: bytes) -> Inspection:
    """The sizes of all its headers, since Pillow takes the last one; whether it has an end."""
    sizes, is_head, is_cut, at = [], True, True, 8
    while at + 8 <= len(data):
        kind = data[at + 4 : at + 8]
        is_head &= kind not in (b"IDAT", b"fdAT")
        is_cut &= kind != b"IEND"
        if kind == b"IHDR" and is_head and at + 16 <= len(data):
            sizes.append(struct.unpack_from(">II", data, at + 8))
        at += int.from_bytes(data[at : at + 4], "big") + 12
    return Inspection(data, sizes, is_cut=is_cut)


def inspect_ppm(data: bytes) -> Inspection:
    """The size of a PBM, PGM, PPM or PFM; nothing in them says where the data should end."""
    found = _PPM_SIZE.match(data[:_PPM_HEAD_BYTES])
    sizes = [(int(found[1]), int(found[2]))] if found else []
    return Inspection(data, sizes, is_opened_small=True)


def inspect_webp(data: bytes) -> Inspection:
    """The size that the first chunk declares; whether the RIFF is as long as it says."""
    is_cut = len(data) < int.from_bytes(data[4:8], "little") + 8
    sizes = [_read_webp_size(data[12:16], data[20:30])] if len(data) >= 30 else []
    return Inspection(data, sizes, is_cut=is_cut)


def _read_webp_size(kind: bytes, body: bytes) -> WidthHeight:
    if kind == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", body, 6)
    return (width & 0x3FFF, height & 0x3FFF) if kind == b"VP8 " else (0, 0)
