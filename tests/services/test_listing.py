"""Listing buckets: a page at a time, in the order of the keys, and no deeper than is asked."""

import itertools

import pytest

from imgcls_beam.errors import ConfigError
from imgcls_beam.listing import check_inputs, list_images
from imgcls_beam.listing.folders import list_files
from imgcls_beam.options import InputOptions
from tests.servers import BUCKET, Server

NAMES = (
    "a-b.png",  # before a/…: "-" comes before "/"
    "a/x.png",
    "a/y/deep [1].png",
    "a/y/z/deeper.png",
    "a/ü::x#1.png",
    "b/x.png",
    "b/x.txt",
    "b/what?.png",
    "b//double.png",
    "c[1].png",
    "emoji 😀.png",
    "z%25.png",
)


@pytest.fixture(scope="module")
def tree(server: Server) -> str:
    """Objects below a folder, with placeholders of folders beside them."""
    server.fill({f"tree/{name}": name.encode() for name in NAMES})
    server.fill({"tree/": b"", "tree/a/": b"", "tree/empty.png/": b""})
    return f"{server.root}/tree"


@pytest.fixture(scope="module")
def many(server: Server) -> str:
    """2,500 keys in one folder, two and a half pages, and one folder behind them."""
    server.fill({f"many/{number:04}.png": b"x" for number in range(2_500)})
    server.fill({"many/z/last.png": b"x"})
    return f"{server.root}/many"


def _list(url: str) -> list[str]:
    return [
        ref.uri.removeprefix(url.partition("/tree")[0])
        for ref in list_files("input", url, (".png",))
    ]


def _count_lists(server: Server) -> int:
    return sum(
        "list-type=2" in each or "maxResults" in each or "/o?" in each
        for each in server.take_asked()
    )


def test_a_folder_is_listed_in_the_order_of_the_keys_without_placeholders(tree: str) -> None:
    images = [name for name in NAMES if name.endswith(".png")]
    assert _list(tree) == [f"/tree/{name}" for name in sorted(images, key=str.encode)]
    assert _list(f"{tree}/") == _list(tree)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.png", ["a-b.png", "c[1].png", "emoji 😀.png", "z%25.png"]),
        ("*/*.png", ["a/x.png", "a/ü::x#1.png", "b/what?.png", "b/x.png"]),
        ("a/*/*.png", ["a/y/deep [1].png"]),
        ("*/y/z/deeper.png", ["a/y/z/deeper.png"]),
        ("[a-c]/x.*", ["a/x.png", "b/x.png", "b/x.txt"]),
        ("?/x.png", ["a/x.png", "b/x.png"]),
        ("**/x.png", ["a/x.png", "b/x.png"]),
        ("a/**", ["a/x.png", "a/y/deep [1].png", "a/y/z/deeper.png", "a/ü::x#1.png"]),
        ("a/y/**/*.png", ["a/y/deep [1].png", "a/y/z/deeper.png"]),
        ("c[1].png", ["c[1].png"]),
        ("b/what?.png", ["b/what?.png"]),
        ("a/ü::x#1.png", ["a/ü::x#1.png"]),
        ("nothing*.png", []),
    ],
)
def test_a_pattern_lists_what_it_matches(tree: str, pattern: str, expected: list[str]) -> None:
    assert _list(f"{tree}/{pattern}") == [f"/tree/{name}" for name in expected]


def test_a_pattern_may_stand_right_behind_the_bucket(server: Server) -> None:
    server.fill({"root-1.png": b"x", "root-2.png": b"x"})
    found = [ref.uri for ref in list_files("input", f"{server.root}/root-*.png", ())]
    assert found == [f"{server.root}/root-1.png", f"{server.root}/root-2.png"]


def test_a_pattern_without_double_stars_lists_no_deep_folder(server: Server, tree: str) -> None:
    server.take_asked()
    _list(f"{tree}/*/x.png")
    asked = server.take_asked()
    assert [each for each in asked if "prefix=tree/a/x.png" in each]
    assert not [each for each in asked if "tree/a/y/" in each]


def test_each_page_is_asked_for_once_and_only_when_it_is_needed(server: Server, many: str) -> None:
    server.take_asked()
    found = list_files("input", many, (".png",))
    assert [ref.uri for ref in itertools.islice(found, 1_000)][-1] == f"{many}/0999.png"
    first = _count_lists(server)
    assert next(found).uri == f"{many}/1000.png"
    assert _count_lists(server) == 1
    rest = list(found)
    assert _count_lists(server) == 1
    assert (len(rest), rest[-1].uri) == (1_500, f"{many}/z/last.png")
    assert first <= 2  # one of them asks whether it is a folder


@pytest.mark.parametrize("rest", ["", "/*.png", "/**", "/**/*.png"])
def test_the_check_before_a_run_asks_for_one_page(server: Server, many: str, rest: str) -> None:
    server.take_asked()
    check_inputs(InputOptions(inputs=(f"{many}{rest}",)))
    assert _count_lists(server) <= 3
    assert server.take_asked() == []


def test_a_bucket_is_a_folder(server: Server, tree: str) -> None:
    for url in (server.root, f"{server.root}/"):
        uris = {ref.uri for ref in list_files("input", url, (".png",))}
        assert f"{tree}/a/x.png" in uris


def test_what_is_listed_has_size_version_time_and_checksum(server: Server, tree: str) -> None:
    (ref,) = list_images(InputOptions(inputs=(f"{tree}/a/x.png",)))
    (listed, *_) = list_images(InputOptions(inputs=(f"{tree}/a",)))
    assert listed == ref  # whether it was looked up or listed
    assert (ref.uri, ref.size_bytes) == (f"{tree}/a/x.png", 7)
    assert ref.version
    assert ref.updated_at is not None
    assert ref.checksum == "md5:009bb06debeced8e7dd0f3c8ce596467"


@pytest.mark.parametrize(
    "url", ["{root}/not there", "{root}/tree/not*/there", "{scheme}://no-bucket-1"]
)
def test_what_is_not_there_is_refused(server: Server, tree: str, url: str) -> None:
    del tree
    with pytest.raises(ConfigError):
        check_inputs(InputOptions(inputs=(url.format(root=server.root, scheme=server.scheme),)))


def test_a_pattern_for_buckets_is_refused(server: Server) -> None:
    with pytest.raises(ConfigError, match="a bucket is named in full"):
        list(list_files("input", f"{server.scheme}://{BUCKET[:-1]}*/tree/*.png", ()))
