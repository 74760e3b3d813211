"""The numbers of a PGM or PPM, read by numpy: Pillow reads them one by one, in Python.

64 MiB of them took Pillow 20 s as text, and as long as binary numbers whose highest is not 255. The
values are Pillow's, but for three things: a comment ends before its line's end, and not behind it;
a number is digits, and nothing else; and numbers that are missing are said to be missing.
"""

from collections.abc import Iterator
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

TEXT, BINARY = "imgcls_ppm_text", "imgcls_ppm_binary"
"""The decoders' names, as a tile has them."""

_BLOCK_BYTES = 1 << 20
_MAX_DIGITS = 10
_BLANKS = b" \t\n\r\v\f"
_OF_NUMBERS, _OF_BITS = b"0123456789" + _BLANKS, b"01" + _BLANKS
_TO_LEVELS = bytes.maketrans(b"01", b"\xff\x00")

_Values = npt.NDArray[Any]


class _NumberDecoder(ImageFile.PyDecoder):
    """What both decoders share."""

    _pulls_fd = True

    def _count(self) -> int:
        return self.state.xsize * self.state.ysize * Image.getmodebands(self.mode)

    def _open(self) -> IO[bytes]:
        assert self.fd is not None
        return self.fd

    def _set_values(self, parts: Iterator[_Values], highest: int) -> tuple[int, int]:
        """Takes the values, up to as many as there are pixels, and scales them to 8 or 16 bits.

        Raises:
            EOFError: there are too few.
        """
        is_deep = self.mode == "I"
        levels = _make_levels(highest, 65_535 if is_deep else 255, "<i4" if is_deep else "u1")
        scaled, missing = [], self._count()
        for values in parts:
            scaled.append(levels[values[:missing]].tobytes())
            missing -= len(values[:missing])
            if not missing:
                break
        else:
            raise EOFError("numbers are missing")
        self.set_as_raw(b"".join(scaled), "I;32" if is_deep else self.mode)
        return -1, 0


class TextDecoder(_NumberDecoder):
    """Of numbers that are written as text."""

    def decode(self, buffer: Any) -> tuple[int, int]:  # noqa: ANN401  Pillow's
        """Reads the whole file, as `PyDecoder` has it.

        Raises:
            EOFError: there are too few numbers; ValueError: something else is no number.
        """
        if self.mode == "1":
            return self._decode_bits()
        highest = self.args[-1]
        return self._set_values(_read_numbers(self._open(), highest), highest)

    def _decode_bits(self) -> tuple[int, int]:
        parts, missing = [], self._count()
        for text in _iterate_text(self._open()):
            if text.translate(None, delete=_OF_BITS):
                raise ValueError("no bit")
            bits = text.translate(_TO_LEVELS, delete=_BLANKS)[:missing]
            parts.append(bits)
            missing -= len(bits)
            if not missing:
                break
        else:
            raise EOFError("bits are missing")
        self.set_as_raw(b"".join(parts), "1;8")
        return -1, 0


class BinaryDecoder(_NumberDecoder):
    """Of binary numbers whose highest is neither 255 nor, of grey, 65,535."""

    def decode(self, buffer: Any) -> tuple[int, int]:  # noqa: ANN401  Pillow's
        """Reads the whole file, as `PyDecoder` has it.

        Raises:
            EOFError: there are too few numbers.
        """
        highest = self.args[-1]
        kind = np.dtype("u1" if highest < 256 else ">u2")
        return self._set_values(_read_binary(self._open(), kind), highest)


def _make_levels(highest: int, white: int, kind: str) -> _Values:
    """The level of each value that two bytes can have; those above the highest are white."""
    values = np.arange(1 << 16 if highest > 255 else 1 << 8, dtype=np.float64)
    return np.minimum(np.rint(values / highest * white), white).astype(kind)


def _read_binary(file: IO[bytes], kind: np.dtype[Any]) -> Iterator[_Values]:
    while block := file.read(_BLOCK_BYTES):
        yield np.frombuffer(block[: len(block) // kind.itemsize * kind.itemsize], kind)


def _read_numbers(file: IO[bytes], highest: int) -> Iterator[_Values]:
    """The numbers of a text, as they come.

    Raises:
        ValueError: something is no number, or above the highest.
    """
    rest = b""
    for text in _iterate_text(file):
        text = rest + text
        end = 1 + max(text.rfind(bytes([blank])) for blank in _BLANKS)
        text, rest = text[:end], text[end:]
        if len(rest) > _MAX_DIGITS:
            raise ValueError("a number has too many digits")
        yield _parse(text, highest)
    yield _parse(rest, highest)


def _iterate_text(file: IO[bytes]) -> Iterator[bytes]:
    """The text without its comments, which end at their lines' ends."""
    is_inside = False
    while block := file.read(_BLOCK_BYTES):
        if b"#" in block or is_inside:
            is_inside, block = _drop_comments(block, is_inside=is_inside)
        yield block


def _drop_comments(block: bytes, *, is_inside: bool) -> tuple[bool, bytes]:
    """Whether a comment goes on behind the block, and the block without those in it."""
    letters = np.frombuffer(block, np.uint8)
    at = np.arange(1, len(letters) + 1)
    begun = np.maximum.accumulate(np.where(letters == ord("#"), at, 0 if is_inside else -1))
    is_end = (letters == ord("\n")) | (letters == ord("\r"))
    ended = np.maximum.accumulate(np.where(is_end, at, -1))
    is_comment = begun > ended
    return bool(is_comment[-1]), letters[~is_comment].tobytes()


def _parse(text: bytes, highest: int) -> _Values:
    if text.translate(None, delete=_OF_NUMBERS):
        raise ValueError("no number")
    if not text.strip():
        return np.empty(0, np.int64)
    values: _Values = np.fromstring(text.decode("ascii"), np.int64, sep=" ")
    if values.max(initial=0) > highest:
        raise ValueError("a number is above the highest")
    return values


Image.register_decoder(TEXT, TextDecoder)
Image.register_decoder(BINARY, BinaryDecoder)
