"""JPEG, and MPO, which is a JPEG with more of them behind it."""

import functools
import re
import struct

from PIL import features

from imgcls_beam.preparing.inspecting import Inspection, WidthHeight
from imgcls_beam.preparing.inspecting.tags import is_tag_bomb

_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")
"""A marker that carries meaning: no stuffed 0xFF, no restart, no padding."""
_SOI, _EOI, _SOS, _PHOTOSHOP = 0xD8, 0xD9, 0xDA, 0xED
_SLOW = frozenset({0xDB, 0xC8, *range(0xF0, 0xFE)})
"""Segments that Pillow reads number by number, or byte by byte, since it does not skip them."""
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
_SEQUENTIAL = frozenset({0xC0, 0xC1, 0xC3, 0xC9})
_CHANNELS = frozenset({1, 3, 4})
_LOSSLESS_SINCE = 3
"""The version of libjpeg-turbo that decodes lossless JPEG."""

_EXIF = re.compile(rb"\xff\xe1(..)Exif\0\0", re.DOTALL)
_MAX_EXIF_BYTES = 8 << 20
_MAX_EXIF_HEADS = 16
_MAX_RESOURCE_BYTES = 1 << 20
_RESOURCES = b"Photoshop 3.0\0"
"""A segment of Photoshop's: 64 MiB of empty ones are taken apart for 2.6 s, and no pixel needs
them."""


def inspect_jpeg(data: bytes) -> Inspection:
    """The first image's size, scans and end; its EXIF is renamed where it is a bomb.

    What lies behind the first image, as the film of a phone's moving picture, is not walked.
    """
    head, at = _Head(), 2
    for _ in range(_MAX_MARKERS + len(data) // _BYTES_A_MARKER):
        found = _MARKER.search(data, at)
        if not found:
            break
        marker, before, at = found[1][0], at, found.end()
        body = data[at : at + 8]
        head.take(marker, body, found.start() - before)
        if marker == _EOI:
            head.stray_bytes += 0 if head.scans else len(data) - at
            break
        if marker != _SOI:
            at += max(2, int.from_bytes(body[:2], "big"))
    else:
        head.is_flooded = not head.scans
        head.scans += data.count(b"\xff\xda", at)
        head.is_cut = data.rfind(b"\xff\xd9", at) < 0
    return Inspection(
        _hide(data, head),
        [head.size],
        is_opened_small=True,
        is_cut=head.is_cut,
        scans=head.scans,
        is_scalable=len(head.frames) == 1 and head.frames[0] in _SCALABLE,
        is_flooded=head.is_flooded,
        stray_bytes=head.stray_bytes,
        is_held=bool(head.frames) and head.frames[-1] not in _SEQUENTIAL,
        unsupported=head.unsupported,
    )


class _Head:
    """What the markers up to the first scan say, and how many scans there are."""

    def __init__(self) -> None:
        self.size: WidthHeight = (0, 0)
        self.frames: list[int] = []
        self.scans = self.stray_bytes = self.resource_bytes = 0
        self.unsupported, self.is_cut, self.is_flooded = "", True, False

    def take(self, marker: int, body: bytes, stray_bytes: int) -> None:
        """Takes a marker, the first bytes behind it, and how many lay before it in no segment."""
        if marker == _EOI:
            self.is_cut = False
        if not self.scans:
            length = int.from_bytes(body[:2], "big")
            self.stray_bytes += stray_bytes + length * (marker in _SLOW)
            self.resource_bytes += length * (marker == _PHOTOSHOP)
            if marker in _SIZED and len(body) >= 7:
                self.frames.append(marker)
                self.size = struct.unpack_from(">HH", body, 3)[::-1]
                self.unsupported = _name_unsupported(marker, body[2], body[7:8])
        self.scans += marker == _SOS


def _hide(data: bytes, head: _Head) -> bytes:
    """What a decoder may see: large resources and EXIF that is a bomb have other names."""
    if head.resource_bytes > _MAX_RESOURCE_BYTES:
        data = data.replace(_RESOURCES, _RESOURCES.swapcase())
    return data.replace(b"Exif\0\0", b"none\0\0") if _has_bomb(data) else data


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
