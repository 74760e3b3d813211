"""How much memory decoding an image takes, at most, before any of it is taken.

Measured with Pillow 12.3: the decoder's own, the image, and the copies that turn it upright and
make it RGB, of which two are in memory at once.
"""

from imgcls_beam.preparing.inspecting import Inspection

DECODING_BYTES = 896 << 20
"""Of a process, for all images that are decoded at once. An image that takes more goes alone."""
LARGE_BYTES = 16 << 20
"""Images that take less are not counted: a thread has one of them at a time."""
HUGE_BYTES = 256 << 20
"""Before an image that takes more, memory is given back that was kept for the next ones."""

PIXEL_BYTES = {
    "JPEG": 8,
    "PNG": 8,
    "WEBP": 13,
    "GIF": 8,
    "AVIF": 16,
    "HEIF": 16,
    "BMP": 8,
    "TIFF": 12,
    "JPEG2000": 8,
    "PPM": 12,
}
"""Of each pixel, by format."""

_HELD_PIXEL_BYTES = 16
"""Of a JPEG whose coefficients are held, as those of a progressive one are."""
_LOADED_PIXEL_BYTES = 4
"""Of a JPEG 2000, while a tile of it is decoded."""
_BLOCK_BYTES = 600
"""Of a JPEG 2000: what its decoder keeps for a precinct or a code block."""
_GROUP_BYTES = 5700
_MAX_GROUPS = 1 << 16
_PIXELS_A_GROUP = 16
_LEAST_GROUP_BYTES = 4
"""Of a lossless WebP: the tables of a group of codes. A picture may have one for each 16 pixels,
and each takes four bytes of the file or more: 295 kB of 1 Mi pixels took 363 MB."""


def estimate_bytes(name: str, found: Inspection, pixels: int) -> int:
    """The most memory that decoding takes.

    Args:
        name: of the format.
        found: what the image declares.
        pixels: that are decoded.
    """
    pixel_bytes = PIXEL_BYTES[name]
    if found.is_held or found.scans > 1:
        pixel_bytes = _HELD_PIXEL_BYTES
    tile_bytes = max(0, found.tile_bytes - pixels * _LOADED_PIXEL_BYTES)
    groups = 0
    if name == "WEBP" and b"VP8L" in found.data:
        most = len(found.data) // _LEAST_GROUP_BYTES
        groups = min(pixels // _PIXELS_A_GROUP, most, _MAX_GROUPS)
    return pixels * pixel_bytes + tile_bytes + found.blocks * _BLOCK_BYTES + groups * _GROUP_BYTES
