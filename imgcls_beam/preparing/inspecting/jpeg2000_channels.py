"""The channels of a JPEG 2000: their bits, order and palette, and which of them Pillow misreads."""

import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from imgcls_beam.preparing.inspecting.boxed import Box, walk_boxes
from imgcls_beam.preparing.inspecting.jpeg2000_blocks import find_wavelets

_GRID = re.compile(rb"(?=\xff\x4f\xff\x51(..)..(.{32})(.{3}))", re.DOTALL)
"""One may begin within what looks like another."""
_FIXED_BYTES, _FIRST_CHANNEL = 38, 42
_SIGNED = 0x80
_REVERSIBLE = 1

_OTHER_COLOURS = {
    0: "bilevel pixels whose 0 is white",
    1: "YCbCr",
    3: "YCbCr",
    4: "YCbCr",
    9: "PhotoYCC",
    11: "CMY",
    13: "YCCK",
    14: "CIELAB",
    19: "CIEJab",
    20: "e-sRGB",
    22: "YPbPr",
    23: "YPbPr",
    24: "e-sYCC",
}
"""Colour spaces that Pillow takes for grey, RGB or CMYK, or does not know, by their number."""
_SPACE = slice(3 + 16, 3 + 20)
"""Where an ICC profile names its colour space, behind what says that it is one."""
_OTHER_SPACES = {
    b"CMYK": "CMYK",
    b"CMY ": "CMY",
    b"Lab ": "CIELAB",
    b"Luv ": "CIELUV",
    b"XYZ ": "CIEXYZ",
    b"YCbr": "YCbCr",
    b"HSV ": "HSV",
    b"HLS ": "HLS",
}
"""Those that Pillow takes for RGB with alpha, or RGB, where nothing else is said."""
_SYCC, _BILEVEL, _GREY = 18, 15, 17
_MAX_CHANNELS, _MAX_BITS, _MAX_COLOURS = 4, 16, 256
_COLOUR = 0
_NO_COLOUR = frozenset({0, 65_535})
_BY_NUMBER, _MAPPED = 1, 1
_LONG = b"\0\0\0\1"

Header = Mapping[bytes, bytes]
"""The first box of each kind in a file's header, without length and kind."""


class Channels(NamedTuple):
    """What a codestream declares of its channels.

    Attributes:
        start: of the codestream.
        bits: of each channel.
        is_signed: whether the first channel's numbers are.
        is_subsampled: whether one of them has fewer samples than there are pixels.
    """

    start: int
    bits: tuple[int, ...]
    is_signed: bool
    is_subsampled: bool

    @property
    def is_deep_colour(self) -> bool:
        """Whether Pillow rounds them to 8 bits: up to 256 at white, of which 0 is kept."""
        return len(self.bits) > 2 and max(self.bits) > 8


class Palette(NamedTuple):
    """A palette, as its box has it.

    Attributes:
        colours: how many.
        bits: of each channel.
        levels: of each colour one after the other; of a byte each.
    """

    colours: int
    bits: tuple[int, ...]
    levels: bytes


def find_grids(data: bytes) -> Iterator[re.Match[bytes]]:
    """Yields where codestreams begin: what declares size, tiles and channels.

    Its length is what a decoder wants: packed pixels look like the rest now and then.
    """
    for found in _GRID.finditer(data):
        length, channels = (int.from_bytes(part, "big") for part in (found[1], found[3][:2]))
        if length == _FIXED_BYTES + 3 * channels:
            yield found


def find_channels(data: bytes) -> Channels | None:
    """The channels of the first codestream."""
    first = next(find_grids(data), None)
    return read_channels(data, first) if first else None


def read_channels(data: bytes, grid: re.Match[bytes]) -> Channels:
    """The channels of a codestream."""
    at = grid.start() + _FIRST_CHANNEL
    declared = data[at : at + 3 * int.from_bytes(grid[3][:2], "big")]
    depths, steps = declared[::3], declared[1::3] + declared[2::3]
    bits = tuple((depth & ~_SIGNED) + 1 for depth in depths)
    return Channels(grid.start(), bits, bool(depths[:1] >= b"\x80"), any(i != 1 for i in steps))


def declare(data: bytes, channels: Channels, change: Callable[[int], int]) -> bytes:
    """The same file with other numbers of bits declared for its channels of more than 8."""
    at = channels.start + _FIRST_CHANNEL
    end = at + 3 * len(channels.bits)
    changed = bytearray(data[at:end])
    for i, bits in enumerate(channels.bits):
        if bits > 8:
            changed[3 * i] = changed[3 * i] & _SIGNED | change(bits) - 1
    view = memoryview(data)
    return b"".join((view[:at], changed, view[end:]))


def is_reversible(data: bytes, channels: Channels) -> bool:
    """Whether its wavelet is that of whole numbers, whose scale is not that of declared bits."""
    return find_wavelets(data, channels.start) == {_REVERSIBLE}


def read_header(data: bytes) -> Header:
    """The boxes of the header; a colour space as `colr` if it has a number, else as `profile`."""
    outer = next((box for box in walk_boxes(data) if box.kind == b"jp2h"), None)
    body = _open_box(data, outer) if outer else b""
    header: dict[bytes, bytes] = {}
    for box in walk_boxes(body):
        inner = _open_box(body, box)
        is_other = box.kind == b"colr" and inner[:1] != bytes([_BY_NUMBER])
        header.setdefault(b"profile" if is_other else box.kind, inner)
    return header


def _open_box(data: bytes, box: Box) -> bytes:
    """What is in it, behind its length, its kind, and its length if that takes eight bytes."""
    is_long = data.startswith(_LONG, box.start)
    return data[box.start + (16 if is_long else 8) : box.end]


def read_palette(header: Header) -> Palette | None:
    """The palette; None where there is none."""
    body = header.get(b"pclr", b"")
    if len(body) < 3:
        return None
    colours, channels = struct.unpack_from(">HB", body)
    depths = body[3 : 3 + channels]
    bits = tuple((depth & ~_SIGNED) + 1 for depth in depths)
    return Palette(colours, bits, body[3 + channels : 3 + channels + colours * channels])


def name_misread(data: bytes, channels: Channels) -> str:
    """What it is where Pillow does not know its channels, or takes them for others."""
    bits = max(channels.bits, default=0)
    if len(channels.bits) > _MAX_CHANNELS:
        return f"a JPEG 2000 of {len(channels.bits)} channels"
    if bits > _MAX_BITS:
        return f"a JPEG 2000 of {bits} bits"
    header = read_header(data)
    number = int.from_bytes(header.get(b"colr", b"")[3:7], "big")
    if b"colr" in header and number in _OTHER_COLOURS:
        return f"a JPEG 2000 of {_OTHER_COLOURS[number]}"
    space = header.get(b"profile", b"")[_SPACE]
    if b"colr" not in header and space in _OTHER_SPACES:
        return f"a JPEG 2000 of {_OTHER_SPACES[space]} by its profile"
    if palette := read_palette(header):
        return _name_palette(palette, channels, number) or _name_order(header)
    return _name_order(header) or _name_depth(data, channels, number)


def _name_palette(palette: Palette, channels: Channels, number: int) -> str:
    if max(palette.bits, default=0) > 8:
        return "a JPEG 2000 with a palette of more than 8 bits"
    if palette.colours > _MAX_COLOURS or channels.bits[:1] > (8,):
        return f"a JPEG 2000 with a palette of more than {_MAX_COLOURS} colours"
    if len(palette.bits) not in (3, 4) or number in (_BILEVEL, _GREY):
        return "a JPEG 2000 with a palette of grey"
    return ""


def _name_order(header: Header) -> str:
    """What it is where its channels are not in the order of their colours."""
    mapped = list(struct.iter_unpack(">HBB", _cut(header.get(b"cmap", b""), 4)))
    through = [column for _, kind, column in mapped if kind == _MAPPED]
    defined = struct.iter_unpack(">HHH", _cut(header.get(b"cdef", b"")[2:], 6))
    is_turned = any(
        colour != channel + 1
        for channel, kind, colour in defined
        if kind == _COLOUR and colour not in _NO_COLOUR
    )
    if is_turned or through != list(range(len(through))):
        return "a JPEG 2000 whose channels are in another order"
    return ""


def _cut(body: bytes, length: int) -> bytes:
    """As much of it as is whole entries."""
    return body[: len(body) // length * length]


def _name_depth(data: bytes, channels: Channels, number: int) -> str:
    """What it is where its bits are not 8, and Pillow makes others of them."""
    bits: Sequence[int] = channels.bits
    if len(bits) == 2 and bits[0] > 8:
        return f"a JPEG 2000 of grey with alpha, {bits[0]} bits"
    is_usual = len(bits) < 3 or all(each == 8 for each in bits)
    if not is_usual and (number == _SYCC or channels.is_subsampled):
        return f"a JPEG 2000 of YCbCr, {bits[0]} bits"
    if channels.is_deep_colour and len(find_wavelets(data, channels.start)) != 1:
        return f"a JPEG 2000 of {max(bits)} bits, of several wavelets"
    return ""
