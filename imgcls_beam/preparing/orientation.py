"""Which way up an image is, as its EXIF says it."""

from collections.abc import Iterator

from PIL import Image

from imgcls_beam.preparing.inspecting.tags import is_tag_bomb

_ORIENTATION_TAG = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How an image of each orientation is turned upright; the first of them is 0, and 1 is upright."""
LYING = frozenset({5, 6, 7, 8})
"""Orientations that swap width and height."""


def read_orientation(image: Image.Image) -> int:
    """1 to 8; 1 where there is none, or where what there is cannot be read."""
    try:
        if any(map(is_tag_bomb, _exif_blocks(image))):
            return 1
        value = image.getexif().get(_ORIENTATION_TAG, 1)
        return int(value) if value in UPRIGHT else 1
    except Exception:  # noqa: BLE001  bad EXIF does not reject a good image
        return 1


def _exif_blocks(image: Image.Image) -> Iterator[bytes]:
    if block := image.info.get("exif"):
        yield block
    if text := image.info.get("Raw profile type exif"):
        # Its first three lines are a name and a length.
        yield bytes.fromhex("".join(text.split("\n")[3:]))
