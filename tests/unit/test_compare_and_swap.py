"""Compare-and-swap on a local disk and on a store that has no such thing."""

import concurrent.futures
import multiprocessing
import pathlib
import uuid

import pytest

from imgcls_beam.stores import file_operations
from imgcls_beam.stores.compare_and_swap import compare_and_swap, read_with_etag
from imgcls_beam.stores.disk_lock import hold_lock

_RACERS = 20


@pytest.fixture(params=["disk", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> str:
    memory = f"memory://swapping/{uuid.uuid4().hex}/run.json"
    return str(tmp_path / "runs" / "run [1].json") if request.param == "disk" else memory


def _swap(url: str, etag: str | None, racer: str) -> bool:
    scratch = f"{pathlib.Path(url).parent.parent}/scratch/{racer}"
    try:
        with hold_lock(f"{url}.lock"):
            compare_and_swap(url, f"racer {racer}".encode(), etag, scratch)
    except FileExistsError:
        return False
    return True


def test_the_expected_content_is_replaced_and_nothing_else(
    url: str, tmp_path: pathlib.Path
) -> None:
    scratch = str(tmp_path / "scratch")
    with pytest.raises(FileNotFoundError):
        read_with_etag(url)
    compare_and_swap(url, b"one", None, scratch)
    data, first = read_with_etag(url)
    assert data == b"one"
    compare_and_swap(url, b"two", first, scratch)
    data, second = read_with_etag(url)
    assert data == b"two"
    for etag in (None, first, "of nothing"):
        with pytest.raises(FileExistsError):
            compare_and_swap(url, b"three", etag, scratch)
    file_operations.remove_files([url])
    with pytest.raises(FileExistsError):
        compare_and_swap(url, b"three", second, scratch)
    with pytest.raises(FileNotFoundError):
        read_with_etag(url)


def test_a_swap_that_is_repeated_with_its_own_bytes_is_done(
    url: str, tmp_path: pathlib.Path
) -> None:
    scratch = str(tmp_path / "scratch")
    compare_and_swap(url, b"one", None, scratch)
    _, etag = read_with_etag(url)
    compare_and_swap(url, b"one", None, scratch)
    compare_and_swap(url, b"two", etag, scratch)
    compare_and_swap(url, b"two", etag, scratch)
    assert read_with_etag(url)[0] == b"two"


@pytest.mark.parametrize("is_there", [False, True])
def test_one_of_twenty_threads_wins_on_a_disk(tmp_path: pathlib.Path, is_there: bool) -> None:
    url = str(tmp_path / "runs" / "run.json")
    etag = _put_old(url, tmp_path) if is_there else None
    with concurrent.futures.ThreadPoolExecutor(_RACERS) as pool:
        won = list(pool.map(lambda racer: _swap(url, etag, str(racer)), range(_RACERS)))
    assert won.count(True) == 1
    assert read_with_etag(url)[0] == f"racer {won.index(True)}".encode()


@pytest.mark.slow
def test_one_of_four_processes_wins_on_a_disk(tmp_path: pathlib.Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        for turn in range(20):
            url = str(tmp_path / f"{turn}" / "runs" / "run.json")
            etag = _put_old(url, tmp_path) if turn % 2 else None
            won = pool.starmap(_swap, [(url, etag, str(racer)) for racer in range(4)], chunksize=1)
            assert won.count(True) == 1
            assert read_with_etag(url)[0] == f"racer {won.index(True)}".encode()


def _put_old(url: str, folder: pathlib.Path) -> str:
    compare_and_swap(url, b"old", None, str(folder / "old"))
    return read_with_etag(url)[1]
