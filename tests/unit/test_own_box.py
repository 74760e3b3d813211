"""The decode box of a process: what is said of it, and who has it."""

import os
from collections.abc import Iterator, Sequence

import pytest

from imgcls_beam.errors import ConfigError
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing import limits
from imgcls_beam.sandbox import LOCKS, own_box
from imgcls_beam.sandbox.box import DecodeBox

REQUIRE = DecodeOptions(sandbox="require")


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[DecodeBox]:
    """A box with one child, which is this process's."""
    box = DecodeBox(2 << 30, 1)
    box.find_locks()
    monkeypatch.setattr(own_box, "_find", lambda options: own_box._OwnBox(box))
    yield box
    box.close()


def hold(monkeypatch: pytest.MonkeyPatch, locks: Sequence[str]) -> None:
    """As where the kernel has no other locks."""
    monkeypatch.setattr(DecodeBox, "find_locks", lambda box: tuple(locks))


def fail(box: DecodeBox) -> tuple[str, ...]:
    raise OSError("no processes")


@pytest.mark.parametrize("lacking", LOCKS)
def test_a_lock_that_is_required_and_not_there_is_named(
    box: DecodeBox, lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [each for each in LOCKS if each != lacking]
    hold(monkeypatch, held)
    state = own_box.find_state(DecodeOptions())
    assert (state.where, state.locks) == ("child", tuple(held))
    with pytest.raises(ConfigError, match=f"this machine has no {lacking}; give auto"):
        own_box.find_state(REQUIRE)


def test_all_locks_are_enough(box: DecodeBox, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(monkeypatch, LOCKS)
    assert own_box.find_state(REQUIRE).locks == LOCKS


def test_a_box_that_is_required_and_cannot_be_started_is_refused(
    box: DecodeBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DecodeBox, "find_locks", fail)
    assert own_box.find_state(DecodeOptions()).where == "worker"
    with pytest.raises(ConfigError, match=r"sandbox='require': no process can be started \("):
        own_box.find_state(REQUIRE)


def test_a_box_that_is_switched_off_is_never_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_box, "_find", lambda options: pytest.fail("it was made"))
    off = DecodeOptions(sandbox="off")
    own_box.start_box(off)
    state = own_box.find_state(off)
    assert (state.where, state.locks, state.why) == ("worker", (), "it was switched off")


def test_a_fork_has_a_box_of_its_own_and_ends_no_child_of_its_parent(
    box: DecodeBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(own_box, "_OWN", {})
    ours = own_box.find_box(DecodeOptions())
    with monkeypatch.context() as forked:
        forked.setattr(os, "getpid", lambda: -1)
        assert own_box.find_box(DecodeOptions()) is not ours
        box.close()
    (child,) = box._free
    assert child._process.poll() is None


@pytest.mark.parametrize("max_pixels", [1, 1 << 20, 64 << 20, 200 << 20])
def test_a_child_may_have_more_than_the_image_that_takes_most(
    max_pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_box, "_OWN", {})
    options = DecodeOptions(max_pixels=max_pixels)
    most = max(limits._MAX_PIXEL_BYTES * max_pixels, limits._LEAST_MEMORY_BYTES)
    limits.check_memory("JPEG2000", most, options)
    own_box.find_box(options)
    ((_, memory_bytes),) = own_box._OWN
    assert memory_bytes >= most + (512 << 20)
