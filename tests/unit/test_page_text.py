"""Text and numbers of a page: what does not print is seen, what is long is cut in its middle."""

import datetime

import pytest

from imgcls_beam.analysis.report_page import page_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain name.jpg", "plain name.jpg"),
        ("naïve 日本 🐈", "naïve 日本 🐈"),
        ("gnp\u202eexe", "gnp\\u202eexe"),
        ("\u2066a\u2069", "\\u2066a\\u2069"),
        ("a\tb\nc\x00\x7f", "a\\tb\\nc\\x00\\x7f"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("\ud800", "\\ud800"),
        ("\u2028", "\\u2028"),
        ("", ""),
    ],
)
def test_what_does_not_print_is_shown_as_its_escape(text: str, shown: str) -> None:
    assert page_text.make_visible(text) == shown
    assert shown.isprintable()


@pytest.mark.parametrize(
    ("text", "most", "cut"),
    [("abcdef", 6, "abcdef"), ("abcdefg", 6, "ab…efg"), ("abcdefg", 5, "ab…fg"), ("", 5, "")],
)
def test_a_long_text_keeps_its_beginning_and_its_end(text: str, most: int, cut: str) -> None:
    assert page_text.cut_middle(text, most) == cut


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("gs://b/a/cat.jpg", "cat.jpg"),
        ("file:///a/shard.tar::x/cat.jpg", "cat.jpg"),
        ("s3://b/part.parquet::17", "17"),
        ("cat.jpg", "cat.jpg"),
        ("///", "///"),
    ],
)
def test_the_name_is_the_last_component(uri: str, name: str) -> None:
    assert page_text.name_of(uri) == name


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(1, 3, "33.3 %"), (0, 9, "0 %"), (1, 10**7, "< 0.1 %"), (5, 0, "0 %"), (7, 7, "100.0 %")],
)
def test_a_share_that_is_there_never_reads_as_none(part: int, whole: int, text: str) -> None:
    assert page_text.spell_ratio(part, whole) == text


@pytest.mark.parametrize(
    ("score", "is_probability", "text"),
    [
        (0.5, True, "50.0 %"),
        (1.0, True, "100.0 %"),
        (0.5, False, "0.500"),
        (1.0, False, "1.000"),
        (0.0, False, "0.000"),
        (-3.25, False, "-3.250"),
        (11.0625, False, "11.062"),
    ],
)
def test_only_a_probability_is_spelled_in_percent(
    score: float, is_probability: bool, text: str
) -> None:
    """A raw score may lie between 0 and 1, too."""
    assert page_text.spell_score(score, is_probability=is_probability) == text


def test_numbers_are_spelled_with_their_units() -> None:
    sizes = (0, 999, 1000, 1_234_567, 10**18 * 4)
    assert [page_text.spell_bytes(each) for each in sizes] == [
        *("0 bytes", "999 bytes", "1.0 kB", "1.2 MB", "4,000.0 PB")
    ]
    times = (0.04, 59.4, 61, 7322)
    assert [page_text.spell_duration(each) for each in times] == [
        *("0.0 s", "59.4 s", "1 min 1 s", "2 h 2 min")
    ]
    east = datetime.timezone(datetime.timedelta(hours=2))
    assert page_text.spell_time(datetime.datetime(2026, 1, 2, 1, tzinfo=east)) == (
        "2026-01-01 23:00 UTC"
    )
