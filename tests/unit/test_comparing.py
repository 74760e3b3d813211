"""Two tables side by side: agreement, kappa, shifts, and which images to look at."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics  # type: ignore[import-untyped]

from imgcls_beam.analysis.comparing import ChangedImage, compare_rows, find_kappa
from imgcls_beam.analysis.scored_rows import ScoredRows, take_rows
from imgcls_beam.errors import ConfigError
from imgcls_beam.spec import FUNCTIONS
from tests.drawn import Drawn, draw


def change(drawn: Drawn, seed: int) -> Drawn:
    """The same images by another model."""
    moved = drawn.every + np.random.default_rng(seed).uniform(0.0, 0.4, drawn.every.shape)
    return dataclasses.replace(drawn, every=moved / moved.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("seed", range(20))
def test_agreement_kappa_and_shifts_are_those_of_scikit_learn_and_numpy(seed: int) -> None:
    one = draw(seed)
    other = change(one, seed)
    a, b = one.every.argmax(axis=1), other.every.argmax(axis=1)
    found = compare_rows(one.to_rows(len(one.labels)), other.to_rows(len(one.labels)))
    assert found.agreement == pytest.approx(metrics.accuracy_score(a, b), rel=0, abs=1e-9)
    assert find_kappa(a, b, len(one.labels)) == found.kappa
    if found.kappa is not None:
        theirs = metrics.cohen_kappa_score(a, b)
        assert found.kappa == pytest.approx(theirs, rel=0, abs=1e-9)
    assert found.flipped == len(found.flips) == sum(pair.images for pair in found.pairs)
    shifts = {each.label: each for each in found.shifts}
    for at, label in enumerate(one.labels):
        moved = other.every[:, at] - one.every[:, at]
        assert shifts[label].shift == pytest.approx(moved.mean(), rel=0, abs=1e-9)
        assert shifts[label].distance == pytest.approx(np.abs(moved).mean(), rel=0, abs=1e-9)
        assert (shifts[label].images_a, shifts[label].images_b) == (
            (a == at).sum(),
            (b == at).sum(),
        )


def make_rows(labels: tuple[str, ...], *scores: tuple[float, ...], first: int = 0) -> ScoredRows:
    """Rows of the images from `first` on."""
    rows = Drawn(labels, np.array(scores), np.zeros(len(scores), np.int64)).to_rows(len(labels))
    uris = [f"gs://b/{first + index}.jpg" for index in range(len(scores))]
    contents = [f"{first + index:064x}" for index in range(len(scores))]
    return dataclasses.replace(
        rows, uris=pa.chunked_array([uris]), contents=pa.chunked_array([contents])
    )


def test_images_are_joined_by_uri_whatever_their_order_and_the_order_of_labels() -> None:
    a = make_rows(("cat", "dog"), (0.9, 0.1), (0.2, 0.8), (0.7, 0.3), (0.6, 0.4))
    b = make_rows(("dog", "fox", "cat"), (0.7, 0.2, 0.1), (0.1, 0.1, 0.8), (0.1, 0.9, 0.0), first=1)
    found = compare_rows(take_rows(a, np.array([3, 1, 0, 2, 2])), take_rows(b, np.array([2, 0, 1])))
    assert (found.images, found.only_a, found.only_b) == (3, 1, 0)
    assert found.agreement == pytest.approx(2 / 3)
    assert found.flips == (ChangedImage("gs://b/3.jpg", "cat", 0.6, "fox", 0.9, True),)
    fox = next(each for each in found.shifts if each.label == "fox")
    assert dataclasses.astuple(fox) == ("fox", 0, 1, 0, None, None)


def test_those_of_which_both_are_sure_come_first_and_others_are_counted() -> None:
    a = make_rows(("cat", "dog"), (0.6, 0.4), (0.9, 0.1), (0.99, 0.01), (0.2, 0.8))
    b = make_rows(("cat", "dog"), (0.1, 0.9), (0.2, 0.8), (0.45, 0.55), (0.2, 0.8))
    found = compare_rows(a, b, 2)
    assert [flip.image_uri for flip in found.flips] == ["gs://b/1.jpg", "gs://b/0.jpg"]
    assert found.flipped == 3
    assert [(p.label_a, p.label_b, p.images) for p in found.pairs] == [("cat", "dog", 3)]


def test_other_bytes_and_other_functions_are_said() -> None:
    a = make_rows(("cat", "dog"), (0.6, 0.4), (0.9, 0.1))
    b = make_rows(("cat", "dog"), (0.6, 0.9), (0.9, 0.2))
    changed = dataclasses.replace(b, contents=pa.chunked_array([["0" * 64, None]], pa.string()))
    found = compare_rows(a, changed)
    assert (found.other_content, found.same_function) == (0, False)
    assert [flip.same_content for flip in found.flips] == [True]
    changed = dataclasses.replace(b, contents=pa.chunked_array([["f" * 64, "f" * 64]]))
    assert compare_rows(a, changed).other_content == 2
    assert compare_rows(a, a).same_function
    sigmoid, raw = (
        dataclasses.replace(b, functions=np.full(2, FUNCTIONS.index(name)))
        for name in ("sigmoid", "none")
    )
    assert not compare_rows(sigmoid, raw).same_function


def test_one_label_in_both_has_no_kappa() -> None:
    a = make_rows(("cat", "dog"), (0.6, 0.4), (0.9, 0.1))
    assert (compare_rows(a, a).kappa, compare_rows(a, a).agreement) == (None, 1.0)


def test_no_image_in_both_is_a_sentence() -> None:
    a = make_rows(("cat", "dog"), (0.6, 0.4))
    with pytest.raises(ConfigError, match="no image has a good row in both"):
        compare_rows(a, make_rows(("cat", "dog"), (0.6, 0.4), first=7))
    empty = take_rows(a, np.zeros(0, np.int64))
    for pair in ((empty, a), (a, empty), (empty, empty)):
        with pytest.raises(ConfigError, match="no image has a good row in both"):
            compare_rows(*pair)
