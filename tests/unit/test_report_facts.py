"""Rows of runs → the facts of a report: counted whole, kept in part, the same in any order."""

import dataclasses
import math
import random
from collections.abc import Sequence

import pytest

from imgcls_beam.analysis.report_page import gathering, row_tally
from imgcls_beam.analysis.report_page.earlier_labels import measure_shift, read_labels
from imgcls_beam.analysis.report_page.kept_rows import digest_uri
from imgcls_beam.analysis.report_page.page_facts import LabelShare, ReportFacts
from imgcls_beam.analysis.report_page.page_values import list_values
from imgcls_beam.elements import Failure, ImageRef, Outcome, Prediction, Skipped
from imgcls_beam.errors import FailureCode
from tests.gathered import MODEL, SCORING, bad, gather, make_run, ok


def draw(count: int, seed: int = 1) -> list[Outcome]:
    rng = random.Random(seed)
    drawn = []
    for index in range(count):
        if index % 10 == 3:
            code = FailureCode.NOT_FOUND if index % 3 else FailureCode.TRUNCATED
            drawn.append(bad(f"{index}.jpg", code))
        else:
            best = rng.uniform(0.4, 1)
            names = rng.sample(["cat", "dog", "fox"], 2)
            drawn.append(ok(f"{index}.jpg", (names[0], best), (names[1], (1 - best) / 2)))
    return drawn


def names_of(facts: ReportFacts, indices: Sequence[int]) -> list[str]:
    return [facts.images[index].uri.rpartition("/")[2] for index in indices]


def test_counts_are_those_of_all_rows() -> None:
    outcomes = [
        *draw(300),
        Skipped(ImageRef("gs://b/known.jpg"), SCORING),
    ]
    facts = gather(outcomes)
    good = [each for each in outcomes if isinstance(each, Prediction)]
    assert facts.run.counts == {"listed": 301, "ok": 270, "error": 30, "skipped": 1}
    assert {share.label: share.count for share in facts.labels} == {
        label: sum(each.labels[0].label == label for each in good)
        for label in ("cat", "dog", "fox")
    }
    for share in facts.labels:
        own = [each.labels[0].score for each in good if each.labels[0].label == share.label]
        assert math.isclose(share.mean_score, sum(own) / len(own))
    assert sum(facts.scores.bins) == sum(facts.margins.bins) == 270
    assert {(group.problem, group.count) for group in facts.errors} == {
        ("prepare: truncated", 10),
        ("read: not_found", 20),
    }
    assert facts.rows == len(facts.images) == 301


@pytest.mark.parametrize("batch_rows", [1, 7, 400])
def test_each_image_has_what_stands_in_its_own_row(batch_rows: int) -> None:
    """Rows are read many at a time; rows without labels, and with many, stand between others."""
    many = [
        ok(f"m{each}", *((f"l{rank}", 0.3 / (each + rank)) for rank in range(1, 9)))
        for each in range(1, 60)
    ]
    outcomes = [
        *many,
        *draw(120),
        Skipped(ImageRef("gs://b/known.jpg"), SCORING),
        ok("one", ("é\u202e", 1.0)),
    ]
    random.Random(4).shuffle(outcomes)
    facts = gather(outcomes, batch_rows=batch_rows)
    expected = {each.ref.uri: each for each in outcomes}
    assert len(facts.images) == len(outcomes)
    for image in facts.images:
        outcome = expected[image.uri]
        labels = outcome.labels[:5] if isinstance(outcome, Prediction) else ()
        assert image.labels == tuple((each.label, each.score) for each in labels)
        assert image.margin == (outcome.margin if isinstance(outcome, Prediction) else None)
        assert image.version == outcome.ref.version
        is_bad = isinstance(outcome, Failure)
        assert (image.message, bool(image.problem)) == ("it ends" if is_bad else "", is_bad)


def test_the_least_certain_have_the_smallest_margins_in_order() -> None:
    outcomes = draw(300)
    facts = gather(outcomes)
    good = sorted(
        (each for each in outcomes if isinstance(each, Prediction)),
        key=lambda each: each.margin or 0,
    )
    expected = [each.ref.uri.rpartition("/")[2] for each in good[: len(facts.least_certain)]]
    assert len(expected) == 24
    assert names_of(facts, facts.least_certain) == expected


def test_of_one_label_the_middle_of_its_scores_is_least_certain() -> None:
    facts = gather([ok("a", ("nsfw", 0.9)), ok("b", ("nsfw", 0.52)), ok("c", ("nsfw", 0.03))])
    assert names_of(facts, facts.least_certain) == ["b", "a", "c"]


def test_of_one_raw_score_the_one_around_0_is_least_certain() -> None:
    """0 is what a sigmoid makes one half of; 0.5, the middle of probabilities, is nothing there."""
    scores = {"a": 0.5, "b": -0.1, "c": 3.0, "d": -8.0}
    outcomes = [ok(name, ("nsfw", score), function="none") for name, score in scores.items()]
    half = ok("e", ("nsfw", 0.55), function="sigmoid")  # its score before was 0.2
    facts = gather([*outcomes, half])
    assert names_of(facts, facts.least_certain) == ["b", "e", "a", "c", "d"]


def test_what_is_kept_does_not_hang_on_the_order_of_the_rows() -> None:
    outcomes = draw(400)
    shuffled = random.Random(5).sample(outcomes, len(outcomes))
    one, other = gather(outcomes), gather(shuffled, batch_rows=7)
    for indices in (lambda facts: facts.least_certain, lambda facts: facts.labels[0].images):
        assert names_of(one, indices(one)) == names_of(other, indices(other))


def test_of_a_long_run_some_rows_are_kept_and_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_tally, "MAX_ROWS", 200)
    monkeypatch.setattr(gathering, "MAX_ROWS", 200)
    facts = gather(draw(400))
    assert (facts.rows, len(facts.images)) == (400, 200)
    uris = [image.uri for image in facts.images]
    assert len(set(uris)) == len(uris)
    drawn = sorted(range(400), key=lambda index: digest_uri(f"gs://b/{index}.jpg"))
    assert {f"gs://b/{index}.jpg" for index in drawn[:10]} <= set(uris)


def test_long_names_make_no_large_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "_MAX_CHARS", 20_000)
    facts = gather([ok(f"{index}{'x' * 1000}", ("cat", 0.9), ("dog", 0.1)) for index in range(99)])
    assert 24 <= len(facts.images) < 60


def test_each_label_has_a_sheet_until_there_are_too_many() -> None:
    outcomes = [
        ok(f"{label}-{index}", (f"label {label}", 0.9 - index / 100), ("none", 0.01))
        for label in range(60)
        for index in range(30 if label == 0 else 3)
    ]
    facts = gather(outcomes)
    sheets = [share for share in facts.labels if share.images]
    assert (len(sheets), facts.label_count) == (24, 60)
    assert sheets[0].label == "label 0"
    assert (
        len(sheets[0].images) == 8
    )  # one row: ten each would be 240 in all, and the second row short
    scores = [facts.images[index].labels[0].score for index in sheets[0].images]
    assert scores == sorted(scores, reverse=True)


def test_flips_are_counted_and_the_surest_come_first() -> None:
    before = [ok(f"{n}", ("cat", 0.8), ("dog", 0.1)) for n in range(10)] + [bad("gone")]
    after = [
        *(ok(f"{n}", ("dog", 0.5 + n / 20), ("cat", 0.2)) for n in range(4)),
        *(ok(f"{n}", ("cat", 0.8), ("dog", 0.1)) for n in range(4, 8)),
        *(bad("8"), bad("9"), ok("gone", ("dog", 0.9), ("cat", 0.1)), ok("new", ("cat", 0.9))),
    ]
    change = gather(after, before).change
    assert change is not None
    assert (change.run_id, change.compared, change.flipped) == ("r1", 8, 4)
    assert [(each.before, each.after, each.count) for each in change.flips] == [("cat", "dog", 4)]
    facts = gather(after, before)
    assert facts.change is not None
    assert names_of(facts, facts.change.images) == ["3", "2", "1", "0"]
    assert {facts.images[index].label_before for index in facts.change.images} == {"cat"}
    assert {share.label: share.count_before for share in facts.labels} == {"cat": 10, "dog": 0}


def test_bars_of_the_previous_run_are_shares_of_all_that_it_classified() -> None:
    """Also of labels that this run does not have."""
    before = [ok(f"{n}", ("cat" if n < 3 else "fox", 0.8), ("dog", 0.1)) for n in range(12)]
    after = [ok(f"{n}", ("cat", 0.8), ("dog", 0.1)) for n in range(12)]
    (cat,) = list_values(gather(after, before))["labels"]
    assert (cat["width"], cat["width_before"]) == (100, 25)


def test_of_a_long_earlier_run_a_share_of_the_images_is_compared() -> None:
    outcomes = [ok(f"{n}", ("cat", 0.8), ("dog", 0.1)) for n in range(2000)]
    found = read_labels(make_run(outcomes), MODEL.key, max_images=500)
    assert found.sampled_ratio == 0.25
    assert 400 < len(found.by_digest) < 600
    assert found.counts == {"cat": 2000}  # the mix is of all


def test_the_stability_index_is_that_of_its_definition() -> None:
    assert measure_shift([5, 9], [50, 90]) < 0.01
    old, new = [700.0, 200.0, 100.0], [400.0, 350.0, 250.0]
    exact = sum(
        (n - o) * math.log(n / o) for o, n in zip([0.7, 0.2, 0.1], [0.4, 0.35, 0.25], strict=True)
    )
    assert math.isclose(measure_shift(old, new), exact, rel_tol=0.01)  # type: ignore[arg-type]
    assert measure_shift([10, 0], [0, 10]) > 2
    assert measure_shift([], []) == 0


def test_pictures_are_wanted_of_every_label_before_the_second_of_any() -> None:
    facts = gather(draw(300))
    wanted = list(facts.list_pictured())
    assert len(set(wanted)) == len(wanted)
    assert wanted[: len(facts.least_certain)] == list(facts.least_certain)
    everything = {index for share in facts.labels for index in share.images}
    assert set(wanted) == {*facts.least_certain, *everything}
    sheets = tuple(
        LabelShare(name, 2, 0.9, images=images)
        for name, images in (("cat", (0, 1)), ("dog", (2, 3)), ("fox", (4,)))
    )
    bare = dataclasses.replace(facts, labels=sheets, least_certain=(7, 3))
    assert list(bare.list_pictured()) == [7, 3, 0, 2, 4, 1]
