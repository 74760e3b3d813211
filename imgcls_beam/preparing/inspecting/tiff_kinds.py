"""What kind of pixels the tags of a TIFF describe, in words, and whether Pillow reads them."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from PIL.TiffImagePlugin import OPEN_INFO

from imgcls_beam.preparing.inspecting import NOTHING_SAID, Samples

TagValues = Mapping[int, tuple[float, ...]]
"""The first values of the tags that were found, by the tag's number."""

_BITS, _COMPRESSION, _PHOTOMETRIC, _CHANNELS = 258, 259, 262, 277
_PLANES, _INK_SET, _EXTRA, _FORMAT = 284, 332, 338, 339
_MAX_VALUE, _MAX_VALUE_OF_KIND = 281, 341
_REDUCED, _BELOW, _DNG = 254, 330, 50706
DESCRIBING = frozenset(
    {
        *(_BITS, _COMPRESSION, _PHOTOMETRIC, _CHANNELS, _PLANES, _INK_SET, _EXTRA, _FORMAT),
        *(_MAX_VALUE, _MAX_VALUE_OF_KIND, _REDUCED, _BELOW, _DNG),
    }
)

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _CMYK, _CIELAB = 0, 1, 5, 8
_PHOTOMETRICS = {
    _WHITE_IS_ZERO: "grey",
    _BLACK_IS_ZERO: "grey",
    2: "RGB",
    3: "palette",
    4: "a mask",
    _CMYK: "CMYK",
    6: "YCbCr",
    _CIELAB: "CIELAB",
    9: "ICCLAB",
    10: "ITULAB",
    32803: "a sensor's mosaic",
    32844: "LogL",
    32845: "LogLuv",
    34892: "linear raw",
}
_NUMBERS = {1: "", 2: ", signed", 3: ", floating point", 4: "", 5: ", complex", 6: ", complex"}
_KINDS: dict[int, Literal["signed", "float"]] = {2: "signed", 3: "float"}
_JPEG = 7
_USUAL_COMPRESSIONS = frozenset({1, 2, 3, 4, 5, _JPEG, 8, 32773, 32946})
"""Those that every build of libtiff has, as far as Pillow asks for them."""
_RARE_COMPRESSIONS = {
    6: "old-style JPEG",
    9: "JBIG",
    10: "JBIG",
    22610: "JPEG XR",
    32766: "NeXT",
    32767: "Sony's raw",
    32769: "packed raw",
    32770: "Samsung's raw",
    32772: "Samsung's raw",
    32771: "16-bit padding",
    32809: "ThunderScan",
    33003: "JPEG 2000",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    34661: "JBIG",
    34676: "SGI LogL",
    34677: "SGI LogLuv",
    34712: "JPEG 2000",
    34713: "Nikon's raw",
    34887: "LERC",
    34892: "lossy JPEG",
    34925: "LZMA",
    34926: "zstd",
    34927: "WebP",
    34933: "PNG",
    34934: "JPEG XR",
    50000: "zstd",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
    65000: "Kodak's raw",
    65535: "Pentax's raw",
}
_MAX_BITS, _MAX_CHANNELS = 64, 1 << 16
_READ = frozenset(
    (photometric, formats, bits, extra) for _, photometric, formats, _, bits, extra in OPEN_INFO
)
"""The pixels that Pillow reads."""


@dataclasses.dataclass(frozen=True, slots=True)
class TiffKind:
    """The pixels of a TIFF.

    Attributes:
        photometric: how samples become colour.
        bits: of each sample of a pixel.
        number: what kind of number a sample is.
        extra: what the samples beyond the colour's own are.
        compression: of strips and tiles.
        is_planar: whether each channel lies apart.
        ink_set: of inks; 1 for CMYK.
    """

    photometric: int
    bits: tuple[int, ...]
    number: int
    extra: tuple[int, ...]
    compression: int
    is_planar: bool
    ink_set: int

    @property
    def is_grey(self) -> bool:
        """Whether a pixel is one sample, of grey."""
        return self.photometric <= _BLACK_IS_ZERO and len(self.bits) == 1

    def describe(self) -> str:
        """The pixels in words; nothing where the tags make no sense."""
        is_known = (
            self.photometric in _PHOTOMETRICS
            and self.number in _NUMBERS
            and (self.compression in _USUAL_COMPRESSIONS or self.compression in _RARE_COMPRESSIONS)
            and all(1 <= each <= _MAX_BITS for each in self.bits)
        )
        if not is_known:
            return ""
        channels = f"{len(self.bits)} × " if len(self.bits) > 1 else ""
        words = f"a TIFF of {_PHOTOMETRICS[self.photometric]}, {channels}{self.bits[0]} bits"
        inside = _RARE_COMPRESSIONS.get(self.compression)
        return words + _NUMBERS[self.number] + (f", {inside} inside" if inside else "")

    def name_unsupported(self) -> str:
        """The pixels in words where Pillow would misread them; else nothing."""
        if self.photometric == _CIELAB and self.is_planar:
            return "a TIFF of CIELAB in separate planes"
        if self.photometric == _CMYK and self.ink_set != 1:
            return "a TIFF of inks other than CMYK"
        return ""

    def name_variant(self) -> str:
        """The pixels in words where Pillow may not know them; else nothing."""
        form = (self.photometric, (self.number,), self.bits, self.extra)
        is_usual = form in _READ and self.compression in _USUAL_COMPRESSIONS
        return "" if is_usual else self.describe()

    def name_codec(self) -> str:
        """The pixels in words where libtiff may not have what they are packed with."""
        is_deep_jpeg = self.compression == _JPEG and self.bits[0] > 8
        is_usual = self.compression in _USUAL_COMPRESSIONS and not is_deep_jpeg
        return "" if is_usual else self.describe()


def read_kind(values: TagValues) -> TiffKind:
    """The kind that the tags describe, with the defaults that Pillow has for what is missing."""

    def first(number: int, default: int) -> int:
        return int(values.get(number, (default,))[0])

    bits = tuple(map(int, values.get(_BITS, (1,))))
    channels = max(1, min(first(_CHANNELS, 1), _MAX_CHANNELS))
    return TiffKind(
        photometric=first(_PHOTOMETRIC, _WHITE_IS_ZERO),
        bits=bits * channels if len(bits) == 1 else bits[:channels],
        number=first(_FORMAT, 1),
        extra=tuple(map(int, values.get(_EXTRA, ()))),
        compression=first(_COMPRESSION, 1),
        is_planar=first(_PLANES, 1) == 2,
        ink_set=first(_INK_SET, 1),
    )


def describe_samples(kind: TiffKind, values: TagValues) -> Samples:
    """What the grey means; `readers.TiffReader` inverts none of 8 bits and more."""
    if not kind.is_grey:
        return NOTHING_SAID
    bits = kind.bits[0]
    declared = [values[each][0] for each in (_MAX_VALUE_OF_KIND, _MAX_VALUE) if each in values]
    whites = [each for each in declared if each > 0 and bits > 8]
    if 8 < bits < 16:
        whites.append((1 << bits) - 1)
    return Samples(
        bits=bits,
        kind=_KINDS.get(kind.number, "unsigned"),
        whites=tuple(whites),
        is_white_zero=kind.photometric == _WHITE_IS_ZERO and bits >= 8,
    )


def name_raw(data: bytes, values: TagValues) -> str:
    """A camera's raw file that is a TIFF, with a small picture in its first directory."""
    if _DNG in values:
        return "a camera's raw file (DNG)"
    if data[8:10] == b"CR":
        return "a camera's raw file (CR2)"
    is_reduced = int(values.get(_REDUCED, (0,))[0]) & 1
    return "a camera's raw file" if is_reduced and _BELOW in values else ""
