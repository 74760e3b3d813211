"""JPEG 2000 by Pillow, where its numbers are not of 8 bits, and its palette as it is.

What Pillow cannot read in the right order or depth is refused by the inspector.
"""

import io
from collections.abc import Sequence
from typing import Any, cast

from PIL import ImageChops, ImagePalette
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

from imgcls_beam.preparing.inspecting.jpeg2000_channels import (
    Channels,
    declare,
    find_channels,
    is_reversible,
    read_header,
    read_palette,
)

_HALF, _WHITE, _LEVELS = 128, 255, 256
_CHUNK_VALUES = 1 << 16
_COLOUR_MODES = frozenset({"RGB", "RGBA", "CMYK"})
_UNKNOWN = Channels(0, (), is_signed=False, is_subsampled=False)


class Jpeg2000Reader(Jpeg2KImageFile):
    """Reads colour of 9 to 16 bits, grey of 9, and numbers and palettes of fewer bits than 8.

    Pillow rounds colour to 8 bits and keeps the lower 8 of what comes out, so white becomes 0:
    65,408 of 65,535 is 256. A file declares its bits in one place, apart from what is packed. Where
    the wavelet is of floating point it is decoded as of 8 bits: the decoder scales, rounds and
    clips. Where it is of whole numbers, a bit more moves them up by half their range, and halves
    what Pillow makes of them: white becomes 192, black 64. So those that came out as 0 are told
    apart.
    """

    _channels: Channels = _UNKNOWN
    _deep_data: bytes = b""

    def _open(self) -> None:
        assert self.fp is not None
        data = self.fp.read()
        self.fp.seek(0)
        self._channels = channels = find_channels(data) or _UNKNOWN
        if channels.is_deep_colour and is_reversible(data, channels):
            self._deep_data = data
        elif channels.is_deep_colour:
            self.fp = io.BytesIO(declare(data, channels, lambda bits: 8))
        super()._open()
        if self.mode == "L" and channels.bits[:1] > (8,):
            self._mode = "I;16"  # of 9 bits, which Pillow takes for 8
        if self.palette:
            self.palette = _make_palette(data, self.palette.mode)
        if channels.is_deep_colour and self.mode not in _COLOUR_MODES:
            raise SyntaxError("header and codestream have other channels")

    def load(self) -> Any:  # noqa: ANN401  what Pillow gives has no name at run time
        """Decodes the pixels, once."""
        is_new = bool(self.tile)
        access = super().load()
        if not is_new:
            return access
        if self._deep_data:
            self._part_white_from_black()
        if any(bits < 8 for bits in self._channels.bits):
            self.im = self.point(self._stretch()).im
        return super().load()

    def _part_white_from_black(self) -> None:
        """Makes white what came out as 0 and is above the middle."""
        data, self._deep_data = self._deep_data, b""
        if all(lowest for lowest, _ in cast(Sequence[tuple[int, int]], self.getextrema())):
            return
        moved = Jpeg2KImageFile(io.BytesIO(declare(data, self._channels, lambda bits: bits + 1)))
        bands = len(self.getbands())
        is_black = [_WHITE, *[0] * (_LEVELS - 1)] * bands
        is_high = [_WHITE * (level > _HALF) for level in range(_LEVELS)] * bands
        step = max(1, _CHUNK_VALUES // self.width)
        for top in range(0, self.height, step):
            box = (0, top, self.width, min(top + step, self.height))
            part, high = self.crop(box).point(is_black), moved.crop(box).point(is_high)
            self.paste(ImageChops.lighter(self.crop(box), ImageChops.darker(part, high)), box)

    def _stretch(self) -> list[int]:
        """Levels of fewer bits than 8, to which Pillow has appended zeros; indices as they are."""
        tables = []
        for bits, band in zip(self._channels.bits, self.getbands(), strict=True):
            spare = max(0, 8 - bits)
            white = 1 if band == "P" else _WHITE / ((1 << min(bits, 8)) - 1)
            tables += [round((level >> spare) * white) for level in range(_LEVELS)]
        return tables


def _make_palette(data: bytes, mode: str) -> ImagePalette.ImagePalette | None:
    """The palette with colours that come twice, of which Pillow keeps one."""
    found = read_palette(read_header(data))
    if found is None:
        return None
    white = [_WHITE / ((1 << bits) - 1) for bits in found.bits]
    levels = (round(level * white[i % len(white)]) for i, level in enumerate(found.levels))
    palette = ImagePalette.ImagePalette(mode, bytes(min(level, _WHITE) for level in levels))
    palette.dirty = 1  # not yet the image's
    return palette
