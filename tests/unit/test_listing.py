"""What an input names, in which order, and what is known of it."""

import datetime
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from imgcls_beam.elements import ImageRef
from imgcls_beam.listing import list_images, uri_digest
from imgcls_beam.options import InputOptions
from imgcls_beam.suffixes import IMAGE_SUFFIXES

TREE = (
    *("a.jpg", "B.JPG", "c.png", "notes.txt", "noext", ".hidden.jpg", "a[1].jpg", "what?.jpg"),
    *("day1/d.jpg", "day1/e.webp", "day1/raw/f.jpg", "day2/g.jpg", ".trash/h.jpg", "star*/i.jpg"),
)
IMAGES = sorted(name for name in TREE if name.lower().endswith((".jpg", ".png", ".webp")))


def write_tree(root: pathlib.Path, names: tuple[str, ...] = TREE) -> pathlib.Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode("utf-8", "surrogateescape"))
    return root


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    return write_tree(tmp_path / "tree")


@pytest.fixture
def bucket() -> Iterator[MemoryFileSystem]:
    """An object store of its own, empty before and after."""
    store = fsspec.filesystem("memory")
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    yield store
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


def list_names(root: pathlib.Path, *inputs: str, **options: Any) -> list[str]:
    """Names below the root, in the order of listing."""
    refs = list_images(InputOptions(tuple(f"{root}/{each}" for each in inputs), **options))
    return [ref.uri.removeprefix(f"file://{root}/") for ref in refs]


def test_a_folder_gives_the_images_below_it_hidden_ones_too(tree: pathlib.Path) -> None:
    assert sorted(list_names(tree, "")) == IMAGES
    assert len(IMAGES) == len(TREE) - 2


def test_a_folder_is_searched_by_suffix_in_any_case(tmp_path: pathlib.Path) -> None:
    images = [f"x{suffix}" for suffix in IMAGE_SUFFIXES]
    others = ["jpg", "x.jpg.part", "x.tar.gz", "x.zip", "x.ico", "x.svg"]
    write_tree(tmp_path, (*images, "y.JPEG", "z.TiFf", *others))
    assert sorted(list_names(tmp_path, "")) == sorted([*images, "y.JPEG", "z.TiFf"])


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("notes.txt", ["notes.txt"]),
        ("day1", ["day1/d.jpg", "day1/e.webp", "day1/raw/f.jpg"]),
        ("day1/", ["day1/d.jpg", "day1/e.webp", "day1/raw/f.jpg"]),
        ("*.png", ["c.png"]),
        ("?.jpg", ["a.jpg"]),
        ("[b-c].*", ["c.png"]),
        ("[!a].*", ["B.JPG", "c.png"]),
        ("day?/*.jpg", ["day1/d.jpg", "day2/g.jpg"]),
        ("day*/*/*", ["day1/raw/f.jpg"]),
        ("day1/**", ["day1/d.jpg", "day1/e.webp", "day1/raw/f.jpg"]),
        ("**/f.jpg", ["day1/raw/f.jpg"]),
        ("**/*.jpg", [name for name in IMAGES if name.endswith(".jpg")]),
        ("n*", ["noext", "notes.txt"]),
        ("a[1].jpg", ["a[1].jpg"]),
        ("what?.jpg", ["what?.jpg"]),
        ("star*", ["star*/i.jpg"]),
        ("*.gif", []),
        ("[b-a].jpg", []),
        ("[.jpg", []),
    ],
)
def test_a_pattern_takes_what_it_names(
    tree: pathlib.Path, pattern: str, expected: list[str]
) -> None:
    assert sorted(list_names(tree, pattern)) == expected


def test_the_order_is_that_of_the_names_whatever_the_disk_says(tmp_path: pathlib.Path) -> None:
    names = tuple(f"{letter}/{number}.jpg" for letter in "cab" for number in (2, 0, 1))
    write_tree(tmp_path, names)
    assert list_names(tmp_path, "") == sorted(names)
    assert list_names(tmp_path, "**") == sorted(names)
    assert list_names(tmp_path, "b", "a/0.jpg") == ["b/0.jpg", "b/1.jpg", "b/2.jpg", "a/0.jpg"]


def test_links_to_files_are_followed_and_links_that_lead_back_are_not(tree: pathlib.Path) -> None:
    (tree / "again.jpg").symlink_to(tree / "a.jpg")
    (tree / "day1/loop").symlink_to(tree)
    (tree / "day0").symlink_to(tree / "day2")
    (tree / "gone.jpg").symlink_to(tree / "nowhere.jpg")
    (tree / "round.jpg").symlink_to(tree / "round.jpg")
    assert sorted(list_names(tree, "")) == sorted([*IMAGES, "again.jpg"])
    assert sorted(list_names(tree, "**")) == sorted([*TREE, "again.jpg"])


def test_a_link_has_the_size_and_time_of_what_it_leads_to(tree: pathlib.Path) -> None:
    os.utime(tree / "a.jpg", (1_000_000_000, 1_000_000_000))
    (tree / "day2/link.jpg").symlink_to(tree / "a.jpg")
    link = list(list_images(InputOptions((str(tree / "day2"),))))[1]
    assert link.size_bytes == len("a.jpg")
    assert link.updated_at == datetime.datetime(2001, 9, 9, 1, 46, 40, tzinfo=datetime.UTC)


def test_a_link_that_is_given_by_name_is_followed(tree: pathlib.Path) -> None:
    (tree / "link").symlink_to(tree / "day2")
    assert list_names(tree, "link") == list_names(tree, "link/*.jpg") == ["link/g.jpg"]


@pytest.mark.parametrize("name", [b"new\nline.jpg", "🐈.jpg".encode(), b"lone\xff.jpg", b"%41.jpg"])
def test_any_name_that_a_disk_allows_is_listed_and_found_again(
    tmp_path: pathlib.Path, name: bytes
) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(b"x")
    (ref,) = list_images(InputOptions((str(tmp_path),), sample_ratio=1 - 1e-15, limit=1))
    assert ref.uri == f"file://{path}"
    assert len(uri_digest(ref.uri)) == 16


def test_a_ref_says_when_and_how_large_its_object_was(tree: pathlib.Path) -> None:
    os.utime(tree / "a.jpg", (1_700_000_000.25, 1_700_000_000.25))
    (ref,) = list_images(InputOptions((str(tree / "a.jpg"),)))
    when = datetime.datetime(2023, 11, 14, 22, 13, 20, 250_000, tzinfo=datetime.UTC)
    version = "2023-11-14T22:13:20.250000+00:00"
    assert ref == ImageRef(f"file://{tree}/a.jpg", version, size_bytes=5, updated_at=when)


def test_the_first_second_of_1970_is_a_time_too(tree: pathlib.Path) -> None:
    os.utime(tree / "a.jpg", (0, 0))
    (ref,) = list_images(InputOptions((str(tree / "a.jpg"),)))
    assert ref.version == "1970-01-01T00:00:00.000000+00:00"


@pytest.mark.parametrize(
    ("more", "version", "year"),
    [
        ({"generation": "17", "etag": "x", "updated": "2024-05-01T00:00:00.5Z"}, "17", 2024),
        ({"ETag": '"abc"', "LastModified": datetime.datetime(2025, 1, 1)}, "abc", 2025),
        ({"etag": "", "mtime": 1e9}, "2001-09-09T01:46:40.000000+00:00", 2001),
        ({"mtime": 1e12}, None, None),
        ({"updated": "yesterday"}, None, None),
        ({"mtime": float("nan")}, None, None),
        ({}, None, None),
    ],
)
def test_the_version_is_the_stores_own_mark_else_its_time(
    bucket: MemoryFileSystem,
    monkeypatch: pytest.MonkeyPatch,
    more: dict[str, Any],
    version: str | None,
    year: int | None,
) -> None:
    bare = {"name": "/b/a.jpg", "size": None, "type": "file"}
    monkeypatch.setattr(MemoryFileSystem, "info", lambda self, path: {**bare, **more})
    (ref,) = list_images(InputOptions(("memory://b/a.jpg",)))
    assert (ref.version, ref.size_bytes) == (version, None)
    assert (ref.updated_at and (ref.updated_at.year, ref.updated_at.tzinfo)) == (
        year and (year, datetime.UTC)
    )


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("memory://b", ["b/1.jpg", "b/c/2.png"]),
        ("memory://b/c/2.png", ["b/c/2.png"]),
        ("memory://b/*", ["b/1.jpg", "b/x.txt"]),
        ("memory://*/*.jpg", ["b/1.jpg"]),
        ("MEMORY://b/**", ["b/1.jpg", "b/c/2.png", "b/x.txt"]),
    ],
)
def test_an_object_store_is_listed_like_a_disk(
    bucket: MemoryFileSystem, pattern: str, expected: list[str]
) -> None:
    for name in ("b/1.jpg", "b/c/2.png", "b/x.txt"):
        bucket.pipe(f"memory://{name}", b"xyz")
    refs = list(list_images(InputOptions((pattern,))))
    assert [ref.uri for ref in refs] == [f"memory:///{name}" for name in expected]
    assert {ref.size_bytes for ref in refs} == {3}
    assert all(ref.version and ref.updated_at for ref in refs)


def test_a_limit_counts_distinct_images_and_lists_no_further(tree: pathlib.Path) -> None:
    assert list_names(tree, "day1", "day1/**", "day2", limit=4) == [
        *("day1/d.jpg", "day1/e.webp", "day1/raw/f.jpg", "day2/g.jpg")
    ]
    assert list_names(tree, "day2", "not/there", limit=1) == ["day2/g.jpg"]
    assert len(list_names(tree, "", limit=1000)) == len(IMAGES)


def test_without_a_limit_an_image_comes_as_often_as_it_is_named(tree: pathlib.Path) -> None:
    assert list_names(tree, "day2", "day2/*.jpg") == ["day2/g.jpg"] * 2


def test_a_sample_is_the_same_each_time_and_holds_every_smaller_one(
    bucket: MemoryFileSystem,
) -> None:
    for index in range(2000):
        bucket.pipe(f"memory://b/{index:05d}.jpg", b"x")
    samples = [
        [ref.uri for ref in list_images(InputOptions(("memory://b",), sample_ratio=ratio))]
        for ratio in (0.05, 0.25, 0.5, 0.5, 1.0)
    ]
    assert samples[2] == samples[3]
    assert set(samples[0]) < set(samples[1]) < set(samples[2]) < set(samples[4])
    assert len(samples[2]) == pytest.approx(1000, rel=0.1)
    assert len(samples[4]) == 2000
