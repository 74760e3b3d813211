"""One inspector for each format that is decoded: encoded bytes → an `Inspection`, in one pass.

Pillow opens most formats without their pixels, but not all: a WebP of 34 bytes, a GIF of 43 and an
animated PNG of 114 take 160 MB to 1.4 GB when they are merely opened. So what they declare is read
here first.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal

WidthHeight = tuple[int, int]
"""In pixels."""


@dataclasses.dataclass(frozen=True, slots=True)
class Samples:
    """What the numbers of an image of one channel mean; `grey` makes 8 bits of them.

    Attributes:
        bits: of a sample in the file; 0 where that is not known.
        kind: of number.
        whites: values that the file calls white; the first that no sample exceeds is believed.
        is_white_zero: whether 0 is white and the highest value black.
        is_split: whether the grey's upper and lower 8 bits come as red and green of an RGBA image.
        stretched_from: the value that Pillow has stretched to 65,535, with all others; else 0.
    """

    bits: int = 0
    kind: Literal["unsigned", "signed", "float"] = "unsigned"
    whites: Sequence[float] = ()
    is_white_zero: bool = False
    is_split: bool = False
    stretched_from: int = 0


NOTHING_SAID = Samples()


@dataclasses.dataclass(frozen=True, slots=True)
class Inspection:
    """What one pass over an encoded image finds; `limits` judges it.

    An inspector refuses nothing: what it cannot read is left to the decoder to refuse.

    Attributes:
        data: what the decoder may see: the image's bytes, with metadata that is hostile, or that
            it does not need, renamed or left out.
        sizes: of the image, its frames or its tiles, before orientation; 0 where none was found.
        is_opened_small: whether Pillow opens the format without memory for its pixels; then the
            size that Pillow reads is judged.
        is_cut: whether the format's structure says that bytes are missing at the end. It counts
            only where decoding fails: writers are careless about the end.
        scans: of a JPEG.
        is_scalable: whether its decoder can give it at 1/2, 1/4 or 1/8: a JPEG of one frame that is
            neither lossless nor arithmetic-coded. Pillow asks libjpeg for a scale without looking
            whether it gives it.
        head_steps: how many blocks come before a GIF's first frame.
        small_tiles: by how many the tiles exceed those of `limits.MIN_TILE_PIXELS` pixels each.
        tile_bytes: what a decoder takes of memory for a JPEG 2000's largest tile, beside the image.
        blocks: precincts and code blocks of a JPEG 2000.
        pieces: strips or tiles that a directory lists.
        chunks: of a PNG or WebP, or boxes.
        run_bytes: of a BMP's run lengths.
        is_flooded: whether a JPEG's head has more segments than it can need.
        stray_bytes: of a JPEG's head, which a decoder reads one by one.
        is_held: whether a JPEG's decoder holds all coefficients.
        is_tag_bomb: whether tags claim far more bytes than the file has.
        samples: what the numbers of a grey image mean.
        unsupported: what the image is, e.g. `a JPEG of 12 bits`, where no decoder here reads it
            faithfully; else empty.
        variant: what the image is, where the decoder may not know it: if it cannot be opened it is
            unsupported, and not damaged.
        codec: what the image is, where the decoder may not have what its pixels are packed with: if
            they cannot be loaded it is unsupported, too.
    """

    data: bytes = dataclasses.field(repr=False)
    sizes: Sequence[WidthHeight]
    is_opened_small: bool = False
    is_cut: bool = False
    scans: int = 0
    is_scalable: bool = False
    head_steps: int = 0
    small_tiles: int = 0
    tile_bytes: int = 0
    blocks: int = 0
    pieces: int = 0
    chunks: int = 0
    run_bytes: int = 0
    is_flooded: bool = False
    stray_bytes: int = 0
    is_held: bool = False
    is_tag_bomb: bool = False
    samples: Samples = NOTHING_SAID
    unsupported: str = ""
    variant: str = ""
    codec: str = ""

    @property
    def size(self) -> WidthHeight | None:
        """The size of most pixels; None where none has any."""
        return max(filter(all, self.sizes), key=lambda size: size[0] * size[1], default=None)
