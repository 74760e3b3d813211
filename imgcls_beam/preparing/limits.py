"""How far an untrusted image may go: every limit on what an image declares is judged here."""

from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing.inspecting import Inspection, WidthHeight

MAX_HEAD_BYTES = 4 << 20
"""A search for the first frame ends here."""
MAX_PIECES = 1 << 20
MIN_TILE_PIXELS = 64 * 64

_MAX_COMMENT_BYTES = 1 << 20
"""Pillow joins a GIF's comment block by block: 6 MB of it took 23 s."""
_MAX_SMALL_TILES = 1024
"""JPEG 2000's decoder keeps 9 kB for each tile: 148 bytes took 616 MB."""


def check_inspection(name: str, found: Inspection, options: DecodeOptions) -> None:
    """Refuses an image that would take a decoder's memory or time, whatever its size.

    Raises:
        ImageError: `corrupt` or `too_many_scans`.
    """
    for is_beyond, problem in (
        (found.comment_bytes > _MAX_COMMENT_BYTES, "more than 1 MiB of comments"),
        (found.head_bytes >= MAX_HEAD_BYTES, "no frame in its first 4 MiB"),
        (
            found.small_tiles > _MAX_SMALL_TILES,
            "more than 1,024 tiles, of less than 64 × 64 pixels",
        ),
        (found.is_tag_bomb, "tags that claim more bytes than the file has"),
        (found.pieces > MAX_PIECES, f"more than {MAX_PIECES:,} strips or tiles"),
    ):
        if is_beyond:
            raise ImageError(FailureCode.CORRUPT, f"the {name} has {problem}")
    if found.scans > options.max_scans:
        message = f"the {name} has more than {options.max_scans} scans"
        raise ImageError(FailureCode.TOO_MANY_SCANS, message)


def check_size(size: WidthHeight, options: DecodeOptions) -> int:
    """The pixels of an image of that size.

    Raises:
        ImageError: `too_many_pixels`.
    """
    width_px, height_px = size
    if width_px * height_px > options.max_pixels:
        message = f"{width_px} × {height_px} pixels are more than {options.max_pixels}"
        raise ImageError(FailureCode.TOO_MANY_PIXELS, message)
    return width_px * height_px
