"""The page of a report asks for nothing, and no text of a run is more than text in it."""

import base64
import hashlib
import html.parser
import json
import re

import pytest

from imgcls_beam.analysis.report_page.drawing import draw_page
from tests.reports import HOSTILE, draw_facts, draw_pictures, make_empty

FACTS = draw_facts(150)
PICTURES = draw_pictures(FACTS)
PAGE = draw_page(FACTS, PICTURES)
REFERENCES = ("src", "href", "srcset", "action", "poster", "data", "formaction", "background")
NOT_TEXT = re.compile(
    "[\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff\u2028\u2029\x00-\x09\x0b-\x1f]"
)


class Parsed(html.parser.HTMLParser):
    """Tags with their attributes, and the texts of styles and scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.lasttag in self.inside and data.strip():
            self.inside[self.lasttag].append(data)


PARSED = Parsed(PAGE)


def digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def read_data(page: str) -> dict[str, list[object]]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data: dict[str, list[object]] = json.loads(found[1])
    return data


def test_nothing_in_it_leads_out_of_it() -> None:
    for tag, attributes in PARSED.tags:
        assert tag not in ("iframe", "object", "embed", "link", "base", "form") or (
            attributes.get("href") == "data:,"
        )
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name != "style"
            if name in REFERENCES:
                assert str(value).startswith(("data:", "#")), value
    assert "@import" not in PAGE
    assert "url(" not in "".join(PARSED.inside["style"])


def test_its_policy_allows_its_own_style_and_script_alone() -> None:
    (policy,) = (
        attributes["content"]
        for tag, attributes in PARSED.tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    (style,), (_, script) = PARSED.inside["style"], PARSED.inside["script"]
    assert policy == (
        f"default-src 'none'; img-src data:; style-src {digest(style)}; "
        f"script-src {digest(script)}; base-uri 'none'; form-action 'none'"
    )


def test_text_of_the_run_is_text() -> None:
    assert sum(tag == "script" for tag, _ in PARSED.tags) == 2
    assert {tag for tag, _ in PARSED.tags} & {"svg/onload", "raw"} == set()
    for text in (*HOSTILE[:2], HOSTILE[3]):
        assert text not in PAGE
    assert "{{ 7 * 7 }}" in PAGE
    assert "49{% raw" not in PAGE
    assert not NOT_TEXT.search(PAGE.replace("\n", ""))
    PAGE.encode("utf-8")  # no lone surrogate


def test_each_picture_is_in_it_once() -> None:
    drawn = [picture.data_uri for picture in PICTURES.values() if picture.data_uri]
    assert len(drawn) > 50
    assert all(PAGE.count(each) == 1 for each in drawn)
    sources = [attributes.get("data-same") for tag, attributes in PARSED.tags if tag == "img"]
    again = [each for each in sources if each]
    assert again
    assert all(f'<img id="{each}"' in PAGE for each in again)


def test_its_data_are_the_rows_in_order() -> None:
    data = read_data(PAGE)
    rows = data["rows"]
    assert len(rows) == len(FACTS.images)
    uris = [f"{data['prefix']}{row[0]}" for row in rows]  # type: ignore[index]
    assert uris[1] == FACTS.images[1].uri
    assert data["prefix"] == "gs://bucket/photos/2026/"
    pair = rows[1][2][0]  # type: ignore[index]
    assert (data["labels"][pair[0]], pair[1]) == ("dog", 0.537)


def test_one_image_and_none_have_a_page() -> None:
    for facts in (draw_facts(1), make_empty()):
        assert len(read_data(draw_page(facts, {}))["rows"]) == len(facts.images)
    assert "No image was classified" in draw_page(make_empty(), {})


@pytest.mark.parametrize(
    "words",
    [
        "150</dd>",
        "90.0 %",
        "prepare: truncated",
        "population stability index: large shift",
        "nightly-2026-11-25",
        "2026-11-26 03:04 UTC",
        "54.2",
    ],
)
def test_it_says_what_the_facts_say(words: str) -> None:
    assert words in PAGE.replace("<small>", "</dd>")
