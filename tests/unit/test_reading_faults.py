"""A store's faults: what is tried again, what is the image's failure, and what is a defect."""

import errno
import itertools
from typing import Any

import pytest
import requests

from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import FailureCode
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading import read_images
from imgcls_beam.stores import RETRIES
from tests import flaky
from tests.flaky import OPTIONS, FlakyStore, put, read, read_failure


@pytest.fixture(autouse=True)
def empty_store() -> None:
    flaky.empty()


class StoreError(Exception):
    """As gcsfs, aiohttp, azure and botocore have them: the status in an attribute."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__("a local path, and an address 0x7f00")
        vars(self).update(attributes)


def make_fault(name: str, base: type[Exception] = Exception) -> Exception:
    """An exception of a package that is not installed here."""
    module, _, kind = name.rpartition(".")
    made: type[Exception] = type(kind, (base,), {"__module__": module})
    return made("fault")


EREMOTEIO = getattr(errno, "EREMOTEIO", errno.EIO)

REFUSALS = [
    (FileNotFoundError("x"), FailureCode.NOT_FOUND),
    (StoreError(code=404), FailureCode.NOT_FOUND),
    (StoreError(status=410), FailureCode.NOT_FOUND),
    (PermissionError("x"), FailureCode.PERMISSION_DENIED),
    (StoreError(code="403"), FailureCode.PERMISSION_DENIED),
    (StoreError(status_code=401), FailureCode.PERMISSION_DENIED),
    (OSError("Forbidden: b/o\nno storage.objects.get"), FailureCode.PERMISSION_DENIED),
    (StoreError(code=400), FailureCode.UNREADABLE),
    (IsADirectoryError(errno.EISDIR, "x"), FailureCode.UNREADABLE),
    (OSError(errno.EINVAL, "x"), FailureCode.UNREADABLE),
    (OSError("without a number"), FailureCode.UNREADABLE),
]


@pytest.mark.parametrize(("fault", "code"), REFUSALS)
def test_a_refusal_is_the_images_own_failure_and_is_not_tried_again(
    fault: Exception, code: FailureCode
) -> None:
    failure = read_failure(put("a.jpg", fault))
    assert (failure.code, failure.tries, failure.retryable) == (code, 1, False)
    assert FlakyStore.asked == {"/a.jpg": 1}
    assert "0x" not in failure.message and "Forbidden" not in failure.message


PASSING = [
    *(TimeoutError(), ConnectionResetError(), BrokenPipeError()),
    *(EOFError(), requests.exceptions.ProxyError(), requests.exceptions.ReadTimeout()),
    *(OSError(number, "x") for number in (errno.EIO, errno.EBUSY, errno.ESTALE, EREMOTEIO)),
    *(StoreError(code=each) for each in (408, 425, 429, 500, 502, 503, 504, "503")),
    *(StoreError(status=503), StoreError(status_code=503)),
    StoreError(response={"ResponseMetadata": {"HTTPStatusCode": 503}}),
    StoreError(response=requests.models.Response()),
    make_fault("aiohttp.client_exceptions.ClientPayloadError"),
    make_fault("botocore.exceptions.HTTPClientError"),
    make_fault("azure.core.exceptions.ServiceRequestError"),
    make_fault("httpx2.TransportError"),
]
PASSING[-5].response.status_code = 503  # type: ignore[attr-defined]


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: type(fault).__name__)
def test_a_passing_fault_is_tried_again_and_counted(fault: Exception) -> None:
    (result,) = read(put("a.jpg", fault, fault))
    assert isinstance(result, EncodedImage)
    assert (result.data, result.tries) == (b"data", 3)
    failure = read_failure(put("b.jpg", *itertools.repeat(fault, 9)))
    assert (failure.code, failure.tries) == (FailureCode.UNAVAILABLE, OPTIONS.tries)
    assert failure.retryable
    assert FlakyStore.asked == {"/a.jpg": 3, "/b.jpg": OPTIONS.tries}


def test_only_what_failed_in_passing_is_read_again() -> None:
    refs = [
        put("good.jpg"),
        put("slow.jpg", TimeoutError(), TimeoutError()),
        put("gone.jpg", FileNotFoundError()),
        put("late.jpg", TimeoutError(), FileNotFoundError()),
    ]
    results = read(*refs)
    assert [each.tries for each in results] == [1, 3, 1, 2]
    assert [type(each) for each in results] == [EncodedImage, EncodedImage, Failure, Failure]
    assert FlakyStore.asked == {"/good.jpg": 1, "/slow.jpg": 3, "/gone.jpg": 1, "/late.jpg": 2}


def test_waits_double_and_are_jittered_by_half() -> None:
    waits: list[list[float]] = []
    for index in range(200):
        ref = put(f"{index}.jpg", *itertools.repeat(TimeoutError(), 9))
        waits.append([])
        RETRIES.give_back(1_000_000)
        read_images([ref], OPTIONS, sleep=waits[-1].append)
    for column, middle_s in zip(zip(*waits, strict=True), (0.5, 1.0, 2.0), strict=True):
        assert middle_s * 0.5 <= min(column) < middle_s * 0.6
        assert middle_s * 1.4 < max(column) <= middle_s * 1.5


def test_one_attempt_means_no_wait() -> None:
    slept: list[float] = []
    options = ReadOptions(tries=1, allow_schemes=flaky.SCHEMES)
    (result,) = read_images([put("a.jpg", TimeoutError())], options, sleep=slept.append)
    assert isinstance(result, Failure)
    assert (result.tries, slept) == (1, [])


@pytest.mark.parametrize("unknown", [KeyError("x"), TypeError("x"), RuntimeError("x")])
def test_what_is_not_known_is_the_images_own_failure(unknown: Exception) -> None:
    failure = read_failure(put("a.jpg", unknown))
    assert (failure.code, failure.tries, failure.retryable) == (FailureCode.UNREADABLE, 1, False)
    (good,) = read(put("good.jpg"))
    assert isinstance(good, EncodedImage)


@pytest.mark.parametrize("end", [MemoryError(), KeyboardInterrupt(), SystemExit(1)])
def test_what_ends_the_process_is_no_fault_of_the_image(end: BaseException) -> None:
    ref = put("a.jpg", end)  # type: ignore[arg-type]
    with pytest.raises(type(end)):
        read(put("good.jpg"), ref)
    assert FlakyStore.asked["/a.jpg"] == 1


def test_a_scheme_that_is_not_allowed_is_a_failure_and_is_never_asked_for() -> None:
    allowed, refused = put("a.jpg"), put("b.jpg")
    results = read(allowed, ImageRef("http://127.0.0.1:9/a.jpg"), options=flaky.OPTIONS)
    assert isinstance(results[0], EncodedImage)
    assert isinstance(results[1], Failure)
    assert (results[1].code, results[1].tries) == (FailureCode.UNREADABLE, 1)
    failure = read_failure(refused, options=ReadOptions())
    assert "scheme" in failure.message
