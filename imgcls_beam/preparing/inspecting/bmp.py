"""BMP."""

import struct

from imgcls_beam.preparing.inspecting import Inspection


def inspect(data: bytes) -> Inspection:
    """The header's size, whose height is negative where rows go down; and the file's length."""
    form, end = ("<HH", 22) if data[14:15] == b"\x0c" else ("<Ii", 26)
    width, height = struct.unpack(form, data[18:end]) if len(data) >= end else (0, 0)
    is_cut = len(data) < int.from_bytes(data[2:6], "little")
    return Inspection(data, [(width, abs(height))], is_opened_small=True, is_cut=is_cut)
