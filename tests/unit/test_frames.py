"""Messages of a decode child are read as the word of one that may be hostile."""

import io
import json
import struct

import pytest

from imgcls_beam.sandbox.frames import MAX_BYTES, BrokenFrameError, read_frame

DEEP = 30_000
"""Levels of brackets: within a message, and more than Python's parser climbs."""


def frame(body: bytes, length: int | None = None) -> io.BytesIO:
    return io.BytesIO(struct.pack("<I", len(body) if length is None else length) + body)


def test_messages_are_read_one_after_the_other_until_the_end() -> None:
    source = io.BytesIO(frame(b'{"a": 1}').getvalue() + frame(b"{}").getvalue())
    assert [read_frame(source.read) for _ in range(3)] == [{"a": 1}, {}, None]


def test_a_message_that_comes_in_pieces_is_one() -> None:
    source = frame(b'{"a": [1, 2]}')
    assert read_frame(lambda length: source.read(min(length, 3))) == {"a": [1, 2]}


@pytest.mark.parametrize(
    "source",
    [
        frame(b"{}", 3),
        frame(b""),
        io.BytesIO(b"\2\0"),
        frame(b"\x80\x04N."),
        frame(b"[1]"),
        frame(b'"text"'),
        frame(b"{" * 5),
        frame(b"[" * DEEP + b"]" * DEEP),
    ],
    ids=["cut", "empty", "half a head", "a pickle", "a list", "a text", "no JSON", "deep"],
)
def test_what_is_no_message_is_refused(source: io.BytesIO) -> None:
    with pytest.raises(BrokenFrameError):
        read_frame(source.read)


def test_a_message_that_is_too_long_is_not_read() -> None:
    longest = json.dumps({"a": "x" * (MAX_BYTES - 9)}).encode()
    assert len(longest) == MAX_BYTES
    assert read_frame(frame(longest).read) == json.loads(longest)
    source = frame(json.dumps({"a": "x" * (MAX_BYTES - 8)}).encode())
    with pytest.raises(BrokenFrameError, match="a message of 65537 bytes"):
        read_frame(source.read)
    assert source.tell() == 4
