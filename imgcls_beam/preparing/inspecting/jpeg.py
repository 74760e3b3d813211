"""JPEG, and MPO, which is a JPEG with more of them behind it."""

import functools
import re
import struct

from PIL import features

from imgcls_beam.preparing.inspecting import Inspection
from imgcls_beam.preparing.inspecting.tags import is_tag_bomb

_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")
"""A marker that carries meaning: no stuffed 0xFF, no restart, no padding."""
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_SIZED = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}
_MAX_MARKERS = 512
_BYTES_A_MARKER = 4096
"""A camera's file has some tens of markers, a large profile one for each 64 kB. Further ones are
counted, not walked: 1 MB of them took 0.1 s."""

_LOSSLESS, _JPEG_LS = 0xC3, 0xF7
_ARITHMETIC = frozenset({0xC9, 0xCA})
_HIERARCHICAL = frozenset({0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF})
_ARITHMETIC_LOSSLESS = 0xCB
_SCALABLE = frozenset({0xC0, 0xC1, 0xC2})
_CHANNELS = frozenset({1, 3, 4})
_LOSSLESS_SINCE = 3
"""The version of libjpeg-turbo that decodes lossless JPEG."""

_EXIF = re.compile(rb"\xff\xe1(..)Exif\0\0", re.DOTALL)
_MAX_EXIF_BYTES = 8 << 20
_MAX_EXIF_HEADS = 16


def inspect_jpeg(data: bytes) -> Inspection:
    """The first image's size, scans and end; its EXIF is renamed where it is a bomb.

    What lies behind the first image, as the film of a phone's moving picture, is not walked.
    """
    at, size, scans, unsupported, is_cut, is_flooded = 2, (0, 0), 0, "", True, False
    frames: list[int] = []
    for _ in range(_MAX_MARKERS + len(data) // _BYTES_A_MARKER):
        found = _MARKER.search(data, at)
        if not found:
            break
        marker, at = found[1][0], found.end()
        if marker == _EOI:
            is_cut = False
            break
        scans += marker == _SOS
        if marker in _SIZED and not scans and at + 7 <= len(data):
            frames.append(marker)
            size = struct.unpack_from(">HH", data, at + 3)[::-1]
            unsupported = _name_unsupported(marker, data[at + 2], data[at + 7 : at + 8])
        if marker != _SOI:
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
    else:
        is_flooded = not scans
        scans += data.count(b"\xff\xda", at)
        is_cut = data.rfind(b"\xff\xd9", at) < 0
    shown = data.replace(b"Exif\0\0", b"none\0\0") if _has_bomb(data) else data
    return Inspection(
        shown,
        [size],
        is_opened_small=True,
        is_cut=is_cut,
        scans=scans,
        is_scalable=len(frames) == 1 and frames[0] in _SCALABLE,
        is_flooded=is_flooded,
        unsupported=unsupported,
    )


def _name_unsupported(marker: int, bits: int, channels: bytes) -> str:
    """What a frame of this kind is called where it is not decoded; else nothing."""
    if marker == _JPEG_LS:
        return "JPEG-LS"
    if marker in _HIERARCHICAL:
        return "a hierarchical JPEG"
    if marker == _ARITHMETIC_LOSSLESS:
        return "a lossless, arithmetic-coded JPEG"
    if 8 < bits <= 16:
        return f"a JPEG of {bits} bits"
    if channels and channels[0] not in _CHANNELS and channels[0]:
        return f"a JPEG of {channels[0]} channels"
    if marker == _LOSSLESS and _find_turbo() < _LOSSLESS_SINCE:
        return "a lossless JPEG"
    if marker in _ARITHMETIC and not _find_turbo():
        return "an arithmetic-coded JPEG"
    return ""


@functools.cache
def _find_turbo() -> int:
    """The first number of the version of libjpeg-turbo that Pillow decodes with; 0 for another."""
    version = features.version_feature("libjpeg_turbo") or "0"
    return int(version.partition(".")[0])


def _has_bomb(data: bytes) -> bool:
    # Pillow joins all the segments. What it takes for the first of them can be forged, so each one
    # that could begin a directory is tried.
    segments = list(_EXIF.finditer(data))
    bodies = [data[s.end() : s.start() + 2 + int.from_bytes(s[1], "big")] for s in segments]
    heads = [i for i, body in enumerate(bodies) if body[:2] in (b"II", b"MM")]
    if len(heads) > _MAX_EXIF_HEADS or sum(map(len, bodies)) > _MAX_EXIF_BYTES:
        return True
    return any(is_tag_bomb(b"".join(bodies[i:])) for i in heads)
