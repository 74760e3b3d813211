"""What an encoded image says of itself, read before any decoder sees it.

Pillow opens most formats lazily, but not all: a WebP of 34 bytes, a GIF of 43 and an animated PNG
of 114 take 160 MB to 1.4 GB when they are merely opened. So the sizes they declare are read here.
Everything here is tolerant: what cannot be read is left to the decoder to refuse.
"""

import re
import struct
from collections.abc import Callable, Iterator

from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.preparing import metadata

Size = tuple[int, int]
"""(width, height) in pixels."""

_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")
"""A marker that carries meaning: no stuffed 0xFF, no restart, no padding."""
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA

_ISPE = re.compile(rb"ispe\0.{3}(.{8})", re.DOTALL)
_SIZ = re.compile(rb"\xff\x4f\xff\x51.{4}(.{32})", re.DOTALL)

_MAX_GIF_HEAD_BYTES = 4 << 20
_MAX_GIF_COMMENT_BYTES = 1 << 20
_GIF_COMMENT = 0xFE

_FREE_TILES = 1024
_MIN_TILE_PIXELS = 64 * 64


def declared_size(data: bytes, name: str) -> Size | None:
    """The largest size, image's or tile's, for which opening or decoding would take memory.

    None where none is found, and for formats that Pillow opens lazily and decodes by its own size.

    Args:
        data: the encoded image.
        name: its format, as Pillow calls it.
    """
    sizes = _SIZES_OF[name](data) if name in _SIZES_OF else iter(())
    return max(filter(all, sizes), key=lambda size: size[0] * size[1], default=None)


def _png_sizes(data: bytes) -> Iterator[Size]:
    # The last header wins in Pillow, so a small first one proves nothing.
    for kind, start in _png_chunks(data):
        if kind in (b"IDAT", b"fdAT"):
            return
        if kind == b"IHDR" and start + 8 <= len(data):
            yield struct.unpack_from(">II", data, start)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yields each chunk's type and where its content starts."""
    at = 8
    while at + 8 <= len(data):
        yield data[at + 4 : at + 8], at + 8
        at += int.from_bytes(data[at : at + 4], "big") + 12


def _webp_sizes(data: bytes) -> Iterator[Size]:
    kind, body = data[12:16], data[20:30]
    if len(body) < 10:
        return
    if kind == b"VP8X":
        yield int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:], "little") + 1
    elif kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        yield (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", body, 6)
        yield width & 0x3FFF, height & 0x3FFF


def _gif_sizes(data: bytes) -> Iterator[Size]:
    at, _ = _find_gif_frame(data)
    if at + 9 > len(data):
        return
    # Pillow widens the canvas to hold the frame.
    canvas = struct.unpack_from("<HH", data, 6)
    left, top, width, height = struct.unpack_from("<HHHH", data, at + 1)
    yield max(canvas[0], left + width), max(canvas[1], top + height)


def _find_gif_frame(data: bytes) -> tuple[int, int]:
    """Where the first frame's descriptor stands, and how many bytes of comments before it."""
    flags = data[10] if len(data) > 10 else 0
    at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    comment_bytes = 0
    while at + 2 < len(data) and at < _MAX_GIF_HEAD_BYTES and data[at] not in b",;":
        if data[at] != ord("!"):
            at += 1
            continue
        start, label = at, data[at + 1]
        at = _skip_gif_blocks(data, at + 2)
        if label == _GIF_COMMENT:
            comment_bytes += at - start
        elif at == start + 3:
            # Pillow reads on after an empty block, unless it is a comment's.
            at = _skip_gif_blocks(data, at)
    return at, comment_bytes


def _skip_gif_blocks(data: bytes, at: int) -> int:
    while at < len(data) and data[at] and at < _MAX_GIF_HEAD_BYTES:
        at += data[at] + 1
    return at + 1


def _avif_sizes(data: bytes) -> Iterator[Size]:
    for found in _ISPE.finditer(data):
        yield struct.unpack(">II", found[1])


def _jpeg2000_sizes(data: bytes) -> Iterator[Size]:
    for width, height, left, top, *_ in _jpeg2000_grids(data):
        yield max(0, width - left), max(0, height - top)


def _jpeg2000_grids(data: bytes) -> Iterator[tuple[int, ...]]:
    for found in _SIZ.finditer(data):
        yield struct.unpack(">8I", found[1])


_SIZES_OF: dict[str, Callable[[bytes], Iterator[Size]]] = {
    "PNG": _png_sizes,
    "WEBP": _webp_sizes,
    "GIF": _gif_sizes,
    "AVIF": _avif_sizes,
    "JPEG2000": _jpeg2000_sizes,
    "TIFF": metadata.tiff_sizes,
}


def check_traps(data: bytes, name: str) -> None:
    """Refuses an image whose header alone would take a decoder's memory or time.

    Raises:
        ImageError: `corrupt`.
    """
    problem = _TRAPS[name](data) if name in _TRAPS else None
    if problem:
        raise ImageError(FailureCode.CORRUPT, f"the {name} {problem}")


def _find_gif_trap(data: bytes) -> str | None:
    at, comment_bytes = _find_gif_frame(data)
    if comment_bytes > _MAX_GIF_COMMENT_BYTES:
        # Pillow joins a comment block by block: 6 MB of it took 23 s.
        return "has more than 1 MiB of comments"
    return "has no frame in its first 4 MiB" if at >= _MAX_GIF_HEAD_BYTES else None


def _find_jpeg2000_trap(data: bytes) -> str | None:
    # The decoder keeps 9 kB for each tile: 148 bytes took 616 MB.
    if any(map(_is_crowded, _jpeg2000_grids(data))):
        return "has more than 1,024 tiles, of less than 64 × 64 pixels"
    return None


def _is_crowded(grid: tuple[int, ...]) -> bool:
    width, height, _, _, tile_width, tile_height, tile_left, tile_top = grid
    across = -(-max(0, width - tile_left) // max(1, tile_width))
    tiles = across * -(-max(0, height - tile_top) // max(1, tile_height))
    return tiles > _FREE_TILES + width * height // _MIN_TILE_PIXELS


_TRAPS: dict[str, Callable[[bytes], str | None]] = {
    "GIF": _find_gif_trap,
    "JPEG2000": _find_jpeg2000_trap,
    "TIFF": metadata.find_tiff_trap,
}


def has_more_scans(data: bytes, max_scans: int) -> bool:
    """Whether a JPEG has more scans than that; 0.2 ms for a real file.

    A plain count is an upper bound, since a scan's own data never holds the marker. Only where it
    is too high are the markers walked: a phone's moving picture has a film behind the image, and
    there the two bytes come by chance.
    """
    if data.count(b"\xff\xda") <= max_scans:
        return False
    scans = 0
    for marker in _jpeg_markers(data):
        scans += marker == _SOS
        if scans > max_scans:
            return True
    return False


def _jpeg_markers(data: bytes) -> Iterator[int]:
    """Yields the markers of the first image, up to its end or the end of the data."""
    at = 2
    while found := _JPEG_MARKER.search(data, at):
        marker = found[1][0]
        yield marker
        if marker == _EOI:
            return
        at = found.end()
        if marker != _SOI:
            at += max(2, int.from_bytes(data[at : at + 2], "big"))


def is_cut_short(data: bytes, name: str) -> bool:
    """Whether the format's own structure says that bytes are missing at the end.

    To be asked only of an image that could not be decoded: writers are careless about the end.
    """
    return _CUTS[name](data) if name in _CUTS else False


def _is_jpeg2000_cut(data: bytes) -> bool:
    return not data.endswith(b"\xff\xd9") if data.startswith(b"\xff\x4f") else _is_box_cut(data)


def _is_box_cut(data: bytes) -> bool:
    at, has_pixels = 0, False
    while at + 8 <= len(data):
        has_pixels |= data[at + 4 : at + 8] in (b"mdat", b"jp2c")
        length = int.from_bytes(data[at : at + 4], "big")
        if length == 1:
            length = int.from_bytes(data[at + 8 : at + 16], "big")
        if length < 8:  # 0: the last box, as long as the file is
            return False
        at += length
    return at != len(data) or not has_pixels


_CUTS: dict[str, Callable[[bytes], bool]] = {
    "JPEG": lambda data: _EOI not in _jpeg_markers(data),
    "PNG": lambda data: all(kind != b"IEND" for kind, _ in _png_chunks(data)),
    "GIF": lambda data: not data.rstrip(b"\0").endswith(b";"),
    "WEBP": lambda data: len(data) < int.from_bytes(data[4:8], "little") + 8,
    "BMP": lambda data: len(data) < int.from_bytes(data[2:6], "little"),
    "TIFF": metadata.is_tiff_cut_short,
    "AVIF": _is_box_cut,
    "JPEG2000": _is_jpeg2000_cut,
}
