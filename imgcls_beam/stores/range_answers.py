"""What answers the request for some bytes of an object: all of them, fewer, or more.

RFC 9110 lets a server give a part of what was asked for, or the whole object. Only `Content-Range`
tells a part from an object that ends there.
"""

import errno
import re
from typing import Any, NamedTuple

_RANGE = re.compile(r"\s*bytes\s+(\d+)-(\d+)/(\d+|\*)\s*")
_PARTIAL_CONTENT = 206


class Piece(NamedTuple):
    """What one answer brought.

    Attributes:
        data: from the first byte that was asked for on.
        is_last: whether there is no more of what was asked for.
    """

    data: bytes
    is_last: bool


def make_short_error() -> OSError:
    """The error for an answer without the bytes that were asked for; it may pass."""
    return OSError(errno.EIO, "the store gave fewer bytes than were asked for")


def is_all(content_range: str | None, start: int, end: int, size_bytes: int) -> bool:
    """Whether so many bytes are all that there is of a stretch.

    Args:
        content_range: of the answer; without a sound one it is believed.
        start: of the stretch, in bytes.
        end: behind its last byte; the object may end before.
        size_bytes: what was given.

    Raises:
        OSError: it is another stretch; that may pass.
    """
    found = _RANGE.fullmatch(content_range or "")
    if found is None:
        return True
    if int(found[1]) != start:
        raise make_short_error()
    total_bytes = end if found[3] == "*" else int(found[3])
    return start + size_bytes >= min(end, total_bytes)


async def read_piece(answer: Any, start: int, end: int) -> Piece:  # noqa: ANN401  aiohttp's
    """Reads no more of an answer than was asked for, whatever the server sends.

    Args:
        answer: whose status says that it has content. Where it is packed it is unpacked on the way.
        start: of the stretch, in bytes.
        end: behind its last byte.

    Raises:
        OSError: it is another stretch, or a packed one that ends within; that may pass.
    """
    is_part = answer.status == _PARTIAL_CONTENT
    skipped = 0 if is_part else start
    data = bytearray()
    async for chunk in answer.content.iter_any():
        data += chunk
        if len(data) > skipped + end - start:
            answer.close()
            break
    wanted = bytes(memoryview(data)[skipped : skipped + end - start])
    if not is_part or len(wanted) == end - start:
        return Piece(wanted, is_last=True)
    content_range = answer.headers.get("Content-Range")
    if answer.headers.get("Content-Encoding", "identity") in ("", "identity"):
        return Piece(wanted, is_all(content_range, start, end, len(wanted)))
    found = _RANGE.fullmatch(content_range or "")  # it counts packed bytes
    if found is not None and found[3] != "*" and int(found[2]) + 1 < int(found[3]):
        raise make_short_error()
    return Piece(wanted, is_last=True)
