"""What research code writes: PBM, PGM, PPM, PFM."""

import re

from imgcls_beam.preparing.inspecting import Inspection

_HEAD_BYTES = 1024
_SIZE = re.compile(rb"P.(?:\s|#[^\r\n]*)+(\d{1,9})(?:\s|#[^\r\n]*)+(\d{1,9})(?!\d)")


def inspect(data: bytes) -> Inspection:
    """The header's size; nothing in the format says where the data should end."""
    found = _SIZE.match(data[:_HEAD_BYTES])
    sizes = [(int(found[1]), int(found[2]))] if found else []
    return Inspection(data, sizes, is_opened_small=True)
