"""Files made to cost a decoder much: each kind by name, of any size.

`FILES` has what makes each: it takes about how many bytes the file may have, so that a test makes
small ones and a person who measures makes ones as large as the limit.
"""

from collections.abc import Callable, Mapping

from tests.hostile import boxes, flat, gifs, jpegs, pngs, tiffs, webps

Make = Callable[[int], bytes]
"""About how many bytes the file may have → the file."""

FILES: Mapping[str, Make] = {
    f"{kind}: {name}": make
    for kind, makers in (
        ("JPEG", jpegs.MAKERS),
        ("PNG", pngs.MAKERS),
        ("GIF", gifs.MAKERS),
        ("WEBP", webps.MAKERS),
        ("boxes", boxes.MAKERS),
        ("TIFF", tiffs.MAKERS),
        ("flat", flat.MAKERS),
    )
    for name, make in makers.items()
}

LARGE = frozenset(
    {
        "JPEG: scans, 90 of 64 Mi pixels",
        "JPEG: scans, 20 of 64 Mi pixels",
        "PNG: 64 Mi pixels of RGBA",
        "PNG: 64 Mi pixels of 16 bits",
        "PNG: 64 Mi pixels of 16 bits and alpha",
        "PNG: 64 Mi pixels of RGBA of 16 bits",
        "PNG: 64 Mi pixels of one bit, interlaced",
        "PNG: text that inflates",
        "PNG: XMP that inflates",
        "PNG: profile that inflates",
        "PNG: rows beyond the last",
        "GIF: 64 Mi pixels",
        "WEBP: 64 Mi pixels",
        "WEBP: 64 Mi pixels, lossless",
        "WEBP: groups of codes",
        "boxes: AVIF, 64 Mi pixels",
        "boxes: JPEG2000, 64 Mi pixels that are not there",
        "TIFF: 64 Mi pixels, deflated",
        "TIFF: 64 Mi pixels, LZW",
        "TIFF: 64 Mi pixels, run lengths",
        "TIFF: 64 Mi pixels, fax",
        "TIFF: 64 Mi pixels, CMYK",
        "TIFF: a JPEG of 5,000 scans",
        "TIFF: a JPEG of 90 scans",
    }
)
"""Those that take long to make."""
