"""Messages between a process and its decode children: a length, then an object of JSON.

Nothing that a child says is unpickled: it may be hostile by then.
"""

import json
import os
import struct
from collections.abc import Callable
from typing import Any

Message = dict[str, Any]

MAX_BYTES = 1 << 16
"""Of a message. What describes an image has a few hundred."""

GO, REST = b".", b"-"
"""What a child that waits for a permission is told: that it has it, or to give back memory."""

_HEAD = struct.Struct("<I")


class BrokenFrameError(Exception):
    """What was read is no message."""


def write_frame(descriptor: int, *messages: bytes) -> None:
    """Writes messages, whole, and together: who waits for them wakes up once.

    Raises:
        OSError: nobody reads it.
    """
    left = memoryview(b"".join(_HEAD.pack(len(each)) + each for each in messages))
    while left:
        left = left[os.write(descriptor, left) :]


def read_frame(read: Callable[[int], bytes]) -> Message | None:
    """Reads a message.

    Args:
        read: gives up to so many bytes, or none at the end.

    Returns:
        None at the end.

    Raises:
        BrokenFrameError: it ends in the middle, is too long, or no object of JSON.
    """
    head = _read_exactly(read, _HEAD.size)
    if not head:
        return None
    (length,) = _HEAD.unpack(head)
    if length > MAX_BYTES:
        raise BrokenFrameError(f"a message of {length} bytes")
    try:
        message = json.loads(_read_exactly(read, length))
    except (ValueError, RecursionError) as error:
        raise BrokenFrameError("a message that is no JSON") from error
    if not isinstance(message, dict):
        raise BrokenFrameError("a message that is no object")
    return message


def _read_exactly(read: Callable[[int], bytes], length: int) -> bytes:
    parts: list[bytes] = []
    left = length
    while left:
        part = read(left)
        if not part:
            if left == length:
                return b""
            raise BrokenFrameError("a message that ends in the middle")
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
