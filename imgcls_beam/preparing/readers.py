"""Pillow's readers, where they need help with what they could read and refuse or misread."""

import importlib.util
from typing import IO

from PIL.ImageFile import ImageFile, _Tile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from imgcls_beam.preparing import ppm_numbers

_COMPRESSION, _LZW = 259, 5
_PHOTOMETRIC, _WHITE_IS_ZERO, _BLACK_IS_ZERO, _PALETTE, _YCBCR = 262, 0, 1, 3, 6
_BITS, _CHANNELS, _PLANES, _COLOR_MAP, _FORMAT, _SIGNED = 258, 277, 284, 320, 339, 2
_BELOW_16_BITS, _TO_16_BITS = 256, 257
_NATIVE = {"I;16BS": "I;16NS", "I;32BS": "I;32NS", "F;32BF": "F;32NF"}


class TiffReader(TiffImageFile):
    """Reads grey of 8 bits and more as it stands in the file, and says nothing of what it means.

    A colour map whose every entry is below 256 is one of 8 bits, as old programs wrote it and
    libtiff reads it (`checkcmap` of its `tif_getimage.c`); Pillow takes its upper 8 bits: black.

    Pillow knows WhiteIsZero of 16 bits in one byte order, and does not invert it; it knows unsigned
    numbers of 32 bits in one, as signed ones. What the numbers mean is read by the inspector, and
    made grey by `grey`.
    """

    def _setup(self) -> None:
        tags = self.tag_v2
        photometric = tags.get(_PHOTOMETRIC, _WHITE_IS_ZERO)
        bits = tags.get(_BITS, (1,))
        if photometric <= _BLACK_IS_ZERO and tags.get(_CHANNELS, 1) == 1 and bits[0] >= 8:
            tags[_PHOTOMETRIC] = _BLACK_IS_ZERO
            if bits[0] == 32 and tags.get(_FORMAT, (1,))[0] == 1:
                tags[_FORMAT] = (_SIGNED,)
            if bits[0] == 12:  # packed, so there is no byte order
                tags._prefix = b"II"
        is_plane = tags.get(_PLANES, 1) == 2
        if tags.get(_COMPRESSION, 1) == 1 and (photometric == _YCBCR or is_plane):
            # Pillow itself takes them for RGB, or for 8 bits. What is compressed it leaves to
            # libtiff, which looks into the file and not at this.
            tags[_COMPRESSION] = _LZW
        if photometric == _PALETTE and max(tags[_COLOR_MAP]) < _BELOW_16_BITS:
            tags[_COLOR_MAP] = tuple(level * _TO_16_BITS for level in tags[_COLOR_MAP])
        super()._setup()
        if self.use_load_libtiff:  # which gives this machine's byte order, whatever the file's
            self.tile = list(map(_to_native, self.tile))


def _to_native(tile: _Tile) -> _Tile:
    form, *rest = tuple(tile.args or ())
    return tile._replace(args=(_NATIVE.get(form, form), *rest))


class PngReader(PngImageFile):
    """Reads grey of 16 bits with alpha, of which Pillow drops the lower 8 bits.

    It comes as RGBA: the grey's upper and lower bits, and the alpha's.
    """

    def _open(self) -> None:
        super()._open()
        self.tile = [
            each._replace(args="RGBA") if each.args == "LA;16B" else each for each in self.tile
        ]


class PpmReader(PpmImageFile):
    """Reads numbers by `ppm_numbers`, where Pillow does it one by one."""

    def _open(self) -> None:
        super()._open()
        ours = {"ppm_plain": ppm_numbers.TEXT, "ppm": ppm_numbers.BINARY}
        self.tile = [
            each._replace(codec_name=ours.get(each.codec_name, each.codec_name))
            for each in self.tile
        ]


class WebPReader(WebPImageFile):
    """Reads the first frame, and lets its decoder go before the image is made of it.

    The decoder of animations keeps two canvases, and Pillow keeps the decoder: of 64 Mi pixels
    that is half of the 1,024 MiB that they took.
    """

    def _get_next(self) -> tuple[bytes, int, int]:
        taken = super()._get_next()
        del self._decoder
        return taken


def find_heif() -> bool:
    """Whether the extra that reads HEIF is installed."""
    return importlib.util.find_spec("pillow_heif") is not None


def read_heif(file: IO[bytes]) -> ImageFile:
    """Opens a HEIF, upright."""
    from pillow_heif.as_plugin import HeifImageFile  # an extra, loaded when the first one comes

    opened: ImageFile = HeifImageFile(file)
    return opened
