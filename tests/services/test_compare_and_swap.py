"""Compare-and-swap on real servers: one of many wins, and no answer that is lost loses."""

import concurrent.futures
import threading

import pytest

from imgcls_beam.stores import Folder, open_parent
from tests import by_url
from tests.servers import Server

_RACERS = 20


@pytest.fixture
def url(server: Server, request: pytest.FixtureRequest) -> str:
    return f"{server.root}/{request.node.name}/runs/run 1#a?b.json"


def race(url: str, etag: str | None, name: str = "racer") -> list[int]:
    """Who of 20 wrote."""
    start = threading.Barrier(_RACERS)

    def swap(racer: int) -> bool:
        start.wait()
        try:
            by_url.swap(url, f"{name} {racer}".encode(), etag)
        except FileExistsError:
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(_RACERS) as pool:
        won = list(pool.map(swap, range(_RACERS)))
    return [racer for racer, has_won in enumerate(won) if has_won]


def test_one_of_twenty_creates_a_file(url: str) -> None:
    (winner,) = race(url, None)
    assert by_url.read_with_etag(url)[0] == f"racer {winner}".encode()


def test_one_of_twenty_replaces_a_file(url: str) -> None:
    by_url.swap(url, b"old", None)
    _, etag = by_url.read_with_etag(url)
    (winner,) = race(url, etag)
    data, other_etag = by_url.read_with_etag(url)
    assert data == f"racer {winner}".encode()
    assert other_etag != etag
    assert race(url, etag, "late") == []


def test_a_file_that_is_gone_cannot_be_replaced(url: str) -> None:
    by_url.swap(url, b"old", None)
    _, etag = by_url.read_with_etag(url)
    by_url.remove_files([url])
    with pytest.raises(FileExistsError):
        by_url.swap(url, b"new", etag)
    with pytest.raises(FileNotFoundError):
        by_url.read_with_etag(url)


@pytest.mark.parametrize("is_there", [False, True])
def test_a_write_whose_answer_is_lost_is_no_loss(url: str, server: Server, is_there: bool) -> None:
    etag = None
    if is_there:
        by_url.swap(url, b"old", None)
        _, etag = by_url.read_with_etag(url)
    server.take_asked()
    server.lose_answers("^(PUT|POST) ")
    by_url.swap(url, b"new", etag)
    writes = [asked for asked in server.take_asked() if asked.startswith(("PUT", "POST"))]
    assert len(writes) == 2  # the second was refused
    assert by_url.read_with_etag(url)[0] == b"new"


def test_a_new_file_whose_answer_is_lost_is_no_loss(url: str, server: Server) -> None:
    server.lose_answers("^(PUT|POST) ")
    by_url.swap(url, b"new", None)
    with pytest.raises(FileExistsError):
        by_url.swap(url, b"other", None)


def test_a_file_is_moved_by_the_store_itself(url: str, server: Server) -> None:
    data = bytes(range(256)) * 4_096
    by_url.write_file(url, data)
    target = f"{url} [1].moved"
    folder, name = open_parent("output", url)
    server.take_asked()
    folder.move(name, f"{name} [1].moved")
    downloads = [
        each for each in server.take_asked() if each.startswith("GET") and "list-type" not in each
    ]
    assert not [each for each in downloads if "/download/" in each or server.scheme == "s3"]
    assert by_url.find_size(url) is None
    assert by_url.read_with_etag(target)[0] == data


def race_to_move(url: str, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Who of ten moved a file there; all have seen that there is nothing before one writes."""
    folder, name = open_parent("output", url)
    for racer in range(10):
        folder.write(f"{name}.{racer}", f"racer {racer}".encode())
    start, find_size = threading.Barrier(10), Folder.find_size

    def look_and_wait(self: Folder, asked: str) -> int | None:
        size_bytes = find_size(self, asked)
        if asked == name:
            start.wait()
        return size_bytes

    def move(racer: int) -> bool:
        try:
            folder.move_new(f"{name}.{racer}", name)
        except FileExistsError:
            return False
        return True

    with monkeypatch.context() as patch, concurrent.futures.ThreadPoolExecutor(10) as pool:
        patch.setattr(Folder, "find_size", look_and_wait)
        won = list(pool.map(move, range(10)))
    return [racer for racer, has_won in enumerate(won) if has_won]


def test_one_of_ten_moves_a_file_to_a_new_place(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (winner,) = race_to_move(url, monkeypatch)
    assert by_url.read_with_etag(url)[0] == f"racer {winner}".encode()
    folder, name = open_parent("output", url)
    left = [each for each in folder.list_names() if each.startswith(f"{name}.")]
    assert len(left) == 9  # the losers' own


def test_nothing_is_moved_over_a_file(url: str) -> None:
    folder, name = open_parent("output", url)
    folder.write(name, b"there")
    folder.write(f"{name}.new", b"new")
    with pytest.raises(FileExistsError):
        folder.move_new(f"{name}.new", name)
    assert by_url.read_with_etag(url)[0] == b"there"
    with pytest.raises(FileNotFoundError):
        folder.move_new(f"{name}.none", f"{name}.other")
