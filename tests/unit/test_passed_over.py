"""What a listing passed over: counted, bounded, added up, and told in a sentence."""

import itertools
import pickle
import random
from typing import Any

import pytest

from imgcls_beam.passed_over import PassedOver, Reason, find_suffix, merge_passed_over


def count(*names: str, reason: Reason = Reason.SUFFIX) -> PassedOver:
    passed_over = PassedOver()
    for name in names:
        passed_over.add(reason, name)
    return passed_over


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        *(("a.txt", ".txt"), ("/x.y/a.TXT", ".txt"), ("a", ""), ("x.y/a", ""), (".DS_Store", "")),
        *(("a.tar.gz", ".tar.gz"), ("a.b.json", ".json"), ("._a.jpg", ".jpg"), ("folder/", "")),
        *(("a.", ""), ("a.b c", ""), ("a." + "x" * 40, ""), ("a.\n", ""), ("a.é", ".é")),
    ],
    ids=itertools.count(),
)
def test_a_suffix_is_short_and_in_small_letters(name: str, suffix: str) -> None:
    assert find_suffix(name) == suffix


def test_counts_come_back_from_json_the_most_frequent_first() -> None:
    passed_over = merge_passed_over(
        [count("a.txt", "b.csv", "c.txt"), count("._a.jpg", reason=Reason.HIDDEN), PassedOver()]
    )
    assert passed_over.to_json() == [
        {"reason": "suffix", "suffix": ".txt", "count": 2},
        {"reason": "hidden", "suffix": ".jpg", "count": 1},
        {"reason": "suffix", "suffix": ".csv", "count": 1},
    ]
    assert PassedOver.from_json(passed_over.to_json()) == passed_over
    assert pickle.loads(pickle.dumps(passed_over)) == passed_over
    assert len(passed_over) == 4
    assert PassedOver.from_json([]) == PassedOver() == merge_passed_over([])
    assert not PassedOver()


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        ([], ""),
        ([(Reason.SUFFIX, "a.txt")] * 7, "7 .txt"),
        (
            [(Reason.SUFFIX, "a.txt"), (Reason.HIDDEN, "Thumbs.db"), (Reason.OWN_OUTPUT, "a.json")],
            "1 .txt, 1 hidden (._*, .DS_Store, __MACOSX, Thumbs.db), 1 own output",
        ),
        (
            [(Reason.SUFFIX, f"a.s{i}") for i in range(12)] + [(Reason.SUFFIX, "README")] * 2000,
            "1 .s0, 1 .s1, 1 .s10, 1 .s11, 1 .s2, 1 .s3, 1 .s4, 1 .s5, 2,000 without a suffix, "
            "4 of other suffixes",
        ),
        (
            [(Reason.LINKED_AGAIN, "x"), (Reason.BROKEN_LINK, "y"), (Reason.SPECIAL, "z")],
            "1 linked folders that are listed already, 1 links that lead nowhere, "
            "1 pipes, sockets or devices",
        ),
    ],
    ids=itertools.count(),
)
def test_a_sentence_says_what_was_left(reasons: list[tuple[Reason, str]], expected: str) -> None:
    passed_over = PassedOver()
    for reason, name in reasons:
        passed_over.add(reason, name)
    assert passed_over.describe() == expected


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_number_of_suffixes_stays_small_and_no_file_is_lost(seed: int) -> None:
    draw = random.Random(seed)
    parts = []
    for _ in range(5):
        names = [f"a.{draw.getrandbits(40):x}" for _ in range(3000)] + ["b.csv"] * 100
        draw.shuffle(names)
        parts.append(count(*names))
    total = merge_passed_over(parts)
    written = total.to_json()
    assert len(total) == 5 * 3100 == sum(each["count"] for each in written)
    assert len(written) <= 101
    assert len(pickle.dumps(total)) < 50_000
    by_suffix: dict[str, Any] = {each["suffix"]: each["count"] for each in written}
    assert by_suffix[".csv"] >= 400  # a frequent one is kept, but where it came too late
    assert "other" in by_suffix
