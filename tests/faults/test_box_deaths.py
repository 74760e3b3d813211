"""A decoder that dies, hangs, takes all memory or lies costs the row of its image, and no other."""

import concurrent.futures
import os
import pathlib
import signal
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from imgcls_beam.analysis.report_page.page_facts import ReportedImage, ReportFacts
from imgcls_beam.analysis.report_page.picturing import make_pictures
from imgcls_beam.elements import EncodedImage, Failure, ImageRef, PixelArray
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.listing import list_images
from imgcls_beam.options import DecodeOptions, InputOptions
from imgcls_beam.sandbox import (
    draw_all_in_box,
    draw_in_box,
    own_box,
    prepare_in_box,
    starting,
)
from imgcls_beam.sandbox.asked_work import plan_work, write_work
from imgcls_beam.sandbox.box import DecodeBox
from imgcls_beam.sandbox.child_process import Errand
from tests import pictures, sick_child
from tests.boxes import SMALL, PlainPreparer
from tests.processes import wait_until
from tests.reports import make_empty

OPTIONS = DecodeOptions(sandbox="require", max_seconds=1)
GOOD = pictures.encode(pictures.draw_picture(), "PNG")
FAULTS = {
    "SEGV": (FailureCode.CRASHED, "decoding it alone ended the process that did it (SIGSEGV)"),
    "ABRT": (FailureCode.CRASHED, "decoding it alone ended the process that did it (SIGABRT)"),
    "EXIT": (FailureCode.CRASHED, "decoding it alone ended the process that did it (exit code 3)"),
    "HANG": (FailureCode.TIMEOUT, "decoding it took more than 1 s"),
    "DOZE": (FailureCode.TIMEOUT, "decoding it took more than 1 s"),
    "SPIN": (FailureCode.TIMEOUT, "decoding it took more than 1 s"),
    "WAIT": (FailureCode.TIMEOUT, "decoding it took more than 1 s"),
    "MEMO": (FailureCode.TOO_MUCH_MEMORY, "there was not enough memory to prepare the image"),
}
LIE = "decoding it alone ended the process that did it (an answer that cannot be)"


@pytest.fixture(scope="module")
def sick_box() -> Iterator[None]:
    """Boxes of this process are new, and their children sick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(starting, "_PROGRAM", sick_child.PROGRAM)
        patch.setattr(own_box, "_OWN", {})
        yield
        for each in own_box._OWN.values():
            each.box.close()


def prepare(data: bytes, name: str = "a") -> PixelArray | Failure:
    encoded = EncodedImage(ImageRef(name), data)
    return prepare_in_box(encoded, (PlainPreparer(SMALL),), OPTIONS)[0]  # type: ignore[arg-type]


def list_own_children() -> set[int]:
    """Processes that this one has started, the dead ones that nobody waited for among them."""
    path = pathlib.Path(f"/proc/{os.getpid()}/task")
    return {int(pid) for task in path.iterdir() for pid in (task / "children").read_text().split()}


def is_ready(child: int) -> bool:
    """Whether a sick child is locked, and so no longer being started."""
    folder = pathlib.Path(f"/proc/{child}")
    is_sick = b"sick_child" in (folder / "cmdline").read_bytes()
    return is_sick and "NoNewPrivs:\t1" in (folder / "status").read_text()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_the_row_of_its_image(sick_box: None, fault: str) -> None:
    code, message = FAULTS[fault]
    failed = prepare(fault.encode())
    assert isinstance(failed, Failure)
    assert failed.code is code
    assert failed.message.startswith(message)
    assert failed.retryable is (code is not FailureCode.CRASHED)
    assert failed.facts is not None
    assert failed.facts.size_bytes == 4
    assert isinstance(prepare(GOOD), PixelArray)


def test_a_picture_of_a_report_that_ends_its_decoder_is_left_out(
    sick_box: None, tmp_path: pathlib.Path
) -> None:
    """Its row is there: only the picture is not."""
    (tmp_path / "a.png").write_bytes(b"SEGV")
    (tmp_path / "b.png").write_bytes(GOOD)
    refs = list_images(InputOptions(inputs=(str(tmp_path),)))
    images = tuple(
        ReportedImage(ref.uri, ref.version, "ok", size_bytes=ref.size_bytes)
        for ref in refs
        if isinstance(ref, ImageRef)
    )
    facts = ReportFacts(make_empty().run, images, 2, least_certain=(0, 1))
    bad, good = make_pictures(facts, {}).values()
    assert (bad.problem, bad.data_uri) == (FAULTS["SEGV"][1], "")
    assert good.data_uri.startswith("data:image/jpeg;base64,")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_among_eight_small_pictures_costs_its_own(sick_box: None, fault: str) -> None:
    """They go to the child in one message; what ends it is found out one by one."""
    images = [GOOD] * 8
    images[5] = fault.encode()
    drawn = draw_all_in_box(images, 32, OPTIONS)
    failed = drawn.pop(5)
    assert isinstance(failed, ImageError)
    assert failed.code is FAULTS[fault][0]
    assert drawn == [draw_in_box(GOOD, 32, OPTIONS)] * 7


@pytest.mark.slow
@pytest.mark.parametrize("lie", sick_child.LIES)
def test_a_lie_among_eight_small_pictures_costs_its_own(sick_box: None, lie: str) -> None:
    drawn = draw_all_in_box([GOOD, GOOD, lie.encode(), GOOD], 32, OPTIONS)
    told = drawn.pop(2)
    assert isinstance(told, ImageError)
    assert (told.code, told.message) == (FailureCode.CRASHED, LIE)
    assert drawn == [draw_in_box(GOOD, 32, OPTIONS)] * 3


@pytest.mark.slow
def test_pictures_that_take_too_long_together_have_each_its_own_time(sick_box: None) -> None:
    count = 4
    assert sick_child.SLOW_S < OPTIONS.max_seconds < count * sick_child.SLOW_S
    drawn = draw_all_in_box([sick_child.SLOW + GOOD] * count, 32, OPTIONS)
    assert drawn == [draw_in_box(GOOD, 32, OPTIONS)] * count


def test_a_child_that_the_system_kills_had_too_much_memory(
    sick_box: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "OPTIONS", DecodeOptions())
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(prepare, b"DOZE")
        while not waiting.done():
            time.sleep(0.2)
            for each in filter(is_ready, list_own_children()):
                os.kill(each, signal.SIGKILL)
    failed = waiting.result()
    assert isinstance(failed, Failure)
    assert (failed.code, failed.retryable) == (FailureCode.TOO_MUCH_MEMORY, True)


@pytest.mark.slow
@pytest.mark.parametrize("lie", sick_child.LIES)
def test_a_child_that_lies_is_not_believed(sick_box: None, lie: str) -> None:
    failed = prepare(lie.encode())
    assert isinstance(failed, Failure)
    assert (failed.code, failed.message) == (FailureCode.CRASHED, LIE)


@pytest.mark.slow
def test_one_poison_of_each_kind_among_sixty_good_ones(sick_box: None) -> None:
    images = [GOOD] * 64
    for index, fault in enumerate(FAULTS):
        images[8 * index] = fault.encode()
    before = list_own_children()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = list(pool.map(prepare, images, map(str, range(64))))
    assert [str(index) for index in range(64)] == [each.ref.uri for each in results]
    failed = {i: each.code for i, each in enumerate(results) if isinstance(each, Failure)}
    assert failed == {8 * i: FAULTS[fault][0] for i, fault in enumerate(FAULTS)}
    assert len(list_own_children() - before) <= own_box.count_cores()


@pytest.mark.slow
def test_descriptors_and_children_do_not_grow_with_deaths(sick_box: None) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    prepare(b"EXIT")
    before, children = count(), len(list_own_children())
    for _ in range(3):
        prepare(b"EXIT")
    time.sleep(0.1)
    assert count() <= before + 10  # a child that is being started meanwhile
    assert len(list_own_children()) <= children + 1


def test_a_box_that_cannot_start_children_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "_PROGRAM", "raise SystemExit(7)")
    monkeypatch.setattr(own_box, "_OWN", {})
    state = own_box.find_state(DecodeOptions())
    assert state.where == "worker"
    assert "exit code 7" in state.why
    encoded = EncodedImage(ImageRef("a"), GOOD)
    (prepared,) = prepare_in_box(encoded, (PlainPreparer(SMALL),), DecodeOptions())  # type: ignore[arg-type]
    assert isinstance(prepared, PixelArray)


def test_children_end_with_their_box() -> None:
    before = list_own_children()
    box = DecodeBox(2 << 30, 2)
    assert box.find_locks()
    assert len(list_own_children()) > len(before)
    box.close()
    assert list_own_children() <= before


def count_kb(box: DecodeBox) -> int:
    """What the one child of a box has in memory of its own."""
    (child,) = box._free
    status = pathlib.Path(f"/proc/{child._process.pid}/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0])


def test_children_give_back_what_they_keep_before_another_needs_much() -> None:
    """What is freed in small pieces stays with the C library, until it is told."""
    box = DecodeBox(2 << 30, 1)
    assert box.find_locks()
    errand = make_errand(lambda size_bytes: None)
    box.run(errand, lambda messages, slot: messages)
    kept_kb = count_kb(box)
    box.rest()
    box.rest()
    small = errand._replace(images=(GOOD,))
    box.run(small, lambda messages, slot: messages)  # behind what it was told
    assert count_kb(box) < kept_kb - 16_000
    box.close()


def test_a_child_that_waits_for_its_turn_gives_back_meanwhile_what_it_keeps() -> None:
    box = DecodeBox(2 << 30, 1)
    assert box.find_locks()
    held_kb: list[int] = []

    def permit(size_bytes: int) -> None:
        held_kb.append(count_kb(box))
        if len(held_kb) == 2:
            box.rest()
            wait_until(lambda: count_kb(box) < held_kb[1] - 16_000)

    errand = make_errand(permit)
    for _ in range(3):
        (told,) = box.run(errand, lambda messages, slot: messages)
        assert told["results"] == [{"size": [9, 7]}]
    assert held_kb[2] > held_kb[0] + 16_000  # told once, and not for ever
    box.close()


def make_errand(permit: Callable[[int], object]) -> Errand:
    """A large photograph, of which some is kept."""
    data = pictures.encode(pictures.draw_picture((3000, 3000)), "JPEG")
    return Errand((data,), write_work(plan_work((SMALL,), DecodeOptions())), 30, permit)
