import threading

import pytest

from imgcls_beam.stores.at_once import AT_ONCE, run_at_once

_PATIENCE_S = 60.0


@pytest.mark.parametrize("at_once", [1, AT_ONCE])
@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_results_come_in_the_order_of_the_items(count: int, at_once: int) -> None:
    assert run_at_once(str, range(count), at_once) == [str(i) for i in range(count)]


def test_thirty_two_go_on_at_once() -> None:
    """Each waits for 31 others, so fewer would wait for ever."""
    together = threading.Barrier(AT_ONCE)
    run_at_once(lambda _: together.wait(_PATIENCE_S), range(3 * AT_ONCE))
    assert AT_ONCE == 32


def test_two_who_ask_share_the_thirty_two() -> None:
    lock, running, most = threading.Lock(), 0, 0
    together = threading.Barrier(AT_ONCE)

    def operate(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(_PATIENCE_S)
        with lock:
            running -= 1

    askers = [
        threading.Thread(target=run_at_once, args=(operate, range(2 * AT_ONCE))) for _ in range(2)
    ]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert most == AT_ONCE


def test_one_at_a_time_is_done_in_this_thread() -> None:
    threads = run_at_once(lambda _: threading.get_ident(), range(5), 1)
    assert set(threads) == {threading.get_ident()}


def test_after_a_failure_nothing_is_begun_and_nothing_goes_on() -> None:
    begun, running = [], []
    release = threading.Event()

    def operate(item: int) -> None:
        begun.append(item)
        if item == 0:
            release.set()
            raise FileNotFoundError("gone")
        running.append(item)
        release.wait(_PATIENCE_S)
        running.remove(item)

    with pytest.raises(FileNotFoundError, match="gone"):
        run_at_once(operate, range(10_000))
    assert running == []
    assert len(begun) < 10_000


def test_an_interrupt_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("concurrent.futures.wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_at_once(lambda item: begun.append(item) or threading.Event().wait(0.001), range(10_000))
    assert len(begun) < 10_000
