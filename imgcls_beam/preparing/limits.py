"""How far an untrusted image may go: every limit on what an image declares is judged here."""

from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing.inspecting import Inspection, WidthHeight

MAX_HEAD_STEPS = 1 << 19
"""A search for a GIF's first frame ends after so many blocks, some 50 ms: 64 MiB of whole ones have
half of them."""
MAX_CHUNKS = 1 << 17
"""Of a PNG: 64 MiB in pieces of 1 kB have half of them. Of a WebP, and boxes of any depth, too."""
MAX_PIECES = 1 << 18
"""64 Mi pixels in tiles of 16 × 16 have so many; they take Pillow 1.5 s."""
MIN_TILE_PIXELS = 64 * 64
MAX_BLOCKS = 1 << 19
"""Of a JPEG 2000, whose decoder keeps 420 to 570 bytes for each: 129 bytes took 9 GB and 18 s.
64 Mi pixels of three colours, in blocks of 32 × 32, have half of them."""

_MAX_SMALL_TILES = 1024
"""JPEG 2000's decoder keeps 9 kB for each tile: 148 bytes took 616 MB."""
_MAX_EDGE_PX = 1 << 20
"""Pillow keeps some tens of bytes for each row: 64 Mi of one pixel took 1.3 GB."""
_MAX_STRAY_BYTES = 1 << 20
"""Of a JPEG's head: 64 MiB of them took 19 s."""
_MAX_RUN_BYTES = 8 << 20
"""Of a BMP: Pillow reads run by run, in Python, 8 MiB in up to 2.6 s."""
_MAX_PIXEL_BYTES, _LEAST_MEMORY_BYTES = 16, 1 << 30
"""Of memory, for each pixel that is allowed, and in any case. A JPEG 2000 of four channels
takes 25, in a file of 300 bytes."""
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
    if found.run_bytes > _MAX_RUN_BYTES:
        message = f"a {name} of more than {_MAX_RUN_BYTES:,} bytes of run lengths"
        raise ImageError(FailureCode.UNSUPPORTED, f"{message} is not decoded here")
    _check_structure(name, found)
    _check_scans(name, found, options)


def _check_structure(name: str, found: Inspection) -> None:
    for is_beyond, problem in (
        (found.head_steps >= MAX_HEAD_STEPS, f"no frame in its first {MAX_HEAD_STEPS:,} blocks"),
        (found.is_flooded, "more segments in its head than one for each 4 KiB"),
        (found.stray_bytes > _MAX_STRAY_BYTES, "more than 1 MiB that is no segment in its head"),
        (found.chunks > MAX_CHUNKS, f"more than {MAX_CHUNKS:,} chunks"),
        (
            found.small_tiles > _MAX_SMALL_TILES,
            "more than 1,024 tiles, of less than 64 × 64 pixels",
        ),
        (found.blocks > MAX_BLOCKS, f"more than {MAX_BLOCKS:,} precincts or blocks"),
        (found.is_tag_bomb, "tags that claim more bytes than the file has"),
        (found.pieces > MAX_PIECES, f"more than {MAX_PIECES:,} strips or tiles"),
    ):
        if is_beyond:
            raise ImageError(FailureCode.CORRUPT, f"the {name} has {problem}")


def _check_scans(name: str, found: Inspection, options: DecodeOptions) -> None:
    if found.scans > options.max_scans:
        message = f"the {name} has more than {options.max_scans} scans"
        raise ImageError(FailureCode.TOO_MANY_SCANS, message)
    width_px, height_px = found.size or (0, 0)
    if found.scans > _USUAL_SCANS and found.scans * width_px * height_px > _MAX_SCANNED_PIXELS:
        message = f"the {name} has {found.scans} scans of {width_px} × {height_px} pixels"
        raise ImageError(FailureCode.TOO_MANY_SCANS, message)


def check_memory(name: str, size_bytes: int, options: DecodeOptions) -> None:
    """Refuses what takes more memory to decode than one image may have.

    Raises:
        ImageError: `too_much_memory`.
    """
    most = max(_MAX_PIXEL_BYTES * options.max_pixels, _LEAST_MEMORY_BYTES)
    if size_bytes > most:
        message = f"the {name} takes {size_bytes >> 20:,} MiB to decode, more than {most >> 20:,}"
        raise ImageError(FailureCode.TOO_MUCH_MEMORY, message)


def check_size(size: WidthHeight, options: DecodeOptions) -> int:
    """The pixels of an image of that size.

    Raises:
        ImageError: `too_many_pixels`.
    """
    width_px, height_px = size
    if max(size) > _MAX_EDGE_PX:
        message = f"{width_px} × {height_px} pixels: an edge is longer than {_MAX_EDGE_PX:,}"
        raise ImageError(FailureCode.TOO_MANY_PIXELS, message)
    if width_px * height_px > options.max_pixels:
        message = f"{width_px} × {height_px} pixels are more than {options.max_pixels}"
        raise ImageError(FailureCode.TOO_MANY_PIXELS, message)
    return width_px * height_px
