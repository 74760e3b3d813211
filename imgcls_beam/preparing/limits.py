"""How far an untrusted image may go: every limit on what an image declares is judged here."""

from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing.inspecting import Inspection, WidthHeight

LARGE_PIXELS = 12 << 20
"""Images of more pixels are decoded one at a time: at 64 Mi pixels a progressive JPEG takes 610 MB
and a WebP 976 MB, and a worker has as many threads as cores. 12 million are a plain photograph."""
MAX_HEAD_STEPS = 1 << 19
"""A search for a GIF's first frame ends after so many blocks, some 50 ms: 64 MiB of whole ones have
half of them."""
MAX_CHUNKS = 1 << 17
"""Of a PNG: 64 MiB in pieces of 1 kB have half of them."""
MAX_PIECES = 1 << 20
MIN_TILE_PIXELS = 64 * 64

_MAX_SMALL_TILES = 1024
"""JPEG 2000's decoder keeps 9 kB for each tile: 148 bytes took 616 MB."""
_USUAL_SCANS = 20
_MAX_SCANNED_PIXELS = _USUAL_SCANS * (64 << 20)
"""Each scan goes over all pixels: 90 of them over 64 Mi pixels, in 402 kB, took 11 s."""


def check_inspection(name: str, found: Inspection, options: DecodeOptions) -> None:
    """Refuses what is not decoded here, and what would take a decoder's memory or time.

    Raises:
        ImageError: `unsupported`, `corrupt` or `too_many_scans`.
    """
    if found.unsupported:
        raise ImageError(FailureCode.UNSUPPORTED, f"{found.unsupported} is not decoded here")
    for is_beyond, problem in (
        (found.head_steps >= MAX_HEAD_STEPS, f"no frame in its first {MAX_HEAD_STEPS:,} blocks"),
        (found.is_flooded, "more segments in its head than one for each 4 KiB"),
        (found.chunks > MAX_CHUNKS, f"more than {MAX_CHUNKS:,} chunks"),
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
    width_px, height_px = found.size or (0, 0)
    if found.scans > _USUAL_SCANS and found.scans * width_px * height_px > _MAX_SCANNED_PIXELS:
        message = f"the {name} has {found.scans} scans of {width_px} × {height_px} pixels"
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
