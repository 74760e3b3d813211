"""One inspector for each format that is decoded: encoded bytes → an `Inspection`, in one pass.

Pillow opens most formats without their pixels, but not all: a WebP of 34 bytes, a GIF of 43 and an
animated PNG of 114 take 160 MB to 1.4 GB when they are merely opened. So what they declare is read
here first.
"""

import dataclasses
from collections.abc import Sequence

WidthHeight = tuple[int, int]
"""In pixels."""


@dataclasses.dataclass(frozen=True, slots=True)
class Inspection:
    """What one pass over an encoded image finds; `limits` judges it.

    An inspector refuses nothing: what it cannot read is left to the decoder to refuse.

    Attributes:
        data: what the decoder may see: the image's bytes, with hostile metadata renamed.
        sizes: of the image, its frames or its tiles, before orientation; 0 where none was found.
        is_opened_small: whether Pillow opens the format without memory for its pixels; then the
            size that Pillow reads is judged.
        is_cut: whether the format's structure says that bytes are missing at the end. It counts
            only where decoding fails: writers are careless about the end.
        scans: of a JPEG.
        comment_bytes: before the first frame.
        head_bytes: all that comes before the first frame, comments included.
        small_tiles: by how many the tiles exceed those of `limits.MIN_TILE_PIXELS` pixels each.
        pieces: strips or tiles that a directory lists.
        is_tag_bomb: whether tags claim far more bytes than the file has.
    """

    data: bytes = dataclasses.field(repr=False)
    sizes: Sequence[WidthHeight]
    is_opened_small: bool = False
    is_cut: bool = False
    scans: int = 0
    comment_bytes: int = 0
    head_bytes: int = 0
    small_tiles: int = 0
    pieces: int = 0
    is_tag_bomb: bool = False

    @property
    def size(self) -> WidthHeight | None:
        """The size of most pixels; None where none has any."""
        return max(filter(all, self.sizes), key=lambda size: size[0] * size[1], default=None)
