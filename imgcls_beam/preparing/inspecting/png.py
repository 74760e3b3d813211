"""PNG: its headers, what its grey means, and the chunks that a decoder needs."""

import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from imgcls_beam.preparing.inspecting import NOTHING_SAID, Inspection, Samples, WidthHeight
from imgcls_beam.preparing.limits import MAX_CHUNKS

_NEEDED = frozenset({b"tRNS", b"eXIf"})
"""Of the chunks that a decoder may leave out, those that have a say in the picture. Pillow inflates
profiles and texts, and refuses the image for one above 1 MiB. An animation's chunks are left out,
too: its first frame is the image without them."""
_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_TURNING = (b"XML:com.adobe.xmp", b"Raw profile type exif", b"exif")
"""The keywords of texts in which Pillow looks for an orientation."""
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)[0-9]')
_MAX_TEXT_BYTES = 1 << 20
_MAX_XMP_BYTES = 16 << 20
"""A packet with a picture's whole history in it has some megabytes; it is inflated in pieces."""

_DEEP, _DEEP_WITH_ALPHA = b"\x10\0", b"\x10\4"
"""Bits and colour type: grey of 16 bits."""
_MAX_16_BITS = 65_535


class _Chunk(NamedTuple):
    """Where a chunk lies: from its length to its checksum."""

    kind: bytes
    start: int
    end: int


def inspect_png(data: bytes) -> Inspection:
    """The sizes of all its headers, since Pillow takes the last one; whether it has an end.

    A decoder sees the chunks that it needs, and no others.
    """
    sizes: list[WidthHeight] = []
    spans: list[list[int]] = []
    turning: dict[bytes, _Chunk] = {}
    form, significant, chunks, is_cut, is_head = b"", b"", 0, True, True
    for chunk in _walk(data):
        chunks += 1
        is_head &= chunk.kind not in (b"IDAT", b"fdAT")
        is_cut &= chunk.kind != b"IEND"
        if chunk.kind == b"IHDR" and is_head and chunk.start + 16 <= len(data):
            sizes.append(struct.unpack_from(">II", data, chunk.start + 8))
            form = data[chunk.start + 16 : chunk.start + 18]
        elif chunk.kind == b"sBIT":
            significant = data[chunk.start + 8 : chunk.end - 4]
        elif chunk.kind in _TEXTS and (keyword := _find_keyword(data, chunk)):
            turning[keyword] = chunk
        if chunk.kind[:1].isupper() or chunk.kind in _NEEDED or chunk.end > len(data):
            _extend(spans, chunk)
    return Inspection(
        _join(data, spans, [_shorten(data, chunk) for chunk in turning.values()]),
        sizes,
        is_cut=is_cut,
        chunks=chunks,
        samples=_describe(form, significant),
        unsupported="a PNG as iPhones keep it (CgBI)" if data[12:16] == b"CgBI" else "",
    )


def _walk(data: bytes) -> Iterator[_Chunk]:
    at, count = 8, 0
    while at + 8 <= len(data) and count <= MAX_CHUNKS:
        end = at + int.from_bytes(data[at : at + 4], "big") + 12
        yield _Chunk(data[at + 4 : at + 8], at, end)
        at, count = end, count + 1


def _extend(spans: list[list[int]], chunk: _Chunk) -> None:
    if spans and spans[-1][1] == chunk.start:
        spans[-1][1] = chunk.end
    else:
        spans.append([chunk.start, chunk.end])


def _join(data: bytes, spans: Sequence[Sequence[int]], texts: Sequence[bytes]) -> bytes:
    """The signature, the first header, the texts, and the other chunks that are kept."""
    if not spans or (len(spans) == 1 and spans[0][1] >= len(data)):
        return data
    kept = [data[start:end] for start, end in spans]
    first_bytes = int.from_bytes(kept[0][:4], "big") + 12
    return b"".join((data[:8], kept[0][:first_bytes], *texts, kept[0][first_bytes:], *kept[1:]))


def _find_keyword(data: bytes, chunk: _Chunk) -> bytes | None:
    start = chunk.start + 8
    end = data.find(b"\0", start, min(chunk.end - 4, start + 80))
    keyword = data[start:end] if end > 0 else b""
    return keyword if keyword in _TURNING else None


def _shorten(data: bytes, chunk: _Chunk) -> bytes:
    """A text that may turn the image, as a chunk of what turns it; nothing where it is too long."""
    keyword, _, body = data[chunk.start + 8 : chunk.end - 4].partition(b"\0")
    is_xmp = keyword == _TURNING[0]
    limit_bytes = _MAX_XMP_BYTES if is_xmp else _MAX_TEXT_BYTES
    text = b"".join(_unpack(chunk.kind, body, limit_bytes))
    if is_xmp:
        found = _XMP_ORIENTATION.search(text)
        return _make_chunk(b"iTXt", keyword + bytes(5) + found[0]) if found else b""
    return _make_chunk(b"tEXt", keyword + b"\0" + text) if len(text) < limit_bytes else b""


def _unpack(kind: bytes, body: bytes, limit_bytes: int) -> Iterator[bytes]:
    is_packed = kind == b"zTXt"
    if kind == b"iTXt":
        is_packed, body = body[:1] == b"\1", body[2:].split(b"\0", 2)[-1]
    elif is_packed:
        body = body[1:]
    if not is_packed:
        yield body[:limit_bytes]
        return
    try:
        yield zlib.decompressobj().decompress(body, limit_bytes)
    except zlib.error:
        return


def _make_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _describe(form: bytes, significant: bytes) -> Samples:
    """What the grey means. Significant bits are scaled up by the standard, but not by everybody."""
    if form not in (_DEEP, _DEEP_WITH_ALPHA):
        return NOTHING_SAID
    used = significant[0] if significant else 0
    whites = ((1 << used) - 1, _MAX_16_BITS) if 0 < used <= 16 else ()
    return Samples(16, whites=whites, is_split=form == _DEEP_WITH_ALPHA)
