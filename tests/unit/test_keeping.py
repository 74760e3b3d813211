"""What is kept of a model is there as a whole, or not at all."""

import concurrent.futures
import json
import pathlib
from typing import Any

import pytest

from imgcls_beam.models.keeping import find_kept, keep

KEY = {"model": "m@1", "sizes": (1, 2), "none": None}
FACTS = {"labels": ["a", "b"], "rate": 1.5}


@pytest.fixture(autouse=True)
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(folder: pathlib.Path) -> None:
    (folder / "weights.bin").write_bytes(b"12345")


def test_what_was_kept_is_found_under_its_key_and_kind_alone() -> None:
    assert find_kept("engine", KEY) is None
    kept = keep("engine", KEY, FACTS, write)
    assert kept is not None and kept.facts == FACTS
    found = find_kept("engine", {**KEY, "sizes": [1, 2]})
    assert found == kept
    assert (found.folder / "weights.bin").read_bytes() == b"12345"
    assert find_kept("other", KEY) is None
    assert find_kept("engine", {**KEY, "model": "m@2"}) is None


def damage_weights(place: pathlib.Path) -> None:
    (place / "weights.bin").write_bytes(b"12354")


def remove_weights(place: pathlib.Path) -> None:
    (place / "weights.bin").unlink()


def change_facts(place: pathlib.Path) -> None:
    path = place / "facts.json"
    path.write_text(path.read_text().replace("1.5", "2.5"))


def cut_facts(place: pathlib.Path) -> None:
    path = place / "facts.json"
    path.write_text(path.read_text()[:40])


def take_facts_of_another_key(place: pathlib.Path) -> None:
    other = keep("engine", {"model": "other"}, FACTS, write)
    assert other is not None
    (place / "facts.json").write_bytes((other.folder / "facts.json").read_bytes())


def write_other_json(place: pathlib.Path) -> None:
    (place / "facts.json").write_text(json.dumps([1]))


@pytest.mark.parametrize(
    "spoil",
    [
        *(damage_weights, remove_weights, change_facts, cut_facts, take_facts_of_another_key),
        write_other_json,
    ],
)
def test_what_is_damaged_or_foreign_is_not_found_and_is_made_anew(spoil: Any) -> None:
    kept = keep("engine", KEY, FACTS, write)
    assert kept is not None
    spoil(kept.folder)
    assert find_kept("engine", KEY) is None
    again = keep("engine", KEY, FACTS, write)
    assert again is not None and again == find_kept("engine", KEY)
    assert (again.folder / "weights.bin").read_bytes() == b"12345"


def test_of_many_that_keep_the_same_all_find_it_and_nothing_is_left_over(
    folder: pathlib.Path,
) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(lambda _: keep("engine", KEY, FACTS, write), range(16)))
    assert all(each is not None and each.facts == FACTS for each in kept)
    assert [each.name for each in folder.iterdir()] == [kept[0].folder.name if kept[0] else ""]


def test_a_write_that_fails_leaves_nothing(folder: pathlib.Path) -> None:
    def fail(place: pathlib.Path) -> None:
        write(place)
        raise OSError("no space left")

    assert keep("engine", KEY, FACTS, fail) is None
    assert find_kept("engine", KEY) is None
    assert list(folder.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_done_without(folder: pathlib.Path) -> None:
    folder.write_text("a file where the folder would be")
    assert keep("engine", KEY, FACTS, write) is None
    assert find_kept("engine", KEY) is None
