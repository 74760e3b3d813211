"""Memory that threads share."""

import concurrent.futures
import threading

from imgcls_beam.byte_budget import ByteBudget, Loan


def test_what_is_lent_stays_within_the_budget_and_one_always_goes() -> None:
    budget, most, lock = ByteBudget(10), [0], threading.Lock()

    def work(size_bytes: int) -> None:
        with Loan(budget) as loan:
            loan.raise_to(size_bytes // 2)
            loan.raise_to(size_bytes)
            with lock:
                most[0] = max(most[0], budget.lent_bytes)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [1, 2, 3, 4, 5] * 40 + [99, 7] * 10))
    assert most[0] in (99, *range(1, 11))
    assert budget.lent_bytes == 0


def test_a_loan_never_becomes_less_before_its_end() -> None:
    budget = ByteBudget(10)
    loan = Loan(budget)
    loan.raise_to(6)
    loan.raise_to(2)
    assert budget.lent_bytes == 6
    loan.end()
    loan.end()
    assert budget.lent_bytes == 0


def test_who_only_tries_gets_nothing_that_is_not_there() -> None:
    budget = ByteBudget(10)
    assert budget.try_to_take(99)
    assert not budget.try_to_take(1)
    budget.give_back(99)
    assert budget.try_to_take(4)
    assert budget.try_to_take(6)
    assert not budget.try_to_take(1)


def test_turns_are_taken_in_order() -> None:
    """One that wants little does not pass one that wants much, which might wait for ever."""
    budget, order = ByteBudget(10), list[int]()
    budget.take(10)

    def work(size_bytes: int) -> None:
        budget.take(size_bytes)
        order.append(size_bytes)
        budget.give_back(size_bytes)

    threads = []
    for size_bytes in (9, 5):
        threads.append(threading.Thread(target=work, args=(size_bytes,)))
        threads[-1].start()
        while len(budget._waiting) < len(threads):
            pass
    budget.give_back(5)
    assert not budget.try_to_take(1), "others wait"
    threads[1].join(0.5)  # it would have enough
    assert order == []
    budget.give_back(5)
    for thread in threads:
        thread.join(60)
    assert order == [9, 5]
    assert budget.lent_bytes == 0
