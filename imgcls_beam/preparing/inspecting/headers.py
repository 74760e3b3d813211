"""BMP, PPM and WebP, whose sizes are in a header."""

import re
import struct

from imgcls_beam.preparing.inspecting import Inspection, Samples, WidthHeight
from imgcls_beam.preparing.limits import MAX_CHUNKS

_BMP_BITS = frozenset({1, 2, 4, 8, 16, 24, 32, 64})
_BMP_COMPRESSIONS = {
    0: "uncompressed",
    1: "run lengths",
    2: "run lengths",
    3: "bit fields",
    4: "a JPEG inside",
    5: "a PNG inside",
    6: "bit fields and alpha",
}
_RUN_LENGTHS = frozenset({1, 2})

# No two ways lead through a gap: what it has taken it keeps.
_GAP = rb"(?:\s|#[^\r\n]*+)++"
_PPM_SIZE = re.compile(rb"P([1-6f])" + _GAP + rb"(\d{1,9}+)" + _GAP + rb"(\d{1,9}+)(?!\d)")
_PPM_MAXIMUM = re.compile(_GAP + rb"([-+.\deE]{1,10}+)(?=\s)")
_PPM_HEAD_BYTES = 1024
"""All that a decoder sees of a file whose head does not end: it reads that byte by byte."""
_BILEVEL, _GREY, _FLOAT = b"14", b"25", b"f"
_MAX_16_BITS = 65_535


def inspect_bmp(data: bytes) -> Inspection:
    """The header's size, whose height is negative where rows go down; and the file's length."""
    form, end = ("<HH", 22) if data[14:15] == b"\x0c" else ("<Ii", 26)
    width, height = struct.unpack(form, data[18:end]) if len(data) >= end else (0, 0)
    is_cut = len(data) < int.from_bytes(data[2:6], "little")
    has_runs = int.from_bytes(data[30:34], "little") in _RUN_LENGTHS and data[14:15] != b"\x0c"
    return Inspection(
        data,
        [(width, abs(height))],
        is_opened_small=True,
        is_cut=is_cut,
        run_bytes=len(data) if has_runs else 0,
        variant=_name_bmp(data[14:34]),
    )


def _name_bmp(header: bytes) -> str:
    """What a BMP is whose header makes sense."""
    if len(header) < 20 or header[0] == 12:
        return ""
    planes, bits, compression = struct.unpack_from("<HHI", header, 12)
    if planes != 1 or bits not in _BMP_BITS or compression not in _BMP_COMPRESSIONS:
        return ""
    return f"a BMP of {bits} bits, {_BMP_COMPRESSIONS[compression]},"


def inspect_ppm(data: bytes) -> Inspection:
    """The size of a PBM, PGM, PPM or PFM; nothing in them says where the data should end.

    A decoder sees no comments in the head, which Pillow reads byte by byte.
    """
    found = _PPM_SIZE.match(data)
    if not found:
        return Inspection(data[:_PPM_HEAD_BYTES], [], is_opened_small=True)
    kind, width, height = found.groups()
    end, maximum = found.end(), b""
    if kind not in _BILEVEL and (more := _PPM_MAXIMUM.match(data, end)):
        end, maximum = more.end(), more[1]
    if not maximum and kind not in _BILEVEL:
        shown = data[:_PPM_HEAD_BYTES]
    elif b"#" in data[:end]:
        shown = b" ".join((b"P" + kind, width, height, maximum)).rstrip() + data[end:]
    else:
        shown = data
    return Inspection(
        shown,
        [(int(width), int(height))],
        is_opened_small=True,
        samples=_describe_ppm(kind, maximum),
    )


def _describe_ppm(kind: bytes, maximum: bytes) -> Samples:
    """What the grey means. The highest maximum is that of the file format, and says nothing."""
    if kind == _FLOAT:
        return Samples(32, "float")
    white = int(maximum) if kind in _GREY and maximum.isdigit() else 0
    if 255 < white < _MAX_16_BITS:
        return Samples(16, whites=(white,), stretched_from=white)
    return Samples(16 if white > 255 else 8)


def inspect_webp(data: bytes) -> Inspection:
    """The size that the first chunk declares; whether the RIFF is as long as it says."""
    is_cut = len(data) < int.from_bytes(data[4:8], "little") + 8
    sizes = [_read_webp_size(data[12:16], data[20:30])] if len(data) >= 30 else []
    return Inspection(data, sizes, is_cut=is_cut, chunks=_count_chunks(data))


def _count_chunks(data: bytes) -> int:
    at, count = 12, 0
    while at + 8 <= len(data) and count <= MAX_CHUNKS:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        at, count = at + 8 + length + length % 2, count + 1
    return count


def _read_webp_size(kind: bytes, body: bytes) -> WidthHeight:
    if kind == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", body, 6)
    return (width & 0x3FFF, height & 0x3FFF) if kind == b"VP8 " else (0, 0)
