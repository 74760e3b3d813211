"""An untrusted image → a small picture of it for people, within the same limits as for a model."""

import functools
import io
import struct
from collections.abc import Callable
from typing import NamedTuple

from PIL import Image

from imgcls_beam.elements import ImageFacts
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing.decode import DecodedImage, UndecodedImage, try_decode
from imgcls_beam.preparing.sizes import Within

_QUALITY = 70
_FRAME, _SCAN, _END = b"\xff\xc0\0\x11\x08", b"\xff\xda", b"\xff\xd9"
"""Of a JPEG: a baseline frame of three colours up to its size, the head of a scan, the end."""


class Preview(NamedTuple):
    """A small picture.

    Attributes:
        jpeg: the picture, encoded.
        width_px: of it.
        height_px: likewise.
    """

    jpeg: bytes
    width_px: int
    height_px: int


def shrink_image(
    data: bytes,
    edge_px: int,
    options: DecodeOptions,
    before_load: Callable[[int], object] = lambda size_bytes: None,
) -> DecodedImage | UndecodedImage:
    """Decodes an image as a small one: upright, the first frame, its aspect ratio as it is.

    Args:
        data: the encoded image.
        edge_px: of its longer edge at the most; a smaller image keeps its size.
        options: the limits.
        before_load: see `try_decode`.
    """
    # A JPEG comes reduced to no less than twice the target: here to two thirds of the edge, so that
    # a photograph of 500 pixels is decoded at a half of its size and needs no resize.
    target = Within((edge_px // 3, edge_px // 3))
    unmeasured = ImageFacts(len(data), sha256="")  # nobody asks for the facts of a preview
    decoded = try_decode(data, options, before_load, target, unmeasured)
    if isinstance(decoded, DecodedImage):
        decoded.image.thumbnail((edge_px, edge_px), Image.Resampling.HAMMING)
    return decoded


def encode_preview(image: Image.Image) -> Preview:
    """A small image as a JPEG: its pixels, and nothing else that its file held."""
    written = io.BytesIO()
    plain = image.copy()  # an opened file asks where it is, which a locked process must not
    plain.save(written, "JPEG", quality=_QUALITY, comment=None)  # else that of a JPEG is kept
    return Preview(written.getvalue(), image.width, image.height)


def is_encoded_here(drawn: Preview) -> bool:
    """Whether `encode_preview` may have given this: its head, and one scan up to the end.

    What is before the scan is the same in every small picture, but for its size. So whoever sends
    another JPEG than it was asked for can choose the pixels, and nothing that a reader of JPEGs
    looks at before it has them: no other kind, no tables, no further segment, nothing behind it.
    """
    before, after = _find_head()
    head = before + struct.pack(">HH", drawn.height_px, drawn.width_px) + after
    scan = drawn.jpeg[len(head) :]
    is_one = scan.endswith(_END) and scan.count(b"\xff") == scan.count(b"\xff\0") + 1
    return is_one and drawn.jpeg.startswith(head)


@functools.cache
def _find_head() -> tuple[bytes, bytes]:
    """A small picture's bytes before its size, and from there to its scan."""
    jpeg = encode_preview(Image.new("RGB", (1, 1))).jpeg
    size = jpeg.index(_FRAME) + len(_FRAME)
    scan = jpeg.index(_SCAN)
    (length,) = struct.unpack_from(">H", jpeg, scan + len(_SCAN))
    return jpeg[:size], jpeg[size + 4 : scan + len(_SCAN) + length]
