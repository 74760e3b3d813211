"""What a decode child says is read as the word of one that may be hostile."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.preparing.previews import Preview, encode_preview
from imgcls_beam.sandbox.shared_slot import SharedSlot
from imgcls_beam.sandbox.told_answers import read_answer, read_previews
from tests.scenes import draw_photo

GOOD: dict[str, Any] = {
    **{"took_s": 0.5, "format": "PNG", "width": 4, "height": 2},
    **{"results": [{"size": [2, 4]}], "image": {"size": [2, 1], "full": [2, 4]}},
}
GOOD["image"]["box"] = [0, 0, 1, 1.5]
ERROR = {"code": "corrupt", "message": "the PNG is damaged", "retryable": False}
LIES: dict[str, dict[str, Any]] = {
    "no time": {"took_s": None},
    "a time that is none": {"took_s": float("nan")},
    "a time without end": {"took_s": float("inf")},
    "a time before the start": {"took_s": -1.0},
    "more pixels than there is memory": {"results": [{"size": [1 << 20, 1 << 20]}]},
    "less than no pixels": {"results": [{"size": [-2, 4]}]},
    "both edges less than none": {"results": [{"size": [-2, -4]}]},
    "a truth for a number": {"results": [{"size": [True, 4]}]},
    "a fraction for a number": {"results": [{"size": [2.0, 4]}]},
    "a text for a number": {"results": [{"size": ["2", 4]}]},
    "three edges": {"results": [{"size": [2, 4, 3]}]},
    "no size": {"results": [{}]},
    "too few results": {"results": []},
    "too many results": {"results": [{"size": [1, 1]}] * 2},
    "results that are none": {"results": 3},
    "a code of another stage": {"error": {**ERROR, "code": "not_found"}},
    "a code that only the starter gives": {"error": {**ERROR, "code": "crashed"}},
    "another one": {"error": {**ERROR, "code": "timeout"}},
    "a code that is none": {"error": {**ERROR, "code": "well"}},
    "an escape sequence": {"error": {**ERROR, "message": "\x1b[2J"}},
    "two lines": {"error": {**ERROR, "message": "a\nb"}},
    "a long text": {"error": {**ERROR, "message": "a" * 401}},
    "no text": {"error": {**ERROR, "message": ["a"]}},
    "no truth": {"error": {**ERROR, "retryable": 1}},
    "a format that is none": {"format": "EXE"},
    "a format that is no text": {"format": ["PNG"]},
    "an edge that no column holds": {"width": 1 << 31},
    "half a size": {"width": None},
    "a truth for an edge": {"width": True},
    "a fraction for an edge": {"width": 4.0},
    "no image": {"image": None},
    "a box beyond the image": {"image": {**GOOD["image"], "box": [0, 0, 2, 2]}},
    "a box without inside": {"image": {**GOOD["image"], "box": [1, 0, 1, 2]}},
    "a box that is none": {"image": {**GOOD["image"], "box": [0, 0, float("nan"), 2]}},
    "an image that is larger than what there is": {
        "image": {**GOOD["image"], "size": [1, 1 << 22]}
    },
}


@pytest.fixture
def slot() -> Iterator[SharedSlot]:
    made = SharedSlot()
    made.put([bytes(range(30)), bytes(range(30, 40))])
    yield made
    made.close()


def test_pixels_come_one_behind_the_other(slot: SharedSlot) -> None:
    told = read_answer(GOOD, slot, 1, wants_image=True)
    (pixels,) = told.results
    assert isinstance(pixels, np.ndarray)
    assert (pixels.shape, pixels.tobytes()) == ((2, 4, 3), bytes(range(24)))
    assert told.image is not None
    assert told.image.image.tobytes() == bytes(range(24, 30))
    assert (told.image.extent.full, told.image.extent.box) == ((2, 4), (0, 0, 1, 1.5))
    facts = told.facts
    assert (facts.width_px, facts.height_px, facts.format, facts.sha256) == (4, 2, "PNG", "")


def test_what_is_copied_does_not_change_any_more(slot: SharedSlot) -> None:
    (pixels,) = read_answer(GOOD, slot, 1, wants_image=False).results
    slot.put([bytes(40)])
    assert isinstance(pixels, np.ndarray)
    assert pixels.tobytes() == bytes(range(24))


def test_an_error_is_that_of_the_image(slot: SharedSlot) -> None:
    told = read_answer({**GOOD, "error": ERROR}, slot, 1, wants_image=True)
    assert told.error is not None
    assert (told.error.code, told.error.message) == (FailureCode.CORRUPT, "the PNG is damaged")


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_refused(slot: SharedSlot, lie: str) -> None:
    read_answer(GOOD, slot, 1, wants_image=True)
    with pytest.raises((ValueError, TypeError, KeyError)):
        read_answer({**GOOD, **LIES[lie]}, slot, 1, wants_image=True)


DRAWN = [encode_preview(draw_photo(seed, (seed * 9, 30))) for seed in (1, 2, 3)]
PICTURE_LIES: dict[str, dict[str, Any]] = {
    "more bytes than there are": {"bytes": 1 << 30},
    "no bytes": {"bytes": 0},
    "a truth for a number": {"bytes": True},
    "less than there is": {"bytes": len(DRAWN[0].jpeg) - 1},
    "more than there is": {"bytes": len(DRAWN[0].jpeg) + 1},
    "another size": {"size": [30, 8]},
    "no size": {"size": [0, 0]},
}


def tell(drawn: Preview, **lies: Any) -> dict[str, Any]:
    told = {"size": [drawn.height_px, drawn.width_px], "bytes": len(drawn.jpeg)}
    return {"results": [told | lies]}


def test_small_pictures_come_one_behind_the_other(slot: SharedSlot) -> None:
    slot.put([each.jpeg for each in DRAWN])
    first, *others = map(tell, DRAWN)
    found = read_previews([first, {"error": ERROR}, *others], slot, 30)
    error = found.pop(1)
    assert isinstance(error, ImageError)
    assert (error.code, error.message) == (FailureCode.CORRUPT, ERROR["message"])
    assert found == DRAWN


@pytest.mark.parametrize("lie", PICTURE_LIES)
def test_a_lie_about_a_small_picture_is_refused(slot: SharedSlot, lie: str) -> None:
    slot.put([each.jpeg for each in DRAWN])
    read_previews([tell(DRAWN[0])], slot, 30)
    with pytest.raises((ValueError, TypeError, KeyError)):
        read_previews([tell(DRAWN[0], **PICTURE_LIES[lie]), tell(DRAWN[1])], slot, 30)


def test_a_small_picture_that_is_larger_than_asked_for_is_refused(slot: SharedSlot) -> None:
    slot.put([DRAWN[0].jpeg])
    assert read_previews([tell(DRAWN[0])], slot, 30) == DRAWN[:1]
    with pytest.raises(ValueError, match="no small picture"):
        read_previews([tell(DRAWN[0])], slot, 29)


def test_other_results_than_one_small_picture_are_refused(slot: SharedSlot) -> None:
    slot.put([each.jpeg for each in DRAWN])
    for results in ([], [*tell(DRAWN[0])["results"]] * 2, None):
        with pytest.raises((ValueError, TypeError)):
            read_previews([{"results": results}], slot, 30)
