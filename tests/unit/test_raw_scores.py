"""Scores to which no function was applied are plain numbers in a page, also between 0 and 1."""

import json
import re
from typing import Any

from imgcls_beam.analysis.report_page.drawing import draw_page
from imgcls_beam.analysis.report_page.page_facts import ReportFacts
from imgcls_beam.analysis.report_page.page_values import list_values
from tests.gathered import bad, gather, ok

SOFTMAX = [ok(f"s{n}", ("cat", 0.75), ("dog", 0.25)) for n in range(3)]
SIGMOID = [ok(f"g{n}", ("dog", 0.625), ("cat", 0.5), function="sigmoid") for n in range(2)]
RAW = [ok(f"r{n}", ("fox", 0.5 + n / 4), ("cat", -2.0), function="none") for n in range(2)]


def list_tiles(facts: ReportFacts) -> dict[str, dict[str, Any]]:
    change = list_values(facts)["change"]
    tiles = [*list_values(facts)["tiles"], *(change["tiles"] if change else ())]
    return {each["name"]: each for each in tiles}


def spell_images(facts: ReportFacts) -> dict[str, str]:
    values = list_values(facts)["images"]
    return {values[at]["name"]: values[at]["score"] for at in range(len(facts.images))}


def test_each_row_is_spelled_by_its_own_function() -> None:
    """A file of requests may ask for another one for each image."""
    assert spell_images(gather([*SOFTMAX[:1], *SIGMOID[:1], *RAW])) == {
        "s0": "75.0 %",
        "g0": "62.5 %",
        "r0": "0.500",
        "r1": "0.750",
    }


def test_the_page_shows_them_as_its_values_do() -> None:
    facts = gather([*SOFTMAX, *RAW])
    page = draw_page(facts, {})
    assert set(re.findall(r"<span>([\d.-]+(?: %)?)</span></span>", page)) == {
        *("75.0 %", "0.500", "0.750")
    }
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found is not None
    data = json.loads(found[1])
    shares = {row[0]: row[13:15] for row in data["rows"]}
    assert shares == {"s0": [1, 0], "s1": [1, 0], "s2": [1, 0], "r0": [0, 0], "r1": [0, 0]}


def test_a_mean_is_in_percent_where_all_of_its_rows_are_probabilities() -> None:
    more = ok("r9", ("dog", 0.125), ("cat", 0.0), function="none")
    values = list_values(gather([*SOFTMAX, *SIGMOID, more, *RAW]))
    means = {each["text"]: each["mean_score"] for each in values["labels"]}
    assert means == {"cat": "75.0 %", "dog": "0.458", "fox": "0.625"}


def test_the_mean_best_score_says_of_what_it_is() -> None:
    tiles = [
        list_tiles(gather(rows))["Mean best score"]
        for rows in ([*SOFTMAX, *SIGMOID], RAW, [*SOFTMAX, *RAW])
    ]
    assert [(each["value"], each["note"]) for each in tiles] == [
        ("70.0 %", ""),
        ("0.625", "no function applied"),
        ("0.700", "of different functions"),
    ]


def test_bars_are_of_probabilities_and_other_scores_are_named() -> None:
    values = list_values(gather([*SOFTMAX, *RAW]))
    assert values["scores"]["total"] == values["margins"]["total"] == 3
    assert values["scores"]["raw"] == (
        "2 more images, 0.500 to 0.750: no function was applied to these scores."
    )
    assert values["margins"]["raw"].startswith("2 more images, 2.500 to 2.750:")
    alone = list_values(gather(RAW[:1]))
    assert values["scores"]["spoken"] == "0.75 to 0.8: 3 images"
    assert alone["scores"]["raw"].startswith("1 image, 0.500: no function")
    assert list_values(gather(SOFTMAX))["scores"]["raw"] == ""


def test_best_scores_are_compared_where_both_runs_have_one_kind() -> None:
    raw_before = [ok(f"s{n}", ("cat", 0.75), ("dog", 0.5), function="none") for n in range(3)]
    sigmoid_before = [ok(f"s{n}", ("cat", 0.75), ("dog", 0.5), function="sigmoid") for n in (0, 1)]
    facts = gather(SOFTMAX, SOFTMAX)
    assert facts.change is not None
    assert facts.change.score_index == 0
    for now, before in (
        *((SOFTMAX, raw_before), (RAW, SOFTMAX)),
        *((SOFTMAX, sigmoid_before), (RAW, RAW)),
    ):
        tile = list_tiles(gather(now, before))["Best scores"]
        assert (tile["value"], tile["note"]) == ("–", "not compared: no common function")


def test_no_function_of_a_failed_row_counts() -> None:
    """It says what was asked for, and has no score."""
    facts = gather([*SOFTMAX, bad("b")], SOFTMAX)
    assert facts.change is not None
    assert facts.change.score_index == 0
    assert facts.scores.raw == 0
