"""PNG, animated or not."""

import struct
from collections.abc import Iterator

from imgcls_beam.preparing.inspecting import Inspection


def inspect(data: bytes) -> Inspection:
    """The sizes of all its headers, since Pillow takes the last one; whether it has an end."""
    sizes, is_head, is_cut = [], True, True
    for kind, start in _walk(data):
        is_head &= kind not in (b"IDAT", b"fdAT")
        is_cut &= kind != b"IEND"
        if kind == b"IHDR" and is_head and start + 8 <= len(data):
            sizes.append(struct.unpack_from(">II", data, start))
    return Inspection(data, sizes, is_cut=is_cut)


def _walk(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yields each chunk's type and where its content starts."""
    at = 8
    while at + 8 <= len(data):
        yield data[at + 4 : at + 8], at + 8
        at += int.from_bytes(data[at : at + 4], "big") + 12
