"""TIFFs that Pillow has opened: what their tags say of the pixels that it gave."""

import dataclasses
import sys

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from imgcls_beam.preparing.inspecting import NOTHING_SAID, Samples
from imgcls_beam.preparing.inspecting.tiff_kinds import (
    DESCRIBING,
    TagValues,
    TiffKind,
    describe_samples,
    name_raw,
    read_kind,
)

_COLOR_MAP, _BELOW_16_BITS = 320, 256
_UNCOMPRESSED, _PALETTE, _YCBCR = 1, 3, 6
_OWN_ORDER = b"II" if sys.byteorder == "little" else b"MM"


def describe_opened(image: Image.Image) -> Samples:
    """What the grey of an image means that Pillow has opened, and inverted up to 8 bits."""
    if not isinstance(image, TiffImageFile):
        return NOTHING_SAID
    values = _read_values(image.tag_v2)
    samples = describe_samples(read_kind(values), values)
    return dataclasses.replace(samples, is_white_zero=samples.is_white_zero and image.mode != "L")


def name_misread(image: Image.Image) -> str:
    """What an opened image is where Pillow is known to give other pixels than it has."""
    if not isinstance(image, TiffImageFile):
        return ""
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return "a TIFF that was pickled, and has no tags any more,"
    values = _read_values(tags)
    kind = read_kind(values)
    if named := name_raw(b"", values) or kind.name_unsupported():
        return named
    is_misread = _is_swapped(kind, tags) or _is_rearranged(kind) or _is_darkened(kind, tags)
    return kind.describe() if is_misread else ""


def _read_values(tags: ImageFileDirectory_v2) -> TagValues:
    found = {number: tags[number] for number in DESCRIBING if number in tags}
    return {
        number: value if isinstance(value, tuple) else (value,) for number, value in found.items()
    }


def _is_swapped(kind: TiffKind, tags: ImageFileDirectory_v2) -> bool:
    """From libtiff numbers come in this machine's order, and Pillow turns them round again."""
    is_packed = kind.compression != _UNCOMPRESSED and tags.prefix != _OWN_ORDER
    is_number = kind.number != 1 or kind.bits[0] > 16
    return is_packed and kind.is_grey and kind.bits[0] > 8 and is_number


def _is_rearranged(kind: TiffKind) -> bool:
    """Channels apart are taken for 8 bits, and YCbCr for RGB."""
    is_apart = kind.is_planar and len(kind.bits) > 1 and kind.bits[0] > 8
    return kind.compression == _UNCOMPRESSED and (is_apart or kind.photometric == _YCBCR)


def _is_darkened(kind: TiffKind, tags: ImageFileDirectory_v2) -> bool:
    """A palette of 8 bits is taken for one of 16."""
    return kind.photometric == _PALETTE and max(tags.get(_COLOR_MAP, (0,))) < _BELOW_16_BITS
