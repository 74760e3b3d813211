"""Which images are asked for: the unsure, the disputed, the failed; of many labels, each once."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from imgcls_beam.analysis.comparing import find_changed
from imgcls_beam.analysis.reviewing import ReviewImage, ReviewReason, choose_images
from imgcls_beam.analysis.scored_rows import ScoredRows, find_certainties
from imgcls_beam.spec import FUNCTIONS
from tests.drawn import Drawn


def make_rows(*tops: tuple[str, float], contents: list[str | None] | None = None) -> ScoredRows:
    """A row for each best label and its score, of three labels."""
    labels = ("cat", "dog", "fox")
    every = np.full((len(tops), 3), 0.0)
    for row, (label, score) in enumerate(tops):
        every[row] = (1.0 - score) * np.array([0.6, 0.4, 0.0])
        at = labels.index(label)
        every[row] = np.roll(every[row], at + 1)
        every[row, at] = score
    rows = Drawn(labels, every, np.zeros(len(tops), np.int64)).to_rows(3)
    best = np.sort(every, axis=1)
    texts = contents or [f"{row:064x}" for row in range(len(tops))]
    return dataclasses.replace(
        rows,
        margins=best[:, 2] - best[:, 1],
        contents=pa.chunked_array([texts], pa.string()),
    )


def fail(index: int, code: str) -> ReviewImage:
    return ReviewImage(f"gs://b/x{index}.jpg", ReviewReason.ERROR, error=code)


def name(images: list[ReviewImage]) -> list[str]:
    return [each.image_uri.removeprefix("gs://b/").removesuffix(".jpg") for each in images]


MANY = [("cat", 0.5 + index / 100) for index in range(30)]
FEW = [("dog", 0.9), ("fox", 0.95), ("dog", 0.85)]


def test_the_least_sure_come_first_and_labels_take_turns() -> None:
    chosen = choose_images(make_rows(*MANY, *FEW), [], 6)
    assert name(chosen) == ["0", "32", "31", "1", "30", "2"]
    assert {each.reason for each in chosen} == {ReviewReason.MARGIN}
    assert [each.label for each in chosen[:3]] == ["cat", "dog", "fox"]
    assert len(choose_images(make_rows(*MANY, *FEW), [], 500)) == 33


def test_what_failed_has_a_share_and_codes_take_turns() -> None:
    failed = [fail(index, "read: empty") for index in range(9)] + [fail(9, "prepare: corrupt")]
    chosen = choose_images(make_rows(*MANY), failed, 20)
    assert name(chosen)[:2] == ["x0", "x9"]
    assert [each.reason for each in chosen].count(ReviewReason.ERROR) == 2
    assert name(choose_images(make_rows(*FEW), failed, 9))[:1] == ["x0"]
    assert len(choose_images(make_rows(*FEW), failed, 9)) == 9
    assert name(choose_images(make_rows(*MANY), failed, 1)) == ["x0"]


def test_what_two_models_dispute_comes_before_what_one_is_unsure_of() -> None:
    rows = make_rows(*[("cat", 0.9)] * 6, ("dog", 0.99))
    other = make_rows(*[("cat", 0.9)] * 2, *[("dog", 0.8)] * 4, ("fox", 0.7))
    chosen = choose_images(rows, [], 4, find_changed(rows, other))
    assert name(chosen)[:2] == ["2", "6"]
    assert [each.reason for each in chosen] == [ReviewReason.DISAGREEMENT] * 2 + [
        ReviewReason.MARGIN
    ] * 2
    assert [each.other_label for each in chosen[:2]] == ["dog", "fox"]
    assert len({*name(chosen)}) == 4


def test_bytes_and_uris_are_asked_for_once_and_known_images_not_at_all() -> None:
    rows = make_rows(*FEW, ("cat", 0.6), contents=["a", "b", "a", None])
    assert name(choose_images(rows, [], 9)) == ["3", "2", "1"]
    uris = [f"gs://b/{index}.jpg" for index in (0, 1, 1, 3)]
    twice = dataclasses.replace(rows, uris=pa.chunked_array([uris]))
    assert name(choose_images(twice, [], 9)) == ["3", "1"]
    known = {"gs://b/3.jpg", "gs://b/x1.jpg"}
    chosen = choose_images(rows, [fail(0, "e"), fail(1, "e")], 9, known=known)
    assert name(chosen) == ["x0", "2", "1"]


def test_images_that_are_left_out_take_no_turns() -> None:
    """What is known, or was taken for another reason, does not put its label back."""
    rows = make_rows(("cat", 0.5), ("cat", 0.6), ("cat", 0.7), ("dog", 0.8), ("dog", 0.9))
    known = {"gs://b/0.jpg", "gs://b/1.jpg"}
    assert name(choose_images(rows, [], 3, known=known)) == ["2", "3", "4"]
    assert name(choose_images(rows, [], 2, known=known)) == ["2", "3"]
    same = make_rows(*FEW[:1], *[("cat", 0.6)] * 3, contents=["d", "c", "c", None])
    assert name(choose_images(same, [], 3)) == ["1", "0", "3"]
    codes = [fail(0, "read: empty"), fail(1, "read: empty"), fail(2, "prepare: corrupt")]
    chosen = choose_images(make_rows(*FEW), codes, 10, known={"gs://b/x0.jpg"})
    assert name(chosen)[:1] == ["x1"]


def test_an_image_that_failed_in_one_line_is_asked_for_once() -> None:
    rows = make_rows(("cat", 0.5), ("dog", 0.9))
    failed = [dataclasses.replace(fail(0, "e"), image_uri="gs://b/0.jpg")]
    assert name(choose_images(rows, failed, 9)) == ["0", "1"]


def test_a_model_of_one_class_is_the_least_sure_at_one_half() -> None:
    rows = Drawn(("nsfw",), np.array([[0.95], [0.55], [0.02]]), np.zeros(3, np.int64)).to_rows(1)
    certainties = find_certainties(rows.top_scores, rows.margins, rows.functions)
    assert certainties == pytest.approx([0.9, 0.1, 0.96])
    chosen = choose_images(rows, [], 2)
    assert name(chosen) == ["1", "0"]
    assert [each.margin for each in chosen] == [None, None]


def test_a_run_without_good_rows_has_its_errors() -> None:
    rows = Drawn(("cat",), np.zeros((0, 1)), np.zeros(0, np.int64)).to_rows(1)
    assert name(choose_images(rows, [fail(0, "e"), fail(1, "e")], 5)) == ["x0", "x1"]


def test_of_raw_scores_of_one_class_0_is_the_least_sure() -> None:
    """It is what a sigmoid makes one half of, and the row is as sure as it is then."""
    raw = np.array([[0.5], [-0.1], [3.0]])
    rows = Drawn(("nsfw",), raw, np.zeros(3, np.int64)).to_rows(1)
    none = dataclasses.replace(rows, functions=np.full(3, FUNCTIONS.index("none")))
    assert name(choose_images(none, [], 3)) == ["1", "0", "2"]
    scores = 1 / (1 + np.exp(-raw[:, 0]))
    of_sigmoid = find_certainties(scores, rows.margins, np.zeros(3, np.int64))
    assert find_certainties(raw[:, 0], rows.margins, none.functions) == pytest.approx(of_sigmoid)
