"""The board: what a process counts, and what others read of it."""

import os
import pathlib
import subprocess
import sys
import threading

import pytest

from imgcls_beam.board import BOARD, Board, Progress, add_progress, follow_boards
from imgcls_beam.errors import Stage

ROOT = pathlib.Path(__file__).parents[2]
WORKER = """
import sys
from imgcls_beam.board import BOARD
from imgcls_beam.errors import Stage
with BOARD.held(Stage.READ):
    BOARD.add(ok=3, error=1)
    sys.stdout.write("here\\n")
    sys.stdout.flush()
    sys.stdin.read()
"""


def test_threads_count_on_one_board() -> None:
    board = Board()
    threads = [threading.Thread(target=_count, args=(board,)) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (board.read().listed, board.read().ok, board.read().error) == (8000, 8000, 0)
    assert board.read().classified_s >= 0
    board.reset()
    assert board.read() == Progress()


def _count(board: Board) -> None:
    for _ in range(1000):
        board.add(listed=1, ok=1)


def test_a_count_that_is_not_known_is_refused() -> None:
    with pytest.raises(KeyError):
        Board().add(okay=1)


def test_what_holds_a_thread_up_now_counts_so_far() -> None:
    board = Board()
    with board.held(Stage.READ):
        during = board.read()
    with pytest.raises(ValueError, match="x"), board.held(Stage.SINK):
        raise ValueError("x")
    after = board.read()
    assert set(during.held_s) == {"read"}
    assert set(after.held_s) == {"read", "sink"}
    assert after.held_s["read"] >= during.held_s["read"] >= 0
    assert after.longest_s == after.held_s
    assert board.read() == after  # nothing runs any more


def test_boards_are_added_up_and_the_longest_time_is_that_of_one() -> None:
    one = Progress(9, 2, 1, 4, 1, {"read": 2.0}, {"read": 1.5})
    other = Progress(1, 1, 0, 0, 0, {"read": 1.0, "sink": 3.0}, {"read": 0.5, "sink": 3.0})
    total = add_progress([one, other])
    assert total == Progress(10, 3, 1, 4, 1, {"read": 3, "sink": 3}, {"read": 1.5, "sink": 3})
    assert total.done == 4
    assert add_progress([]) == Progress()


def test_processes_that_are_started_meanwhile_are_read_too() -> None:
    with follow_boards(several=True) as read:
        BOARD.add(listed=7)
        workers = [_start() for _ in range(2)]
        for each in workers:
            assert each.stdout is not None
            assert each.stdout.readline() == "here\n"
        while read().ok < 6:
            pass
        seen = read()
        for each in workers:
            each.communicate("")
    assert (seen.listed, seen.ok, seen.error) == (7, 6, 2)
    assert seen.held_s["read"] >= 0
    assert "IMGCLS_PROGRESS" not in os.environ
    with follow_boards(several=False) as read:
        assert read() == Progress()


def _start() -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WORKER],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
