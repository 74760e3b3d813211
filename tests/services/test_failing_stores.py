"""Stores that fail, read: each object is asked for as often as its row says, and for so long.

The options make waits and silences short, so nothing here waits for long.
"""

import dataclasses
import hashlib
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import FailureCode
from imgcls_beam.listing import list_images
from imgcls_beam.options import InputOptions, ReadOptions
from imgcls_beam.reading import look_up_versions, read_images
from imgcls_beam.reading.store_health import STORE_HEALTH
from imgcls_beam.stores import RETRIES, Patience
from tests.extent import choose
from tests.servers import Server

_OPTIONS = ReadOptions(tries=3, first_wait_s=0.01, timeout_s=0.4)
_PASSING = ("503", "429", "500", "lose", "reset", "short", "stall", "stall_within")
_ALL = (*_PASSING, "damage", "drip")


@pytest.fixture
def ref(server: Server) -> Iterator[ImageRef]:
    """An object as it was listed."""
    name = uuid.uuid4().hex
    server.fill({f"{name}/x.png": b"content " * 8})
    (listed,) = list_images(InputOptions((f"{server.root}/{name}",)))
    assert isinstance(listed, ImageRef)
    server.take_asked()
    yield listed
    server.take_asked()


def _fail(ref: ImageRef) -> Failure:
    (result,) = read_images([ref], _OPTIONS)
    assert isinstance(result, Failure)
    return result


@pytest.mark.parametrize("how", _PASSING)
def test_what_fails_for_ever_is_asked_for_as_often_as_its_row_says(
    server: Server, ref: ImageRef, how: str
) -> None:
    server.spoil(how, r"x\.png", for_ever=True)
    failure = _fail(ref)
    assert (failure.code, failure.tries) == (FailureCode.UNAVAILABLE, 3)
    assert len(server.take_asked()) == 3


def test_each_try_has_its_own_silence_and_all_of_them_one_client(
    server: Server, ref: ImageRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, Any]] = []
    request = aiohttp.ClientSession._request

    async def note(self: aiohttp.ClientSession, *args: Any, **kwargs: Any) -> Any:
        asked.append((kwargs.get("timeout", self.timeout).sock_read, self))
        return await request(self, *args, **kwargs)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", note)
    server.spoil("503", r"x\.png", for_ever=True)
    (failure,) = read_images([ref], ReadOptions(tries=4, first_wait_s=0.01))
    for _ in range(99):
        STORE_HEALTH.note(ref.uri, is_prompt=True)
    (other,) = read_images([ref], ReadOptions(tries=9, first_wait_s=0.01))
    assert isinstance(failure, Failure)
    assert isinstance(other, Failure)
    silences_s = [silence_s for silence_s, _ in asked]
    assert (silences_s[:4], silences_s[4:]) == ([1, 8, 8, 8], [1, 1, 1, 1, 2, 2, 2, 4, 8])
    assert len({id(client) for _, client in asked}) == 1
    server.take_asked()
    asked.clear()
    server.store.info(ref.uri)
    assert {silence_s for silence_s, _ in asked} == {Patience().silence_s}


def test_what_drips_has_the_time_that_its_bytes_take(server: Server, ref: ImageRef) -> None:
    """A byte each 0.05 s is never silent: the content would take 100 s."""
    server.fill({"drip/x.png": bytes(4000)})
    (listed,) = list_images(InputOptions((f"{server.root}/drip",)))
    assert isinstance(listed, ImageRef)
    server.spoil("drip", r"x\.png", for_ever=True)
    (result,) = read_images([listed], ReadOptions(tries=1, timeout_s=0.4))
    assert isinstance(result, Failure)
    assert result.code is FailureCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("how", "code"), [("404", FailureCode.NOT_FOUND), ("403", FailureCode.PERMISSION_DENIED)]
)
def test_what_will_not_pass_is_asked_for_once(
    server: Server, ref: ImageRef, how: str, code: FailureCode
) -> None:
    server.spoil(how, r"x\.png", for_ever=True)
    failure = _fail(ref)
    assert (failure.code, failure.tries) == (code, 1)
    assert len([each for each in server.take_asked() if "x.png" in each]) == 1


def test_a_name_without_an_object_is_looked_up_once(server: Server, ref: ImageRef) -> None:
    del ref
    look_up_versions([ImageRef(f"{server.root}/nowhere/x.png")], _OPTIONS)
    assert len(server.take_asked()) == 1


def test_a_look_up_that_fails_in_passing_is_made_again(server: Server, ref: ImageRef) -> None:
    """Without its version an image that was scored before would be scored again."""
    server.take_asked()
    server.spoil("503", r"x\.png")
    (found,) = look_up_versions([ImageRef(ref.uri)], _OPTIONS)
    assert isinstance(found, ImageRef)
    assert (found.version, found.size_bytes) == (ref.version, ref.size_bytes)
    assert len(server.take_asked()) == 2


@pytest.mark.parametrize("how", ["short", "damage"])
def test_what_was_cut_or_flipped_once_is_read_again(
    server: Server, ref: ImageRef, how: str
) -> None:
    server.spoil(how, r"^GET .*x\.png")
    (result,) = read_images([ref], _OPTIONS)
    assert isinstance(result, EncodedImage)
    assert (result.data, result.tries) == (b"content " * 8, 2)


def test_retries_are_limited_for_all_objects_together(server: Server, ref: ImageRef) -> None:
    """A store that is down is not asked three times what it cannot answer once."""
    del ref
    RETRIES.give_back(1_000_000)
    gone = [ImageRef(f"{server.root}/gone/{i}.png", "1", 5) for i in range(300)]
    server.spoil("503", "gone", for_ever=True)
    began_s = time.monotonic()
    results = read_images(gone, dataclasses.replace(_OPTIONS, retry_s=2.0))
    took_s = time.monotonic() - began_s
    assert {each.code for each in results if isinstance(each, Failure)} == {FailureCode.UNAVAILABLE}
    # A request of the test before that is still under way may take a few of them.
    assert 300 + 150 <= len(server.take_asked()) <= 300 + 200 + 4 * took_s + 1


def test_three_in_ten_faults_lose_nothing_and_take_little_more(server: Server) -> None:
    _read_disturbed(server, 150)


@pytest.mark.long(minutes=1)
def test_three_in_ten_faults_lose_nothing_of_many(server: Server) -> None:
    _read_disturbed(server, choose(2_000, 800))


def _read_disturbed(server: Server, count: int) -> None:
    name = uuid.uuid4().hex
    contents = {f"{name}/{i:04d}.png": hashlib.sha512(b"%d" % i).digest() for i in range(count)}
    server.fill(contents)
    listed = list(list_images(InputOptions((f"{server.root}/{name}",))))
    refs = [each for each in listed if isinstance(each, ImageRef)]
    assert len(refs) == count
    options = ReadOptions(first_wait_s=0.01, timeout_s=0.4)
    began = time.monotonic()
    results: list[EncodedImage | Failure] = []
    server.take_asked()
    with server.disturbed([each for each in _ALL if each != "drip"], name, seed=count):
        for start in range(0, count, 64):
            results += read_images(refs[start : start + 64], options)
    asked = [each for each in server.take_asked() if name in each]
    summary = {
        "requests": len(asked) / count,
        "failures": [str(each) for each in results if isinstance(each, Failure)],
        "objects_per_s": count / (time.monotonic() - began),
    }
    read = {each.ref.uri: each.data for each in results if isinstance(each, EncodedImage)}
    assert read == {f"{server.root}/{key}": data for key, data in contents.items()}, summary
    assert len(asked) <= 1.6 * count, json.dumps(summary)
