"""How long a decode child may take, and who else is in it: clocks, signals, memory."""

import concurrent.futures
import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from imgcls_beam.byte_budget import ByteBudget, Loan
from imgcls_beam.elements import EncodedImage, ImageRef
from imgcls_beam.options import DecodeOptions
from imgcls_beam.preparing import prepare
from imgcls_beam.sandbox import boxed_preparing, own_box, prepare_in_box, starting
from imgcls_beam.sandbox.asked_work import plan_work, write_work
from imgcls_beam.sandbox.box import DecodeBox
from imgcls_beam.sandbox.child_process import ChildEndedError, DecodeChild, Ending, Errand
from imgcls_beam.sandbox.frames import Message
from tests import pictures, sick_child
from tests.boxes import SMALL, PlainPreparer
from tests.processes import is_running, wait_until
from tests.programs import ROOT

GOOD = pictures.encode(pictures.draw_picture(), "PNG")
DECODED = [{"size": [9, 7]}]
MEMORY_BYTES = 2 << 30
LIMIT_S = 1000
"""Of a core; longer than any test."""


@pytest.fixture
def sick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children that are started are sick."""
    monkeypatch.setattr(starting, "_PROGRAM", sick_child.PROGRAM)


@pytest.fixture
def box() -> Iterator[DecodeBox]:
    """A box of one child, which is ready."""
    made = DecodeBox(MEMORY_BYTES, 1)
    made.find_locks()
    yield made
    made.close()


@pytest.fixture
def fresh(box: DecodeBox, monkeypatch: pytest.MonkeyPatch) -> list[DecodeChild]:
    """The children that are started for one image alone."""
    started: list[DecodeChild] = []
    start = box._start_alone

    def note() -> DecodeChild:
        started.append(start())
        return started[-1]

    monkeypatch.setattr(box, "_start_alone", note)
    return started


def find_child(box: DecodeBox) -> DecodeChild:
    (child,) = box._free
    return child


def make_errand(
    data: bytes,
    permit: Callable[[int], object] = lambda size_bytes: None,
    work_s: int = LIMIT_S,
    limit_s: int = LIMIT_S,
) -> Errand:
    """An errand with a limit for the child itself, and one for its starter."""
    work = dataclasses.replace(plan_work((SMALL,), DecodeOptions()), max_seconds=work_s)
    return Errand([data], write_work(work), limit_s, permit)


def run(box: DecodeBox, errand: Errand) -> Message:
    return box.run(errand, lambda messages, slot: messages[0])


def test_an_image_has_so_many_seconds_of_a_core_and_twice_as_many_by_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    child = DecodeChild(MEMORY_BYTES)
    child._order.extend((0, 1))
    with contextlib.closing(child), monkeypatch.context() as patch:
        patch.setattr(child, "_kill", lambda: None)
        patch.setattr(child, "_find_cpu_s", lambda: 0.0)
        for slot, elapsed_s, used_s, is_over in (
            (0, 900, 1500, False),  # decoders with threads of their own
            (0, 1500, 900, False),
            (0, 1500, 1100, True),
            (0, 2100, 0, True),
            (1, 2100, 1100, False),  # it has not begun
        ):
            child._overdue = None
            child._began_s, child._began_cpu_s = time.monotonic() - elapsed_s, -used_s
            child._check_time(slot, LIMIT_S)
            assert (child._overdue == slot) is is_over, (slot, elapsed_s, used_s)
        child._finish(0)  # the next one begins
        assert time.monotonic() - child._began_s < LIMIT_S


def test_the_clock_begins_anew_when_an_image_has_waited_for_memory(box: DecodeBox) -> None:
    child = find_child(box)

    def permit(size_bytes: int) -> None:
        child._began_s -= 2 * LIMIT_S

    data = pictures.encode(pictures.draw_picture((2400, 2400)), "JPEG")
    assert run(box, make_errand(data, permit))["results"] == DECODED
    assert time.monotonic() - child._began_s < LIMIT_S


@pytest.mark.slow
def test_the_childs_own_clock_stands_still_while_an_image_waits_for_memory(box: DecodeBox) -> None:
    child = find_child(box)
    waits_s = iter([6.0])

    def permit(size_bytes: int) -> None:
        time.sleep(next(waits_s, 0.0))

    data = pictures.encode(pictures.draw_picture((2400, 2400)), "JPEG")
    errand = make_errand(data, permit, work_s=0)  # 5 s by the clock
    assert run(box, errand)["results"] == DECODED
    assert find_child(box) is child


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["BURN", "DOZE"], ids=["of a core", "of the clock"])
def test_a_child_ends_by_its_own_clock_where_its_starter_does_not_look(
    fault: str, sick: None, box: DecodeBox
) -> None:
    with pytest.raises(ChildEndedError) as ended:
        run(box, make_errand(fault.encode(), work_s=0))
    assert ended.value.ending is Ending.OVERDUE


@pytest.mark.parametrize(("fault", "tries"), [("EXIT", 2), ("SPIN", 1)])
def test_an_image_is_tried_again_in_a_fresh_child_unless_the_clock_has_blamed_it(
    fault: str, tries: int, sick: None, box: DecodeBox, fresh: list[DecodeChild]
) -> None:
    with pytest.raises(ChildEndedError):
        run(box, make_errand(fault.encode(), limit_s=1))
    assert 1 + len(fresh) == tries
    assert all(each._process.poll() is not None for each in fresh)


def test_two_images_are_in_a_child_and_the_second_outlives_it(
    sick: None, box: DecodeBox, fresh: list[DecodeChild]
) -> None:
    child = find_child(box)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(run, box, make_errand(b"DOZE"))
        try:
            wait_until(lambda: len(child._order) == 1)
            second = pool.submit(run, box, make_errand(GOOD))
            wait_until(lambda: len(child._order) == 2)
            child.end()
            assert second.result()["results"] == DECODED
        finally:
            child.end()
            while not first.done():  # it dozes again, in a child of its own
                for each in list(fresh):
                    each.end()
                time.sleep(0.05)
    assert isinstance(first.exception(), ChildEndedError)


def test_ctrl_c_of_a_terminal_ends_no_child(box: DecodeBox) -> None:
    """It goes to every process of the program; the program itself ends them."""
    child = find_child(box)
    os.kill(child._process.pid, signal.SIGINT)
    assert run(box, make_errand(GOOD))["results"] == DECODED
    assert find_child(box) is child


ORPHAN = """
import threading, time
from imgcls_beam.sandbox import starting
from tests import sick_child
from tests.faults.test_box_times import DecodeBox, MEMORY_BYTES, find_child, make_errand, run
starting._PROGRAM = sick_child.PROGRAM
box = DecodeBox(MEMORY_BYTES, 1)
box.find_locks()
child = find_child(box)
threading.Thread(target=run, args=(box, make_errand(b"WAIT"))).start()
while not child._order:
    time.sleep(0.01)
print(child._process.pid, flush=True)
"""
"""A program whose decode child never comes back."""


def test_a_child_at_work_ends_with_its_starter_whatever_ended_that() -> None:
    command = [sys.executable, "-c", ORPHAN]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        pid = int(program.stdout.readline())
        program.kill()
    try:
        wait_until(lambda: not is_running(pid))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("size_px", "images", "is_huge"), [((2048, 2048), 12, False), ((4800, 4800), 3, True)]
)
def test_images_in_children_share_the_memory_for_decoding(
    size_px: tuple[int, int], images: int, is_huge: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 52 and of 286 MiB each; before a huge one all children give back what they keep."""
    budget, lent_bytes, rested = ByteBudget(400 << 20), list[int](), list[DecodeBox]()
    wait, rest = boxed_preparing.wait_if_large, DecodeBox.rest

    def note(turn: Loan, size_bytes: int) -> None:
        wait(turn, size_bytes)
        lent_bytes.append(budget.lent_bytes)

    def note_rest(box: DecodeBox) -> None:
        rested.append(box)
        rest(box)

    monkeypatch.setattr(prepare, "_DECODING", budget)
    monkeypatch.setattr(boxed_preparing, "wait_if_large", note)
    monkeypatch.setattr(DecodeBox, "rest", note_rest)
    assert own_box.find_state(DecodeOptions()).where == "child"
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(prepare_one, [pictures.webp_lossless_of(size_px)] * images))
    assert len(lent_bytes) >= images
    assert size_px[0] * size_px[1] * 13 <= max(lent_bytes) <= budget.limit_bytes
    assert budget.lent_bytes == 0
    assert len(rested) == (len(lent_bytes) if is_huge else 0)


def prepare_one(data: bytes) -> object:
    encoded = EncodedImage(ImageRef("a"), data)
    return prepare_in_box(encoded, (PlainPreparer(SMALL),), DecodeOptions())  # type: ignore[arg-type]
