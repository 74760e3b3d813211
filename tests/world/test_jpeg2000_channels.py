"""JPEG 2000 of every order and palette: the same picture, or refused by its kind."""

import base64
import struct

import numpy as np
import pytest
from PIL import Image

from imgcls_beam.errors import FailureCode
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing.decode import UndecodedImage, try_decode
from imgcls_beam.preparing.inspecting.jpeg2000_channels import declare, find_channels
from tests import pictures
from tests.pictures import encode

GREY_AND_ALPHA = (
    "AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAACAAAAAwAAg8HAAAAAAAP"
    "Y29scgEAAAAAABEAAAHbanAyY/9P/1EALAAAAAAADAAAAAgAAAAAAAAAAAAAAAwAAAAIAAAAAAAAAAAAAg8BAQ8B"
    "Af9SAAwAAAABAAAEBAAB/1wABECA/2QAJQABQ3JlYXRlZCBieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS40/5AACgAA"
    "AAABZgAB/5Pf+JVAEjDGSxLdZ9AtpYJO4JdokQimUKAjM0RG3PcwMNm6IDLDq1rJQZyoVur9uw91lBqSUmZraZic"
    "IVz+/z4wf+SClU/MuGevGSIyhzUiq46Lhg73lutBCoE6nD7QfadE2Gw1h3p7Y1zM9W3Xu2MkPKuaSEpSHhG4m87g"
    "3ubipRj5pc4tSC4jUkjHKGvcy7KdR51JfUkS+ZFtJseIaxa8pyGy4x0zGeHYi6wh3/iVQIL5Lc8JIqn8QdOgiYBx"
    "f8/O0D3WJDvXJTzH15J/v0cgUglbKfzBnKhW6v27BXr1eopSZmtpmJwlgw9/vjB/5IKVT8y4Z567KjqHNSKrjouF"
    "/2OwdaCFQJ1OH2g+y5JUNhrDvT2xrmZ6tuvskdnf1GYkejKQ8I3Exmy3u7Oqw677DuxzxeGsZ20nM/Y7mLzX8Juz"
    "jG1sExEKJTXA0OqGmdiLorKsIaZ2J//Z"
)
"""Of 16 bits, by imagecodecs."""
GREY_OF_2_BITS = (
    "AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAACAAAAAwAAQEHAAAAAAAP"
    "Y29scgEAAAAAABEAAACPanAyY/9P/1EAKQAAAAAADAAAAAgAAAAAAAAAAAAAAAwAAAAIAAAAAAAAAAAAAQEBAf9S"
    "AAwAAAABAAAEBAAB/1wABEAQ/2QAJQABQ3JlYXRlZCBieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS40/5AACgAAAAAA"
    "HQAB/5PdNBEdtk+u86TqmoWiuSf/2Q=="
)
"""From black to white, by imagecodecs."""
RATIO = np.add.outer(np.arange(8) * 4, np.arange(12) * 2) / 50

INDICES = np.repeat(np.arange(4, dtype=np.uint8), 8)[None].repeat(8, axis=0)
COLOURS = ((9, 40, 90), (9, 40, 90), (255, 255, 255), (0, 0, 0))
STRAIGHT = ((0, 1, 0), (0, 1, 1), (0, 1, 2))


def _with_boxes(data: bytes, *boxes: bytes, colour: int = 16) -> bytes:
    """A file with more boxes at the end of its header, and another colour space."""
    header = data.index(b"jp2h") - 4
    end = header + int.from_bytes(data[header : header + 4], "big")
    more = b"".join(struct.pack(">I", len(body) + 4) + body for body in boxes)
    body = bytearray(data[header + 4 : end] + more)
    body[body.index(b"colr") + 10] = colour
    return data[:header] + struct.pack(">I", len(body) + 4) + bytes(body) + data[end:]


def _palette(*colours: tuple[int, ...], bits: int = 8) -> bytes:
    depths = bytes([bits - 1] * len(colours[0]))
    head = struct.pack(">HB", len(colours), len(depths)) + depths
    return b"pclr" + head + bytes(level for colour in colours for level in colour)


def _mapping(*columns: tuple[int, int, int]) -> bytes:
    return b"cmap" + b"".join(struct.pack(">HBB", *column) for column in columns)


def _order(*channels: tuple[int, int, int]) -> bytes:
    body = b"".join(struct.pack(">HHH", *channel) for channel in channels)
    return b"cdef" + struct.pack(">H", len(channels)) + body


INDEXED = encode(Image.fromarray(INDICES), "JPEG2000")


@pytest.mark.parametrize("more", [(), (255,)], ids=["RGB", "RGBA"])
def test_colours_that_come_twice_in_a_palette_are_the_picture(more: tuple[int, ...]) -> None:
    palette = _palette(*(colour + more for colour in COLOURS))
    mapping = _mapping(*STRAIGHT, *[(0, 1, 3) for _ in more])
    decoded = pictures.decode(_with_boxes(INDEXED, palette, mapping)).image
    np.testing.assert_array_equal(np.asarray(decoded), np.array(COLOURS)[INDICES])


def test_a_palette_of_few_bits_is_the_picture() -> None:
    palette = _palette((15, 0, 5), (0, 15, 0), (15, 15, 15), (3, 2, 1), bits=4)
    decoded = pictures.decode(_with_boxes(INDEXED, palette, _mapping(*STRAIGHT))).image
    first = [[255, 0, 85], [0, 255, 0], [255, 255, 255], [51, 34, 17]]
    assert np.asarray(decoded)[0, ::8].tolist() == first


def test_a_palette_of_few_colours_is_the_picture() -> None:
    """Its indices have two bits, to which Pillow appends zeros."""
    data = _with_boxes(base64.b64decode(GREY_OF_2_BITS), _palette(*COLOURS))
    indices = np.rint(RATIO * 3).astype(int)
    decoded = pictures.decode(data).image
    np.testing.assert_array_equal(np.asarray(decoded), np.array(COLOURS)[indices])


# What is refused

RGB = encode(pictures.draw_picture(), "JPEG2000")
RGBA = encode(pictures.draw_picture().convert("RGBA"), "JPEG2000")


def _deep(data: bytes, bits: int) -> bytes:
    """Other bits declared, also where they are 8."""
    channels = find_channels(data)
    assert channels
    all_deep = channels._replace(bits=(9,) * len(channels.bits))
    return declare(data, all_deep, lambda _: bits)


def _with_profile(data: bytes, space: bytes) -> bytes:
    """A file whose colour space is that of an ICC profile."""
    at = data.index(b"colr") - 4
    profile = bytes(16) + space + bytes(108)
    box = struct.pack(">I", 11 + len(profile)) + b"colr\2\0\0" + profile
    header = data.index(b"jp2h") - 4
    length = int.from_bytes(data[header : header + 4], "big") + len(box) - 15
    return data[:header] + struct.pack(">I", length) + data[header + 4 : at] + box + data[at + 15 :]


def _reorder(data: bytes, *channels: tuple[int, int, int]) -> bytes:
    """A file that says the order of its channels, with another one."""
    at, order = data.index(b"cdef"), _order(*channels)
    return data[:at] + order + data[at + len(order) :]


def _with_style_of_channel(data: bytes) -> bytes:
    """The second channel packed by the other wavelet."""
    at = data.index(b"\xff\x52")
    style = data[at + 9 : at + 13]
    more = b"\xff\x53" + struct.pack(">HBB", 9, 1, 0) + style + b"\0"
    return data[:at] + more + data[at:]


REFUSED: dict[str, tuple[bytes, str]] = {
    "grey and alpha of 16 bits": (
        base64.b64decode(GREY_AND_ALPHA),
        "of grey with alpha, 16 bits",
    ),
    "24 bits": (_deep(RGB, 24), "of 24 bits"),
    "grey of 24 bits": (_deep(INDEXED, 24), "of 24 bits"),
    "YCbCr of 12 bits": (_with_boxes(_deep(RGB, 12), colour=18), "of YCbCr, 12 bits"),
    "YCbCr of 5 bits": (_with_boxes(_deep(RGB, 5), colour=18), "of YCbCr, 5 bits"),
    "two wavelets": (_with_style_of_channel(_deep(RGB, 12)), "of 12 bits, of several wavelets"),
    "BGR": (
        _with_boxes(RGB, _order((0, 0, 3), (1, 0, 2), (2, 0, 1))),
        "whose channels are in another order",
    ),
    "ARGB": (
        _reorder(RGBA, (0, 1, 0), (1, 0, 1), (2, 0, 2), (3, 0, 3)),
        "whose channels are in another order",
    ),
    "CMYK by its profile": (_with_profile(RGBA, b"CMYK"), "of CMYK by its profile"),
    "CIELAB by its profile": (_with_profile(RGB, b"Lab "), "of CIELAB by its profile"),
    "a palette of BGR": (
        _with_boxes(INDEXED, _palette(*COLOURS), _mapping(*STRAIGHT[::-1])),
        "whose channels are in another order",
    ),
    "a palette of 300 colours": (
        _with_boxes(INDEXED, _palette(*COLOURS * 75)),
        "with a palette of more than 256 colours",
    ),
    "a palette with indices of 9 bits": (
        _with_boxes(_deep(INDEXED, 9), _palette(*COLOURS)),
        "with a palette of more than 256 colours",
    ),
    "a palette of grey": (_with_boxes(INDEXED, _palette((1,), (2,))), "with a palette of grey"),
    "bilevel, 0 is white": (
        _with_boxes(INDEXED, colour=0),
        "of bilevel pixels whose 0 is white",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_misread_is_unsupported(name: str) -> None:
    data, phrase = REFUSED[name]
    outcome = try_decode(data, DecodeOptions())
    assert isinstance(outcome, UndecodedImage)
    told = (outcome.error.code, outcome.error.message)
    assert told == (FailureCode.UNSUPPORTED, f"a JPEG 2000 {phrase} is not decoded here")


def test_channels_in_their_own_order_are_the_picture() -> None:
    """As most programs say it, with alpha behind."""
    straight = _reorder(RGBA, (0, 0, 1), (1, 0, 2), (2, 0, 3), (3, 1, 0))
    decoded = pictures.decode(straight).image
    pictures.assert_equal(decoded, pictures.draw_picture())


def test_a_profile_of_rgb_changes_nothing() -> None:
    decoded = pictures.decode(_with_profile(RGB, b"RGB ")).image
    pictures.assert_equal(decoded, pictures.draw_picture())


def test_a_header_of_other_channels_than_the_codestream_is_corrupt() -> None:
    data = bytearray(_deep(RGB, 12))
    data[data.index(b"ihdr") + 13] = 1
    outcome = try_decode(bytes(data), DecodeOptions())
    assert isinstance(outcome, UndecodedImage)
    assert outcome.error.code is FailureCode.CORRUPT


def test_no_channels_at_all_are_an_error() -> None:
    data = _with_boxes(INDEXED, _palette(*COLOURS), _mapping(*STRAIGHT))
    at = data.index(b"\xff\x51")
    none = data[: at + 2] + struct.pack(">H", 38) + data[at + 4 : at + 38] + bytes(2)
    assert isinstance(try_decode(none + data[at + 43 :], DecodeOptions()), UndecodedImage)


def test_a_header_whose_length_takes_eight_bytes_is_looked_at() -> None:
    data = _with_boxes(RGB, _order((0, 0, 3), (1, 0, 2), (2, 0, 1)))
    at = data.index(b"jp2h") - 4
    length = int.from_bytes(data[at : at + 4], "big")
    head = struct.pack(">I4sQ", 1, b"jp2h", length + 8)
    outcome = try_decode(data[:at] + head + data[at + 8 :], DecodeOptions())
    assert isinstance(outcome, UndecodedImage)
    assert outcome.error.code is FailureCode.UNSUPPORTED
