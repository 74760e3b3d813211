"""The report as a browser shows it: opened from a disk, without a network."""

import pathlib

import pytest
from playwright.sync_api import Browser, Page

from imgcls_beam.analysis.report_page.drawing import draw_page
from imgcls_beam.analysis.report_page.page_facts import ReportFacts
from tests.browser.chromium import AXE
from tests.browser.conftest import Open
from tests.gathered import gather, ok
from tests.reports import HOSTILE, draw_facts, draw_pictures, make_empty

WIDTHS = (320, 390, 768, 1280)
SERIOUS = ("serious", "critical")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return write(tmp_path_factory.mktemp("report") / "r.html", draw_facts(300))


@pytest.fixture(scope="module")
def small_report(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return write(tmp_path_factory.mktemp("report") / "s.html", draw_facts(16))


def write(path: pathlib.Path, facts: ReportFacts) -> pathlib.Path:
    path.write_text(draw_page(facts, draw_pictures(facts)), "utf-8", "replace")
    return path


def find_faults(page: Page) -> list[str]:
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    return [
        f"{each['id']}: {each['nodes'][0]['target']} {each['nodes'][0]['failureSummary']}"
        for each in found
        if each["impact"] in SERIOUS
    ]


def test_what_others_named_runs_nothing_and_is_seen(report: pathlib.Path, open_page: Open) -> None:
    page = open_page(report)
    assert page.evaluate("window.hacked") is None
    assert page.locator("script").count() == 2
    assert page.locator("#labels h3").all_inner_texts()[3:9] == [
        *HOSTILE[:4],
        "photo\\u202egnp.exe",
        "tab\\tnull\\x00line\\u2028feed\\ufeff",
    ]
    assert not set("\u202e\u2028\x00\ufeff") & set(page.content())


def test_the_policy_stops_scripts_and_requests(
    report: pathlib.Path, browser: Browser, tmp_path: pathlib.Path
) -> None:
    """Held against the same page without its policy, where all of it happens."""
    attack = """async () => {
      const script = document.createElement("script");
      script.textContent = "window.hacked = 1";
      document.body.append(script);
      const answer = await fetch("data:,x").then(() => "asked", () => "refused");
      return [window.hacked ?? 0, answer];
    }"""
    begin, end = '<meta http-equiv="Content-Security-Policy" content="', '">'
    head, _, rest = report.read_text(encoding="utf-8").partition(begin)
    bare = tmp_path / "bare.html"
    bare.write_text(head + rest.partition(end)[2], encoding="utf-8")
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(bare.as_uri())
        assert page.evaluate(attack) == [1, "asked"]
        page.goto(report.as_uri())
        assert page.evaluate(attack) == [0, "refused"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(
    small_report: pathlib.Path, open_page: Open, scheme: str
) -> None:
    page = open_page(small_report, scheme=scheme)
    assert find_faults(page) == []
    page.locator("#uncertain .card").first.click()
    assert find_faults(page) == []


@pytest.mark.parametrize("width_px", WIDTHS)
def test_nothing_is_wider_than_the_screen(
    report: pathlib.Path, open_page: Open, width_px: int
) -> None:
    page = open_page(report, width_px)
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    page.locator("#uncertain .card").first.click()
    box = page.locator("#viewer").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width_px


def test_images_are_found_filtered_and_sorted(report: pathlib.Path, open_page: Open) -> None:
    page = open_page(report)
    found, cards = page.locator("#found"), page.locator("#all .card")
    assert found.inner_text() == "300 of 300 images"
    assert cards.count() == 60
    page.locator("#more").click()
    assert cards.count() == 120
    page.keyboard.press("/")
    page.keyboard.type("IMG_00011")  # the slash itself is not typed
    assert page.locator("#find").input_value() == "IMG_00011"
    assert found.inner_text() == "1 of 300 images"
    page.keyboard.type("nowhere")
    assert page.locator("#nothing").is_visible()
    page.locator("#clear").click()
    page.locator("#by-status").select_option("error")
    assert found.inner_text() == "30 of 300 images"
    page.locator("#by-status").select_option("")
    page.locator("#by-label").select_option("dog")
    page.locator("#sort").select_option("high")
    scores = [float(text.split()[0]) for text in page.locator("#all .row > span").all_inner_texts()]
    assert len(scores) > 3
    assert scores == sorted(scores, reverse=True)
    page.locator("#all .card").nth(1).click()
    assert page.locator("#position").inner_text() == f"2 of {len(scores)}"


def test_the_keyboard_opens_an_image_and_goes_on(report: pathlib.Path, open_page: Open) -> None:
    page = open_page(report)
    cards = page.locator("#uncertain .card")
    cards.nth(1).focus()
    page.keyboard.press("Enter")
    assert page.locator("#position").inner_text() == "2 of 12"
    page.keyboard.press("ArrowRight")
    assert page.locator("#position").inner_text() == "3 of 12"
    uri = str(cards.nth(2).get_attribute("title"))
    assert page.locator("#side .uri").inner_text() == uri
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
    assert page.locator("#position").inner_text() == "1 of 12"
    assert page.locator("#previous").is_disabled()
    page.keyboard.press("Escape")
    assert not page.locator("#viewer").is_visible()
    assert cards.nth(1).evaluate("each => each === document.activeElement")


def test_a_cell_of_the_confusions_opens_its_images(report: pathlib.Path, open_page: Open) -> None:
    page = open_page(report)
    page.locator(".matrix button").first.click()
    assert page.locator("#position").inner_text() == "1 of 3"
    page.keyboard.press("ArrowRight")
    assert page.locator("#position").inner_text() == "2 of 3"


def test_colours_follow_the_system_until_they_are_chosen(
    report: pathlib.Path, open_page: Open
) -> None:
    page = open_page(report, scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    page.locator("#theme").click()
    assert page.evaluate(paper) != dark
    page.locator("#theme").click()
    assert page.evaluate(paper) == dark


def test_raw_scores_are_numbers_beside_shares_of_other_rows(
    tmp_path: pathlib.Path, open_page: Open
) -> None:
    share = ok("share.jpg", ("cat", 0.75), ("dog", 0.25))
    raw = ok("raw.jpg", ("cat", 0.5), ("dog", -2.0), function="none")
    page = open_page(write(tmp_path / "raw.html", gather([share, raw])))
    shown = {"share.jpg": ["75.0 %", "25.0 %"], "raw.jpg": ["0.500", "-2.000"]}
    for name, scores in shown.items():
        page.locator("#find").fill(name)
        assert page.locator("#all .row > span").all_inner_texts() == scores[:1]
        page.locator("#all .card").click()
        side = page.locator("#side table").first
        assert side.locator(".number").all_inner_texts() == scores
        assert side.locator(".level").count() == (2 if name == "share.jpg" else 0)
        page.keyboard.press("Escape")


def test_a_run_of_no_image_has_a_page_too(tmp_path: pathlib.Path, open_page: Open) -> None:
    page = open_page(write(tmp_path / "empty.html", make_empty()))
    assert page.locator("#errors .empty").inner_text() == "No image failed."
    assert page.locator("#found").inner_text() == "0 of 0 images"
    assert find_faults(page) == []
    page.evaluate("document.documentElement.removeAttribute('lang')")
    assert [fault.partition(":")[0] for fault in find_faults(page)] == ["html-has-lang"]


def test_ten_thousand_images_are_one_small_file(tmp_path: pathlib.Path, open_page: Open) -> None:
    path = write(tmp_path / "many.html", draw_facts(10_000))
    assert path.stat().st_size < 4_000_000  # and 6 MB of pictures at the most
    page = open_page(path)
    assert page.locator("#found").inner_text() == "10,000 of 10,000 images"
    page.locator("#find").fill("img_09998")
    assert page.locator("#found").inner_text() == "1 of 10,000 images"
