"""The page of a comparison as a browser shows it: opened from a disk, without a network."""

import dataclasses
import pathlib

import pytest

from imgcls_beam.analysis.comparison_page.comparison_facts import ComparisonFacts
from imgcls_beam.analysis.comparison_page.comparison_writing import draw_comparison
from tests.browser.conftest import Open
from tests.browser.test_report_in_browser import WIDTHS, find_faults
from tests.comparisons import gather_two, publish_two
from tests.reports import draw_pictures
from tests.said import Said, publish_said
from tests.staged import RUN

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> ComparisonFacts:
    output = str(tmp_path_factory.mktemp("compared"))
    publish_two(output, 300)
    return gather_two(output)


@pytest.fixture(scope="module")
def compared(facts: ComparisonFacts, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("page") / "c.html"
    path.write_text(draw_comparison(facts, draw_pictures(facts)), "utf-8", "replace")
    return path


@pytest.mark.parametrize(("scheme", "width_px"), [("light", 1280), ("dark", 1280), ("light", 390)])
def test_axe_finds_no_serious_fault(
    compared: pathlib.Path, open_page: Open, scheme: str, width_px: int
) -> None:
    page = open_page(compared, width_px, scheme)
    assert find_faults(page) == []
    page.locator("#first .card").first.click()
    assert find_faults(page) == []


@pytest.mark.parametrize("width_px", WIDTHS)
def test_nothing_is_wider_than_the_screen(
    compared: pathlib.Path, open_page: Open, width_px: int
) -> None:
    page = open_page(compared, width_px)
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    assert page.evaluate("window.hacked") is None


def test_a_pair_opens_its_images_with_what_both_say(
    facts: ComparisonFacts, compared: pathlib.Path, open_page: Open
) -> None:
    page = open_page(compared)
    page.locator(".pairs button").first.click()
    count = facts.pairs[0].images
    assert count > 1
    assert page.locator("#position").inner_text() == f"1 of {count}"
    page.keyboard.press("ArrowRight")
    assert page.locator("#position").inner_text() == f"2 of {count}"
    assert page.locator("#side h3").all_inner_texts() == ["A", "B", "Row", "Image"]
    image = facts.images[facts.pairs[0].on_page[1]]
    assert len(image.labels_before) == 2
    assert page.locator("#side table").first.locator("tr").count() == 2


def test_images_are_found_by_the_label_of_either_side(
    facts: ComparisonFacts, compared: pathlib.Path, open_page: Open
) -> None:
    page = open_page(compared)
    found, total = page.locator("#found"), len(facts.images)
    assert found.inner_text() == f"{total} of {total} images"
    page.locator("#by-other").select_option("cat")
    of_cat = [image for image in facts.images if image.label_before == "cat"]
    assert 0 < len(of_cat) < total
    assert found.inner_text() == f"{len(of_cat)} of {total} images"
    assert page.locator("#all .card").count() == len(of_cat)
    assert {
        row.locator(".row").first.locator("b").inner_text()
        for row in page.locator("#all .card").all()
    } == {"cat"}
    page.locator("#by-label").select_option("cat")
    assert page.locator("#nothing").is_visible()
    page.locator("#clear").click()
    assert found.inner_text() == f"{total} of {total} images"


def test_scores_of_each_side_are_shown_as_what_they_are(
    tmp_path: pathlib.Path, open_page: Open
) -> None:
    before = Said("gs://b/0.jpg", [("cat", 0.5), ("dog", 0.25)], function="none")
    after = Said("gs://b/0.jpg", [("dog", 0.75), ("cat", 0.25)])
    for run_id, said in (("before", before), ("after", after)):
        publish_said(str(tmp_path), [said], dataclasses.replace(RUN, run_id=run_id))
    path = tmp_path / "raw.html"
    path.write_text(draw_comparison(gather_two(str(tmp_path)), {}), "utf-8")
    page = open_page(path)
    for card in page.locator(".card").all():
        assert card.locator(".row > span").all_inner_texts() == ["0.500", "75.0 %"]
    page.locator("#all .card").click()
    assert page.locator("#side .number").all_inner_texts() == ["0.500", "0.250", "75.0 %", "25.0 %"]


def test_runs_that_agree_have_a_page_too(tmp_path: pathlib.Path, open_page: Open) -> None:
    said = [Said("gs://b/0.jpg", [("cat", 1.0)])]
    for run_id in ("before", "after"):
        publish_said(str(tmp_path), said, dataclasses.replace(RUN, run_id=run_id))
    path = tmp_path / "same.html"
    path.write_text(draw_comparison(gather_two(str(tmp_path)), {}), "utf-8")
    page = open_page(path)
    assert page.locator("#first .empty").inner_text() == "A and B agree on every image."
    assert page.locator("#found").inner_text() == "0 of 0 images"
    assert find_faults(page) == []
