"""How soon stores answer lately: what counts, for which stores, and how soon it shows."""

from collections.abc import Iterable

import pytest

from imgcls_beam.reading import store_health
from imgcls_beam.reading.store_health import StoreHealth

URI = "s3://photos/a.jpg"
ANSWER, FAULT = True, False


def note(
    requests: Iterable[bool], uri: str = URI, health: StoreHealth | None = None
) -> StoreHealth:
    health = StoreHealth() if health is None else health
    for is_prompt in requests:
        health.note(uri, is_prompt=is_prompt)
    return health


def is_prompt_after(*requests: bool) -> bool:
    return note(requests).is_prompt(URI)


def test_a_store_that_was_not_asked_is_not_known_and_not_called_prompt() -> None:
    assert not StoreHealth().knows(URI)
    assert not StoreHealth().is_prompt(URI)
    assert note([FAULT]).knows(URI)
    health = note([ANSWER])
    health.forget()
    assert not health.knows(URI)


def test_the_first_requests_count_as_much_as_each_other() -> None:
    assert is_prompt_after(ANSWER)
    assert not is_prompt_after(FAULT)
    assert is_prompt_after(FAULT, FAULT, ANSWER)
    assert not is_prompt_after(ANSWER, FAULT, FAULT, FAULT)


def test_a_store_that_answers_seven_in_ten_is_prompt() -> None:
    assert is_prompt_after(*[*[ANSWER] * 7, *[FAULT] * 3] * 20)


def test_the_tries_of_one_object_do_not_say_that_its_store_answers_nobody() -> None:
    """It may be the last of its run, while nobody else is asked for."""
    assert is_prompt_after(*[*[ANSWER] * 7, *[FAULT] * 3] * 20, *[FAULT] * 7)


def test_a_store_that_answers_nobody_any_more_is_known_after_a_few_objects() -> None:
    assert is_prompt_after(*[ANSWER] * 999, *[FAULT] * 8)
    assert not is_prompt_after(*[ANSWER] * 999, *[FAULT] * 20)
    assert is_prompt_after(*[ANSWER] * 999, *[FAULT] * 99, *[ANSWER] * 16)


@pytest.mark.parametrize(
    ("uri", "other"),
    [
        ("s3://photos/a.jpg", "s3://else/a.jpg"),
        ("https://a.example/a.jpg", "https://b.example/a.jpg"),
        ("gs://photos/a.jpg", "s3://photos/a.jpg"),
    ],
)
def test_each_bucket_and_each_host_is_known_by_itself(uri: str, other: str) -> None:
    health = note([FAULT] * 16, other, note([ANSWER] * 16, uri))
    assert health.is_prompt(uri.replace("a.jpg", "b.jpg"))
    assert not health.is_prompt(other)


def test_the_stores_that_were_asked_lately_are_remembered() -> None:
    health = StoreHealth()
    hosts = [f"https://h{index}.example/a.jpg" for index in range(store_health._STORES)]
    for uri in (URI, hosts[0], URI, *hosts[1:]):
        note([ANSWER] * 16, uri, health)
    assert all(map(health.is_prompt, (URI, *hosts[1:])))
    assert not health.knows(hosts[0])
