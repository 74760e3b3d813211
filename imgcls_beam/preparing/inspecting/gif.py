"""GIF."""

import struct

from imgcls_beam.preparing.inspecting import Inspection
from imgcls_beam.preparing.limits import MAX_HEAD_BYTES

_COMMENT = 0xFE


def inspect_gif(data: bytes) -> Inspection:
    """The canvas with the first frame in it, and what comes before that frame."""
    at, comment_bytes = _find_frame(data)
    sizes = []
    if at + 9 <= len(data):
        # Pillow widens the canvas to hold the frame.
        width, height = struct.unpack_from("<HH", data, 6)
        left, top, frame_width, frame_height = struct.unpack_from("<HHHH", data, at + 1)
        sizes.append((max(width, left + frame_width), max(height, top + frame_height)))
    is_cut = not data.rstrip(b"\0").endswith(b";")
    return Inspection(data, sizes, is_cut=is_cut, comment_bytes=comment_bytes, head_bytes=at)


def _find_frame(data: bytes) -> tuple[int, int]:
    """Where the first frame's descriptor is, and how many bytes of comments come before it."""
    flags = data[10] if len(data) > 10 else 0
    at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    comment_bytes = 0
    while at + 2 < len(data) and at < MAX_HEAD_BYTES and data[at] not in b",;":
        if data[at] != ord("!"):
            at += 1
            continue
        start, label = at, data[at + 1]
        at = _skip_blocks(data, at + 2)
        if label == _COMMENT:
            comment_bytes += at - start
        elif at == start + 3:
            # Pillow reads on after an empty block, unless it is a comment's.
            at = _skip_blocks(data, at)
    return at, comment_bytes


def _skip_blocks(data: bytes, at: int) -> int:
    while at < len(data) and data[at] and at < MAX_HEAD_BYTES:
        at += data[at] + 1
    return at + 1
