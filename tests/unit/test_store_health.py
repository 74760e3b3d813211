"""Whether a store answers others lately: what counts, for which stores, and how soon it shows."""

import pytest

from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.reading import store_health
from imgcls_beam.reading.store_health import StoreHealth

URI = "s3://photos/a.jpg"


def answer(uri: str = URI) -> EncodedImage:
    return EncodedImage(ImageRef(uri), b"data")


def fail(
    uri: str = URI, code: FailureCode = FailureCode.UNAVAILABLE, *, retryable: bool = True
) -> Failure:
    return Failure.from_error(ImageRef(uri), ImageError(code, "of a test", retryable=retryable))


def answers_after(*results: EncodedImage | Failure) -> bool:
    health = StoreHealth()
    health.note(results)
    return health.answers(answer())


def test_a_store_that_is_not_known_answers_nobody() -> None:
    assert not answers_after()
    assert not answers_after(*[fail()] * 99)
    assert not answers_after(answer())
    assert answers_after(*[answer()] * 16)


def test_a_store_that_answers_seven_in_ten_answers_others() -> None:
    assert answers_after(*[*[answer()] * 7, *[fail()] * 3] * 20)


def test_the_tries_of_one_object_do_not_say_that_its_store_answers_nobody() -> None:
    """It may be the last of its run, while nobody else is asked for."""
    assert answers_after(*[*[answer()] * 7, *[fail()] * 3] * 20, *[fail()] * 7)


def test_a_store_that_answers_nobody_any_more_is_known_after_a_few_objects() -> None:
    assert answers_after(*[answer()] * 999, *[fail()] * 8)
    assert not answers_after(*[answer()] * 999, *[fail()] * 20)
    assert answers_after(*[answer()] * 999, *[fail()] * 99, *[answer()] * 16)


@pytest.mark.parametrize("code", [FailureCode.NOT_FOUND, FailureCode.PERMISSION_DENIED])
def test_a_refusal_is_an_answer(code: FailureCode) -> None:
    assert answers_after(*[fail(code=code, retryable=False)] * 16)


def test_what_has_changed_was_answered() -> None:
    assert answers_after(*[fail(code=FailureCode.CHANGED)] * 16)


@pytest.mark.parametrize(
    ("uri", "other"),
    [
        ("s3://photos/a.jpg", "s3://else/a.jpg"),
        ("https://a.example/a.jpg", "https://b.example/a.jpg"),
        ("gs://photos/a.jpg", "s3://photos/a.jpg"),
    ],
)
def test_each_bucket_and_each_host_is_known_by_itself(uri: str, other: str) -> None:
    health = StoreHealth()
    health.note([answer(uri)] * 16 + [fail(other)] * 16)
    assert health.answers(answer(uri.replace("a.jpg", "b.jpg")))
    assert not health.answers(answer(other))


def test_an_image_within_an_object_is_of_the_objects_store() -> None:
    health = StoreHealth()
    health.note([answer("s3://photos/a.tar::b.jpg")] * 16)
    assert health.answers(answer())


def test_a_local_disk_is_not_known() -> None:
    health = StoreHealth()
    health.note([answer("file:///photos/a.jpg")] * 99)
    assert not health.answers(answer("file:///photos/a.jpg"))


def test_the_stores_that_were_asked_lately_are_remembered() -> None:
    health = StoreHealth()
    hosts = [f"https://h{index}.example/a.jpg" for index in range(store_health._STORES)]
    for uri in (URI, hosts[0], URI, *hosts[1:]):
        health.note([answer(uri)] * 16)
    assert all(map(health.answers, map(answer, (URI, *hosts[1:]))))
    assert not health.answers(answer(hosts[0]))
