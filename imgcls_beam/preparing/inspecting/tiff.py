"""TIFF: its first directory."""

import itertools
from collections.abc import Sequence

from imgcls_beam.preparing.inspecting import Inspection, tags, tiff_kinds
from imgcls_beam.preparing.limits import MAX_PIECES

_SIZES = (256, 257, 322, 323)
"""Width and height, of the image and of a tile."""
_PIECES = ((273, 279), (324, 325))
"""Where strips and tiles lie, and how long each is."""
_PIECE_NUMBERS = frozenset(number for pair in _PIECES for number in pair)
_MAX_VALUES = 64
"""Of a tag that describes the pixels: Pillow refuses more than six channels."""


def inspect_tiff(data: bytes) -> Inspection:
    """The image's size or its tile's, its pixels, its strips or tiles, and what its tags claim."""
    entries = list(itertools.islice(tags.read_tags(data), tags.MAX_TAGS))
    values = {
        tag.number: found
        for tag in entries
        if tag.number in tiff_kinds.DESCRIBING or tag.number in _SIZES
        if (found := tags.read_numbers(data, tag, _MAX_VALUES))
    }
    width, height, tile_width, tile_height = (int(values.get(each, (0,))[0]) for each in _SIZES)
    kind = tiff_kinds.read_kind(values)
    is_cut = _is_cut(data, entries)
    return Inspection(
        data,
        [(width, height), (tile_width, tile_height)],
        is_cut=is_cut,
        pieces=max((tag.values for tag in entries if tag.number in _PIECE_NUMBERS), default=0),
        is_tag_bomb=tags.is_tag_bomb(data),
        samples=tiff_kinds.describe_samples(kind, values),
        unsupported=tiff_kinds.name_raw(data, values) or kind.name_unsupported(),
        variant=kind.name_variant(),
        codec=kind.name_codec(),
    )


def _is_cut(data: bytes, entries: Sequence[tags.Tag]) -> bool:
    """Whether tags, strips or tiles lie beyond the end, or are not there at all."""
    last = {tag.number: tag for tag in entries}
    if not last or any(tag.start + tag.size_bytes > len(data) for tag in last.values()):
        return True
    for offsets, counts in _PIECES:
        if offsets in last and counts in last:
            starts = tags.read_integers(data, last[offsets], MAX_PIECES)
            lengths = tags.read_integers(data, last[counts], MAX_PIECES)
            return any(sum(piece) > len(data) for piece in zip(starts, lengths, strict=False))
    return True
