"""How many precincts and code blocks a JPEG 2000 has: its decoder keeps something for each.

Both sizes stand in a marker of coding style, in the head of the codestream or of any of its parts.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from imgcls_beam.preparing.limits import MAX_CHUNKS

_STYLE, _STYLE_OF_CHANNEL, _PART, _PIXELS = 0xFF52, 0xFF53, 0xFF90, 0xFF93
_WAVELET_AT = {_STYLE: 9, _STYLE_OF_CHANNEL: 6}
_FIRST_MARKER = 0xFF00
_MAX_LEVELS = 32
_WHOLE = 15
"""The exponent of a precinct where none is given."""


class Style(NamedTuple):
    """How a channel is cut: exponents of 2.

    Attributes:
        block: of a block's width and height.
        precincts: of those of each resolution, the smallest first.
    """

    block: tuple[int, int]
    precincts: tuple[tuple[int, int], ...]


def count_blocks(data: bytes, start: int, size_px: tuple[int, int], channels: int) -> int:
    """The most precincts, or blocks, that a style makes of the image; 0 where none is there.

    Args:
        data: a file.
        start: where its codestream begins.
        size_px: (width, height) of the image.
        channels: as many as the image has.
    """
    return max(
        (_count(style, size_px) * channels for style in _find_styles(data, start)), default=0
    )


def _count(style: Style, size_px: tuple[int, int]) -> int:
    precincts = blocks = 0
    levels = len(style.precincts) - 1
    for level, precinct in enumerate(style.precincts):
        edges = [-(-edge_px >> (levels - level)) for edge_px in size_px]
        across, down = (-(-edge // (1 << each)) for edge, each in zip(edges, precinct, strict=True))
        precincts += across * down
        # A block is no larger than its part of a precinct, which is cut into three bands.
        cut = [min(each, limit) for each, limit in zip(style.block, precinct, strict=True)]
        across, down = (-(-edge // (1 << each)) for edge, each in zip(edges, cut, strict=True))
        blocks += across * down
    return max(precincts, blocks)


def find_wavelets(data: bytes, start: int) -> set[int]:
    """The numbers of the wavelets by which its channels are packed: 1 is that of whole numbers.

    Args:
        data: a file.
        start: where its codestream begins. It has no more than 256 channels.
    """
    return {
        body[_WAVELET_AT[marker]]
        for marker, body in _find_marks(data, start)
        if len(body) > _WAVELET_AT[marker]
    }


def _find_styles(data: bytes, start: int) -> Iterator[Style]:
    for marker, body in _find_marks(data, start):
        yield from _read_style(marker, body)


def _find_marks(data: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    """Yields each marker of coding style, and what it holds."""
    at, part_end = start + 2, 0
    for _ in range(MAX_CHUNKS):
        if at + 4 > len(data):
            return
        marker, length = struct.unpack_from(">HH", data, at)
        if marker < _FIRST_MARKER:
            return
        body = data[at + 4 : at + 2 + min(length, 256)]
        if marker == _PART and len(body) >= 6:
            declared = int.from_bytes(body[2:6], "big")
            part_end = at + declared if declared else len(data)
        if marker in (_STYLE, _STYLE_OF_CHANNEL):
            yield marker, body
        at = max(part_end, at + 2) if marker == _PIXELS else at + 2 + length


def _read_style(marker: int, body: bytes) -> Iterator[Style]:
    """The style of the image, or of one of its channels, whose number has a byte, or two."""
    if marker == _STYLE:
        heads = [(body[:1], body[5:])]
    else:
        heads = [(body[skipped : skipped + 1], body[skipped + 1 :]) for skipped in (1, 2)]
    for flags, rest in heads:
        if len(rest) >= 5 and rest[0] <= _MAX_LEVELS:
            own = rest[5 : 6 + rest[0]] if flags[0] & 1 else b""
            each = [(byte & 15, byte >> 4) for byte in own.ljust(rest[0] + 1, b"\xff")]
            yield Style((min(rest[1], 8) + 2, min(rest[2], 8) + 2), tuple(each))
