"""Two runs → the page of their comparison: which images it has, and how it says what differs."""

import collections
import dataclasses
import json
import pathlib
import re
from typing import Any

import pytest

from imgcls_beam.analysis import RunPlace, open_run
from imgcls_beam.analysis.compared_runs import compare_runs
from imgcls_beam.analysis.comparison_page import changed_images
from imgcls_beam.analysis.comparison_page.changed_images import gather_changed
from imgcls_beam.analysis.comparison_page.comparison_facts import ComparisonFacts
from imgcls_beam.analysis.comparison_page.comparison_values import list_comparison_values
from imgcls_beam.analysis.comparison_page.comparison_writing import draw_comparison
from tests.comparisons import gather_two, publish_two, say
from tests.said import Said, publish_said
from tests.staged import RUN


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> ComparisonFacts:
    output = str(tmp_path_factory.mktemp("compared"))
    publish_two(output, 120)
    return gather_two(output)


def publish(output: pathlib.Path, **runs: list[Said]) -> None:
    for run_id, said in runs.items():
        publish_said(str(output), said, dataclasses.replace(RUN, run_id=run_id))


def read_data(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found is not None
    data: dict[str, Any] = json.loads(found.group(1))
    return data


def test_it_has_the_images_that_changed_and_what_both_say(facts: ComparisonFacts) -> None:
    said = [(say(index, 0), say(index, 1)) for index in range(120)]
    changed = {a.uri: (a, b) for a, b in said if a.labels[0][0] != b.labels[0][0]}
    assert len(changed) == 40
    assert {image.uri for image in facts.images} == set(changed)
    for image in facts.images:
        a, b = changed[image.uri]
        assert [(each.label, each.score) for each in image.labels_before] == list(a.labels)
        assert [(each.label, each.score) for each in image.labels] == list(b.labels)
        assert image.label_before == a.labels[0][0]


@pytest.mark.parametrize("turn", [0, 1])
def test_each_side_is_spelled_by_its_own_function(tmp_path: pathlib.Path, turn: int) -> None:
    """Raw scores may lie between 0 and 1, too; images of one run may have other functions."""
    probable = Said("gs://b/0.jpg", [("cat", 0.75), ("dog", 0.25)], function="sigmoid")
    raw = Said("gs://b/0.jpg", [("dog", 0.5), ("cat", 0.25)], function="none")
    both = (probable, raw), (raw, probable)
    before, after = both[turn]
    other = [each._replace(uri="gs://b/1.jpg") for each in (after, before)]
    publish(tmp_path, before=[before, other[0]], after=[after, other[1]])
    facts = gather_two(str(tmp_path))
    images = list_comparison_values(facts)["images"]
    spelled = {probable.labels[0][0]: "75.0 %", raw.labels[0][0]: "0.500"}
    for index in (0, 1):
        shown = images[index]
        assert shown["score_before"] == spelled[shown["before"]]
        assert shown["score"] == spelled[shown["label"]]
        assert {shown["before"], shown["label"]} == set(spelled)
    for row in read_data(draw_comparison(facts, {}))["rows"]:
        best, before = row[2][0][1], row[12][0][1]
        assert row[13:15] == [int(best == 0.75), int(before == 0.75)]


def test_those_of_which_both_are_sure_come_first(facts: ComparisonFacts) -> None:
    sure = [min(image.labels[0].score, image.labels_before[0].score) for image in facts.images]
    assert sure == sorted(sure, reverse=True)
    assert facts.first == tuple(range(24))
    assert next(facts.list_pictured()) == 0


def test_each_pair_has_its_own_images(facts: ComparisonFacts) -> None:
    counts = collections.Counter(
        (image.label_before, image.labels[0].label) for image in facts.images
    )
    assert {(pair.label_a, pair.label_b): pair.images for pair in facts.pairs} == counts
    for pair in facts.pairs:
        assert len(pair.on_page) == pair.images
        assert set(pair.sheet) <= set(pair.on_page)
        for index in pair.on_page:
            image = facts.images[index]
            assert (image.label_before, image.labels[0].label) == (pair.label_a, pair.label_b)
    assert set(facts.list_pictured()) == {*facts.first, *(i for p in facts.pairs for i in p.sheet)}


def test_a_large_change_is_cut_and_says_so(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_two(str(tmp_path), 90)
    monkeypatch.setattr(changed_images, "MAX_CHANGED", 7)
    facts = gather_two(str(tmp_path))
    assert len(facts.images) == 7
    assert list_comparison_values(facts)["images_note"].startswith("7 of 30 images")


def test_an_image_that_several_lines_name_is_the_first_of_them(tmp_path: pathlib.Path) -> None:
    first, second = [("cat", 0.9), ("dog", 0.1)], [("dog", 0.8), ("cat", 0.2)]
    publish(
        tmp_path,
        before=[Said("gs://b/0.jpg", first, {"n": 1}), Said("gs://b/0.jpg", second, {"n": 2})],
        after=[Said("gs://b/0.jpg", second)],
    )
    (image,) = gather_two(str(tmp_path)).images
    assert (image.label_before, image.labels_before[0].score) == ("cat", 0.9)


def test_every_text_is_escaped_and_seen(facts: ComparisonFacts) -> None:
    page = draw_comparison(facts, {})
    assert "<script>window.hacked" not in page
    assert "<img src=x" not in page
    assert not set("\u202e\u2028\x00\ufeff") & set(page)
    assert "photo\\u202egnp.exe" in page
    assert "{{ 7 * 7 }}" in page


def test_its_data_are_those_of_both_sides(facts: ComparisonFacts) -> None:
    data = read_data(draw_comparison(facts, {}))
    assert data["sides"] == ["A", "B"]
    assert len(data["rows"]) == len(facts.images)
    for row, image in zip(data["rows"], facts.images, strict=True):
        assert [round(each.score, 5) for each in image.labels] == [pair[1] for pair in row[2]]
        assert [round(each.score, 5) for each in image.labels_before] == [p[1] for p in row[12]]


def test_runs_that_agree_say_so(tmp_path: pathlib.Path) -> None:
    said = [Said("gs://b/0.jpg", [("cat", 1.0)])]
    publish(tmp_path, before=said, after=said)
    facts = gather_two(str(tmp_path))
    values = list_comparison_values(facts)
    assert (facts.images, facts.pairs) == ((), ())
    assert [tile["value"] for tile in values["tiles"]] == ["1", "100.0 %", "–", "0"]
    assert "A and B agree on every image." in draw_comparison(facts, {})


def test_shifts_are_drawn_from_the_middle(tmp_path: pathlib.Path) -> None:
    publish(
        tmp_path,
        before=[Said("gs://b/0.jpg", [("cat", 0.9), ("dog", 0.1), ("fox", 0.0)])],
        after=[Said("gs://b/0.jpg", [("cat", 0.5), ("dog", 0.3), ("fox", 0.2)])],
    )
    labels = {
        each["text"]: each for each in list_comparison_values(gather_two(str(tmp_path)))["labels"]
    }
    assert {text: (each["x"], each["width"], each["is_less"]) for text, each in labels.items()} == {
        "cat": (0.0, 50.0, True),
        "dog": (50.0, 25.0, False),
        "fox": (50.0, 25.0, False),
    }
    assert labels["cat"]["shift"] == "-0.4000"


def test_two_models_of_a_run_have_the_name_of_the_run(facts: ComparisonFacts) -> None:
    side = facts.compared.b
    record = dataclasses.replace(side.record, run_id="before")
    same = dataclasses.replace(facts.compared, b=dataclasses.replace(side, record=record))
    values = list_comparison_values(dataclasses.replace(facts, compared=same))
    assert values["run_ids"] == ["before"]
    assert "Comparison of two models" in draw_comparison(
        dataclasses.replace(facts, compared=same), {}
    )


def test_facts_that_differ_are_marked(facts: ComparisonFacts) -> None:
    other = dataclasses.replace(facts.compared.b.model, preprocess="fast")
    b = dataclasses.replace(facts.compared.b, model=other)
    changed = dataclasses.replace(facts, compared=dataclasses.replace(facts.compared, b=b))
    details = {each["name"]: each for each in list_comparison_values(changed)["details"]}
    assert details["Preparation"]["cells"] == ["exact", "fast"]
    assert [name for name, each in details.items() if each["is_other"]] == ["Preparation"]


def test_rows_that_went_meanwhile_are_left_out(tmp_path: pathlib.Path) -> None:
    publish_two(str(tmp_path), 30)
    run_a, run_b = (open_run(RunPlace(str(tmp_path)), each) for each in ("before", "after"))
    compared = compare_runs(run_a, run_b)
    publish(tmp_path, later=[say(index, 1) for index in range(10)])
    facts = gather_changed(run_a, open_run(RunPlace(str(tmp_path)), "later"), compared)
    assert [image.uri for image in facts.images] == [
        flip.image_uri
        for flip in compared.comparison.flips
        if flip.image_uri in {say(index, 1).uri for index in range(10)}
    ]
