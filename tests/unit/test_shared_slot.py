"""Memory that a decode child shares with its starter, as the starter has it."""

import os
from collections.abc import Iterator

import pytest

from imgcls_beam.sandbox.shared_slot import SharedSlot

MIB = 1 << 20


@pytest.fixture
def slot() -> Iterator[SharedSlot]:
    made = SharedSlot()
    made.put([b"an image"])
    yield made
    made.close()


def test_nobody_makes_it_smaller_under_its_reader(slot: SharedSlot) -> None:
    """A child has the same descriptor; who reads what is gone is ended by SIGBUS."""
    with pytest.raises(PermissionError):
        os.ftruncate(slot.descriptor, 0)
    assert slot.take(0, 8) == b"an image"


def test_it_grows_and_what_was_in_it_stays(slot: SharedSlot) -> None:
    slot.grow(3 * MIB + 1)
    assert slot.size_bytes == 4 * MIB
    slot.grow(1)
    assert slot.size_bytes == 4 * MIB
    assert slot.take(0, 8) == b"an image"


@pytest.mark.parametrize(("start", "length"), [(-1, 1), (0, MIB + 1), (MIB, 1), (2, -1)])
def test_what_is_not_in_it_is_not_taken(slot: SharedSlot, start: int, length: int) -> None:
    assert slot.size_bytes == MIB
    with pytest.raises(ValueError, match="more than there is"):
        slot.take(start, length)


def test_a_large_image_leaves_no_memory_behind() -> None:
    slot = SharedSlot()
    slot.put([b"x" * 16 * MIB])
    kept = os.fstat(slot.descriptor).st_blocks
    slot.rest()
    assert os.fstat(slot.descriptor).st_blocks < kept
    assert slot.take(0, 1) == b"\0"
    slot.close()
