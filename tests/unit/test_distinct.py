"""A set that grows on disk, and listing that drops duplicates with it."""

import hashlib
import pathlib
import random
import tempfile
from collections.abc import Iterator

import pytest

from imgcls_beam.elements import ImageRef
from imgcls_beam.listing import list_distinct, list_images
from imgcls_beam.listing.on_disk import Distinct
from imgcls_beam.options import InputOptions, ManifestOptions

IN_MEMORY = 1 << 14


@pytest.fixture(autouse=True)
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pathlib.Path]:
    """Where temporary files go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def make_digests(count: int) -> list[bytes]:
    return [
        hashlib.blake2b(number.to_bytes(8, "big"), digest_size=16).digest()
        for number in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, IN_MEMORY, IN_MEMORY + 1, 2 * IN_MEMORY + 7])
def test_it_says_what_a_set_in_memory_would_say(count: int) -> None:
    digests = make_digests(count) * 2
    random.Random(5).shuffle(digests)
    known: set[bytes] = set()
    with Distinct() as distinct:
        for digest in digests:
            assert distinct.add(digest) == (digest not in known)
            known.add(digest)
    assert len(known) == count


def test_a_small_set_makes_no_file_and_a_large_one_does(folder: pathlib.Path) -> None:
    with Distinct() as distinct:
        for digest in make_digests(IN_MEMORY):
            distinct.add(digest)
        assert list(folder.iterdir()) == []
        distinct.add(b"x" * 16)
        assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_the_file_goes_on_an_error_too(error: type[BaseException], folder: pathlib.Path) -> None:
    with pytest.raises(error), Distinct() as distinct:
        for digest in make_digests(IN_MEMORY + 1):
            distinct.add(digest)
        assert len(list(folder.iterdir())) == 1
        raise error


def write_list(path: pathlib.Path, count: int) -> InputOptions:
    path.write_text("".join(f"{number % count}.jpg\n" for number in range(2 * count)))
    return InputOptions(manifest=ManifestOptions(str(path)))


@pytest.mark.slow
def test_listing_drops_duplicates_and_keeps_the_order(tmp_path: pathlib.Path) -> None:
    count = IN_MEMORY + 100
    options = write_list(tmp_path / "m.txt", count)
    uris = [each.uri for each in list_distinct(options) if isinstance(each, ImageRef)]
    assert uris == [f"file://{tmp_path}/{number}.jpg" for number in range(count)]
    assert sum(1 for _ in list_images(options)) == 2 * count


def test_a_listing_that_is_left_halfway_leaves_nothing(
    tmp_path: pathlib.Path, folder: pathlib.Path
) -> None:
    listed = list_distinct(write_list(tmp_path / "m.txt", IN_MEMORY + 100))
    for _ in range(IN_MEMORY + 50):
        next(listed)
    assert len(list(folder.iterdir())) == 1
    listed.close()  # type: ignore[attr-defined]  # it is a generator
