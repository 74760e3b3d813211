"""Compare-and-swap on a local disk and on a store that has no such thing."""

import concurrent.futures
import multiprocessing
import pathlib
import uuid

import pytest

from imgcls_beam.stores import open_parent
from tests import by_url

_RACERS = 20


@pytest.fixture(params=["disk", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> str:
    memory = f"memory://swapping/{uuid.uuid4().hex}/run.json"
    return str(tmp_path / "runs" / "run [1].json") if request.param == "disk" else memory


def _swap(url: str, etag: str | None, racer: str) -> bool:
    folder, name = open_parent("output", url)
    try:
        with folder.hold_lock(f"{name}.lock"):
            folder.swap(name, f"racer {racer}".encode(), etag, f"scratch/{racer}")
    except FileExistsError:
        return False
    return True


def test_the_expected_content_is_replaced_and_nothing_else(url: str) -> None:
    with pytest.raises(FileNotFoundError):
        by_url.read_with_etag(url)
    by_url.swap(url, b"one", None)
    data, first = by_url.read_with_etag(url)
    assert data == b"one"
    by_url.swap(url, b"two", first)
    data, second = by_url.read_with_etag(url)
    assert data == b"two"
    for etag in (None, first, "of nothing"):
        with pytest.raises(FileExistsError):
            by_url.swap(url, b"three", etag)
    by_url.remove_files([url])
    with pytest.raises(FileExistsError):
        by_url.swap(url, b"three", second)
    with pytest.raises(FileNotFoundError):
        by_url.read_with_etag(url)


def test_a_swap_that_is_repeated_with_its_own_bytes_is_done(url: str) -> None:
    by_url.swap(url, b"one", None)
    _, etag = by_url.read_with_etag(url)
    by_url.swap(url, b"one", None)
    by_url.swap(url, b"two", etag)
    by_url.swap(url, b"two", etag)
    assert by_url.read_with_etag(url)[0] == b"two"


@pytest.mark.parametrize("is_there", [False, True])
def test_one_of_twenty_threads_wins_on_a_disk(tmp_path: pathlib.Path, is_there: bool) -> None:
    url = str(tmp_path / "runs" / "run.json")
    etag = _put_old(url) if is_there else None
    with concurrent.futures.ThreadPoolExecutor(_RACERS) as pool:
        won = list(pool.map(lambda racer: _swap(url, etag, str(racer)), range(_RACERS)))
    assert won.count(True) == 1
    assert by_url.read_with_etag(url)[0] == f"racer {won.index(True)}".encode()


@pytest.mark.slow
def test_one_of_four_processes_wins_on_a_disk(tmp_path: pathlib.Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        for turn in range(20):
            url = str(tmp_path / f"{turn}" / "runs" / "run.json")
            etag = _put_old(url) if turn % 2 else None
            won = pool.starmap(_swap, [(url, etag, str(racer)) for racer in range(4)], chunksize=1)
            assert won.count(True) == 1
            assert by_url.read_with_etag(url)[0] == f"racer {won.index(True)}".encode()


def _put_old(url: str) -> str:
    by_url.swap(url, b"old", None)
    return by_url.read_with_etag(url)[1]
