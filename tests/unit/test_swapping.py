"""Compare-and-swap on a local disk and on a store that has no such thing."""

import concurrent.futures
import multiprocessing
import pathlib
import uuid

import pytest

from imgcls_beam.sinks import store
from imgcls_beam.sinks.swapping import read_marked, swap_file

_RACERS = 20


@pytest.fixture(params=["disk", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> str:
    memory = f"memory://swapping/{uuid.uuid4().hex}/run.json"
    return str(tmp_path / "runs" / "run [1].json") if request.param == "disk" else memory


def _swap(url: str, mark: str | None, racer: str) -> bool:
    scratch = f"{pathlib.Path(url).parent.parent}/scratch/{racer}"
    try:
        with store.hold_lock(f"{url}.lock"):
            swap_file(url, f"racer {racer}".encode(), mark, scratch)
    except FileExistsError:
        return False
    return True


def test_what_was_marked_is_replaced_and_nothing_else(url: str, tmp_path: pathlib.Path) -> None:
    scratch = str(tmp_path / "scratch")
    with pytest.raises(FileNotFoundError):
        read_marked(url)
    swap_file(url, b"one", None, scratch)
    data, first = read_marked(url)
    assert data == b"one"
    swap_file(url, b"two", first, scratch)
    data, second = read_marked(url)
    assert data == b"two"
    for mark in (None, first, "of nothing"):
        with pytest.raises(FileExistsError):
            swap_file(url, b"three", mark, scratch)
    store.remove_files([url])
    with pytest.raises(FileExistsError):
        swap_file(url, b"three", second, scratch)
    with pytest.raises(FileNotFoundError):
        read_marked(url)


def test_a_swap_that_is_repeated_with_its_own_bytes_is_done(
    url: str, tmp_path: pathlib.Path
) -> None:
    scratch = str(tmp_path / "scratch")
    swap_file(url, b"one", None, scratch)
    _, mark = read_marked(url)
    swap_file(url, b"one", None, scratch)
    swap_file(url, b"two", mark, scratch)
    swap_file(url, b"two", mark, scratch)
    assert read_marked(url)[0] == b"two"


@pytest.mark.parametrize("is_there", [False, True])
def test_one_of_twenty_threads_wins_on_a_disk(tmp_path: pathlib.Path, is_there: bool) -> None:
    url = str(tmp_path / "runs" / "run.json")
    mark = _put_old(url, tmp_path) if is_there else None
    with concurrent.futures.ThreadPoolExecutor(_RACERS) as pool:
        won = list(pool.map(lambda racer: _swap(url, mark, str(racer)), range(_RACERS)))
    assert won.count(True) == 1
    assert read_marked(url)[0] == f"racer {won.index(True)}".encode()


@pytest.mark.slow
def test_one_of_four_processes_wins_on_a_disk(tmp_path: pathlib.Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        for turn in range(20):
            url = str(tmp_path / f"{turn}" / "runs" / "run.json")
            mark = _put_old(url, tmp_path) if turn % 2 else None
            won = pool.starmap(_swap, [(url, mark, str(racer)) for racer in range(4)], chunksize=1)
            assert won.count(True) == 1
            assert read_marked(url)[0] == f"racer {won.index(True)}".encode()


def _put_old(url: str, folder: pathlib.Path) -> str:
    swap_file(url, b"old", None, str(folder / "old"))
    return read_marked(url)[1]
