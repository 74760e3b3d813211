"""Good files of every format, and what becomes of them by chance."""

import random

from imgcls_beam.preparing.formats import FORMATS
from tests import pictures

_PICTURE = pictures.draw_picture()

SEEDS = {name: pictures.encode(_PICTURE, name) for name in FORMATS}
SEEDS |= {
    "JPEG, progressive, turned": pictures.encode(
        _PICTURE, "JPEG", progressive=True, exif=pictures.exif_block(6)
    ),
    "PNG, palette, EXIF": pictures.encode(
        _PICTURE.quantize(40), "PNG", transparency=bytes(40), exif=pictures.exif_block(8)
    ),
    "TIFF, LZW": pictures.encode(_PICTURE, "TIFF", compression="tiff_lzw"),
    "AVIF, EXIF": pictures.encode(_PICTURE, "AVIF", exif=pictures.exif_block(3)),
}


def mutate(data: bytes, random_source: random.Random) -> bytes:
    """A few bytes flipped, most of them in the header; or cut; or a stretch repeated."""
    changed = bytearray(data)
    for _ in range(random_source.choice((1, 1, 2, 5, 20))):
        end = random_source.choice((40, 200, len(data)))
        changed[random_source.randrange(min(end, len(data)))] = random_source.randrange(256)
    if random_source.random() < 0.3:
        del changed[random_source.randrange(len(changed)) :]
    elif random_source.random() < 0.1:
        start = random_source.randrange(len(changed))
        changed[start:start] = changed[start : start + 100]
    return bytes(changed)
