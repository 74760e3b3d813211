"""From inside a decode child every way out is tried, and denied."""

import os
from collections.abc import Iterator

import pytest

from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import FailureCode
from imgcls_beam.options import DecodeOptions
from imgcls_beam.sandbox import find_state, own_box, prepare_in_box, starting
from tests import escaping
from tests.boxes import SMALL, PlainPreparer

DEADLY = {"run", "trace"}
ERRORS = {"EPERM", "EACCES", "EMFILE", "ENOSYS", "no memory", "ENOMEM", "nothing", "OSError"}


@pytest.fixture(scope="module")
def escaping_box() -> Iterator[None]:
    """Boxes of this process are new; their children try what they are told to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", "hf_canary")
        patch.setattr(starting, "_PROGRAM", escaping.PROGRAM)
        patch.setattr(own_box, "_OWN", {})
        yield
        for each in own_box._OWN.values():
            each.box.close()


def try_way(way: str) -> Failure:
    image = EncodedImage(ImageRef("a"), f"{way}\n".encode())
    (failed,) = prepare_in_box(image, (PlainPreparer(SMALL),), DecodeOptions())  # type: ignore[arg-type]
    assert isinstance(failed, Failure)
    return failed


@pytest.mark.parametrize("way", escaping.WAYS)
def test_a_way_out_is_denied(escaping_box: None, way: str) -> None:
    needed = escaping.WAYS[way][0]
    state = find_state(DecodeOptions())
    assert state.where == "child"
    if needed and needed not in state.locks:
        pytest.skip(f"this kernel has no {needed}")
    failed = try_way(way)
    if way in DEADLY:
        assert failed.code is FailureCode.CRASHED
        assert "SIGSYS" in failed.message
        return
    assert failed.message.startswith("denied: ")
    assert failed.message.removeprefix("denied: ") in ERRORS


def test_nothing_was_written(escaping_box: None) -> None:
    try_way("write")
    assert not os.path.exists("/tmp/imgcls-escaped")
