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
