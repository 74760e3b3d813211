"""From inside a decode child every way out is tried, and denied."""

import os
import pathlib
from collections.abc import Iterator, Sequence

import pytest

from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import FailureCode
from imgcls_beam.options import DecodeOptions
from imgcls_beam.sandbox import LOCKS, find_state, own_box, prepare_in_box, starting
from tests import escaping
from tests.boxes import SMALL, PlainPreparer

DEADLY = {"run", "trace"}
ERRORS = {
    *("EPERM", "EACCES", "EMFILE", "EINVAL", "ENOSYS", "no memory", "ENOMEM", "nothing", "OSError")
}
FIRST = "no_new_privileges"
"""Without it a kernel closes the others for root alone."""
ALONE = [((FIRST, lock), way) for lock in LOCKS[1:] for way in escaping.list_ways(lock)]
HARMLESS = (
    *("open", "list", "look", "local socket", "datagram", "memory to run", "memory made to run"),
    *("own process", "new descriptor", "control a descriptor", "signal", "another library"),
)
"""Ways that do no harm where they are open."""


Boxes = dict[tuple[int, int], own_box._OwnBox]


@pytest.fixture(scope="module")
def boxes() -> Iterator[dict[Sequence[str], Boxes]]:
    """The boxes of this process, by the locks of their children."""
    made: dict[Sequence[str], Boxes] = {}
    yield made
    for each in made.values():
        for own in each.values():
            own.box.close()


@pytest.fixture
def locks(
    request: pytest.FixtureRequest,
    boxes: dict[Sequence[str], Boxes],
    monkeypatch: pytest.MonkeyPatch,
) -> Sequence[str]:
    """Those of them that hold in this process's children, which try to escape."""
    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    monkeypatch.setattr(starting, "_PROGRAM", escaping.make_program(request.param))
    monkeypatch.setattr(own_box, "_OWN", boxes.setdefault(request.param, {}))
    state = find_state(DecodeOptions())
    assert (state.where, set(state.locks) - set(request.param)) == ("child", set())
    return state.locks


def try_way(way: str) -> Failure:
    image = EncodedImage(ImageRef("a"), f"{way}\n".encode())
    (failed,) = prepare_in_box(image, (PlainPreparer(SMALL),), DecodeOptions())  # type: ignore[arg-type]
    assert isinstance(failed, Failure)
    return failed


@pytest.mark.parametrize(
    ("locks", "way"), [*((LOCKS, way) for way in escaping.WAYS), *ALONE], indirect=["locks"]
)
def test_a_way_out_is_denied(locks: Sequence[str], way: str) -> None:
    """By the lock that is there for it, also where there is no other."""
    needed = escaping.WAYS[way][0]
    if needed and needed not in locks:
        pytest.skip(f"this kernel has no {needed}")
    failed = try_way(way)
    if way in DEADLY:
        assert failed.code is FailureCode.CRASHED
        assert "SIGSYS" in failed.message
        return
    assert failed.message.startswith("denied: ")
    assert failed.message.removeprefix("denied: ") in ERRORS


@pytest.mark.parametrize(("locks", "way"), [((), way) for way in HARMLESS], indirect=["locks"])
def test_without_locks_it_is_open(locks: Sequence[str], way: str) -> None:
    assert try_way(way).message.startswith("escaped: ")


@pytest.mark.parametrize("locks", [LOCKS], indirect=True)
def test_nothing_was_written(locks: Sequence[str]) -> None:
    try_way("write")
    assert not os.path.exists("/tmp/imgcls-escaped")


@pytest.mark.parametrize("locks", [LOCKS, (FIRST, "landlock")], indirect=True)
def test_the_kernel_says_what_holds(locks: Sequence[str]) -> None:
    """Also what no way out shows: a child of root has none of root's capabilities."""
    if FIRST not in locks:
        pytest.skip(f"this kernel has no {FIRST}")
    (own,) = own_box._OWN.values()
    child = next(iter(own.box._free))
    status = pathlib.Path(f"/proc/{child._process.pid}/status").read_text()
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert facts["NoNewPrivs"] == "1"
    assert {int(facts[each], 16) for each in ("CapInh", "CapPrm", "CapEff")} == {0}
    assert facts["Seccomp"] == ("2" if "seccomp" in locks else "0")
