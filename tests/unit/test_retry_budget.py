"""What a process may try again, and the requests that wait for it."""

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine

import pytest

from imgcls_beam.stores import Patience, patience
from imgcls_beam.stores.patience import RetryBudget, default_patience


class Clock:
    """Stands still unless somebody sleeps by it."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, wait_s: float) -> None:
        self.now_s += wait_s


def test_a_budget_grows_with_answers_and_with_time_up_to_its_most() -> None:
    clock = Clock()
    budget = RetryBudget(10, clock)
    assert budget.take(4) == 4
    assert budget.take(1_000_000) == 6
    assert budget.take(1) == 0
    budget.give_back(3)
    clock.sleep(0.5)  # two more: four a second
    assert budget.take(1_000_000) == 5
    clock.sleep(0.2)
    assert budget.take(1) == 0
    clock.sleep(0.1)
    assert budget.take(1) == 1
    clock.sleep(3600.0)
    budget.give_back(3)
    assert budget.take(1_000_000) == 10


@pytest.mark.parametrize(("left_s", "is_taken"), [(0.0, False), (-1.0, False), (1.0, True)])
def test_one_is_waited_for_as_long_as_there_is_time(left_s: float, is_taken: bool) -> None:
    clock = Clock()
    budget = RetryBudget(0, clock)
    budget._most = 1  # it earns one in a quarter of a second
    assert budget.take_in_time(left_s, clock.sleep) is is_taken
    assert clock.now_s == 100.0 + (0.5 if is_taken else 0.0)


def _run(made: Coroutine[None, None, int]) -> int:
    """In a thread of its own: that of the tests has a loop that runs once a browser was started."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, made).result()


def _fail(times: int) -> Callable[[], "asyncio.Future[int]"]:
    left = iter(range(times))

    async def request() -> int:
        if next(left, None) is not None:
            raise ConnectionResetError
        return 7

    return lambda: asyncio.ensure_future(request())


def test_a_request_waits_for_a_retry_that_others_have_used_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    budget = RetryBudget(3)
    budget.take(3)
    monkeypatch.setattr(patience, "OTHER_RETRIES", budget)
    assert _run(Patience(first_wait_s=0.01).persist(_fail(2))) == 7
    assert budget.take(1) == 1  # as it was answered


def test_a_request_for_which_no_retry_is_left_in_time_fails_as_it_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "OTHER_RETRIES", RetryBudget(0))
    monkeypatch.setattr(patience, "_POLL_S", 0.01)
    with pytest.raises(ConnectionResetError):
        _run(Patience(first_wait_s=0.01, retry_s=0.1).persist(_fail(2)))


def test_a_store_that_refuses_at_once_is_waited_for_as_long_as_one_that_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was given up after eight tries, which are over in 20 s."""
    monkeypatch.setattr(patience, "_MOST_WAIT_S", 0.01)
    assert _run(Patience(first_wait_s=0.01).persist(_fail(60))) == 7


def test_dead_hosts_of_images_leave_the_output_its_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "RETRIES", RetryBudget(0))
    monkeypatch.setattr(patience, "OTHER_RETRIES", others := RetryBudget(3, clock=lambda: 0.0))
    assert _run(Patience(first_wait_s=0.01, retry_s=1.0).persist(_fail(2))) == 7
    assert others.take(9) == 2


def test_a_try_of_an_image_earns_no_retry_of_another_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its reader counts it."""
    monkeypatch.setattr(patience, "OTHER_RETRIES", others := RetryBudget(3, clock=lambda: 0.0))
    others.take(3)
    _run(Patience(tries=1).persist(_fail(0)))
    assert others.take(9) == 0


@pytest.mark.parametrize(
    ("given", "retry_s"), [("", 120), ("0.5", 20), ("10", 40), ("30", 120), ("90", 120)]
)
def test_who_bears_less_silence_waits_less_all_in_all(
    given: str, retry_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGCLS_STORE_TIMEOUT_S", given)
    assert default_patience().retry_s == retry_s
