"""Whatever a store's client raises about one object: which kind of fault it is, and its row."""

import errno
import json
import pathlib
import pickle
import socket
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
import botocore.exceptions as boto
import google.api_core.exceptions as api
import google.auth.exceptions as gauth
import httpx
import huggingface_hub.errors as hub
import pytest
import requests
from gcsfs.retry import HttpError

from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import STAGE_OF, FailureCode, Stage
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading import look_up_versions, read_images
from imgcls_beam.stores import FaultKind, kind_of
from imgcls_beam.stores.public_hosts import PrivateHostError
from tests import flaky


@pytest.fixture(autouse=True)
def empty_store() -> None:
    flaky.empty()


def _of_code(code: str, made: Exception | None = None) -> Exception:
    """As s3fs raises it: an error of Python whose cause is botocore's."""
    error = made or OSError(errno.EINVAL, "words of the store")
    error.__cause__ = boto.ClientError({"Error": {"Code": code}}, "GetObject")
    return error


def _caused_by(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def _connector(kind: type[Any], error: OSError) -> Exception:
    made: Exception = kind.__new__(kind)
    made.args = (None, error)
    return made


def _no_token() -> HttpError:
    """As gcsfs raises it where it has no token."""
    return HttpError({"code": 401, "message": "Invalid Credentials"})


def _of_azure(status: int, code: str) -> Exception:
    """As azure's client raises it."""
    error = PermissionError("words of the store")
    error.status_code, error.error_code = status, code  # type: ignore[attr-defined]
    return error


KINDS: dict[str, tuple[Exception, FaultKind]] = {
    **{
        f"s3: 400 {code}": (
            boto.ClientError(
                {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}, "PutObject"
            ),
            kind,
        )
        for code, kind in (
            ("RequestTimeout", FaultKind.UNREACHABLE),
            ("IncompleteBody", FaultKind.UNREACHABLE),
            ("BadDigest", FaultKind.UNREACHABLE),
            ("InvalidArgument", FaultKind.OTHER),
        )
    },
    "s3: a bucket with a space": (boto.ParamValidationError(report="x"), FaultKind.MALFORMED),
    "s3: a label of a host": (boto.InvalidDNSNameError(bucket_name="-"), FaultKind.MALFORMED),
    "s3: an ARN": (boto.UnsupportedS3ArnError(arn="arn:x"), FaultKind.MALFORMED),
    "s3: InvalidBucketName": (_of_code("InvalidBucketName"), FaultKind.MALFORMED),
    "s3: KeyTooLongError": (_of_code("KeyTooLongError"), FaultKind.MALFORMED),
    "http: no host": (aiohttp.InvalidURL("https://"), FaultKind.MALFORMED),
    "http: a port of letters": (ValueError("port can't be converted"), FaultKind.MALFORMED),
    "requests: no scheme": (requests.exceptions.MissingSchema(), FaultKind.MALFORMED),
    "hf: no namespace": (hub.HFValidationError("x"), FaultKind.MALFORMED),
    "any: text that is no UTF-8": (
        UnicodeEncodeError("u", "\ud800", 0, 1, ""),
        FaultKind.MALFORMED,
    ),
    "disk: a name too long": (OSError(errno.ENAMETOOLONG, "x"), FaultKind.MALFORMED),
    "s3: NoSuchBucket": (_of_code("NoSuchBucket", FileNotFoundError()), FaultKind.NO_BUCKET),
    "s3: NoSuchKey": (_of_code("NoSuchKey", FileNotFoundError()), FaultKind.NO_OBJECT),
    "disk: a file on the way": (NotADirectoryError(), FaultKind.NO_OBJECT),
    "gs: 404": (HttpError({"code": 404}), FaultKind.NO_OBJECT),
    "s3: Glacier": (_of_code("InvalidObjectState", PermissionError()), FaultKind.ARCHIVED),
    "s3: AccessDenied": (_of_code("AccessDenied", PermissionError()), FaultKind.DENIED),
    **{
        f"s3: {code}": (_of_code(code, made), FaultKind.EXPIRED)
        for code, made in (
            ("ExpiredToken", PermissionError()),
            ("InvalidAccessKeyId", PermissionError()),
            ("RequestTimeTooSkewed", PermissionError()),
        )
    },
    "az: a SAS that ran out": (_of_azure(403, "AuthenticationFailed"), FaultKind.EXPIRED),
    "az: a blob that is not given": (
        _of_azure(403, "AuthorizationPermissionMismatch"),
        FaultKind.DENIED,
    ),
    "gs: a token that ran out": (_no_token(), FaultKind.EXPIRED),
    "gs: 401": (HttpError({"code": 401, "message": "Anonymous caller"}), FaultKind.DENIED),
    "gs: 403": (OSError("Forbidden: b/o\nno access"), FaultKind.DENIED),
    "google: 403": (api.Forbidden("x"), FaultKind.DENIED),
    "s3: no credentials": (boto.NoCredentialsError(), FaultKind.NO_CREDENTIALS),
    "google: no credentials": (gauth.DefaultCredentialsError(), FaultKind.NO_CREDENTIALS),
    "s3: no such profile": (boto.ProfileNotFound(profile="x"), FaultKind.WRONG_SETTINGS),
    "s3: half a key": (
        boto.PartialCredentialsError(provider="env", cred_var="x"),
        FaultKind.WRONG_SETTINGS,
    ),
    "s3: signed out": (
        boto.SSOTokenLoadError(profile_name="x", error_msg=""),
        FaultKind.WRONG_SETTINGS,
    ),
    "s3: nothing listens": (boto.EndpointConnectionError(endpoint_url="x"), FaultKind.UNREACHABLE),
    "s3: connect time-out": (boto.ConnectTimeoutError(endpoint_url="x"), FaultKind.UNREACHABLE),
    "s3: cut short": (
        boto.IncompleteReadError(actual_bytes=1, expected_bytes=2),
        FaultKind.UNREACHABLE,
    ),
    "s3: busy metadata": (
        boto.CredentialRetrievalError(provider="x", error_msg=""),
        FaultKind.UNREACHABLE,
    ),
    "s3: metadata refused": (boto.MetadataRetrievalError(error_msg="x"), FaultKind.UNREACHABLE),
    "google: busy metadata": (gauth.TransportError(), FaultKind.UNREACHABLE),
    "google: refresh": (gauth.RefreshError(), FaultKind.UNREACHABLE),
    "google: 503": (api.ServiceUnavailable("x"), FaultKind.UNREACHABLE),
    "http: refused": (
        _connector(aiohttp.ClientConnectorError, ConnectionRefusedError()),
        FaultKind.UNREACHABLE,
    ),
    "http: no such host": (
        _connector(aiohttp.ClientConnectorDNSError, socket.gaierror(-2, "x")),
        FaultKind.UNREACHABLE,
    ),
    "httpx: connect": (httpx.ConnectError("x"), FaultKind.UNREACHABLE),
    "ftp: no such host": (socket.gaierror(socket.EAI_NONAME, "x"), FaultKind.UNREACHABLE),
    "ftp: refused": (ConnectionRefusedError(), FaultKind.UNREACHABLE),
    "tls: reset": (ssl.SSLZeroReturnError("x"), FaultKind.OTHER),
    "hub: cache without the file": (hub.LocalEntryNotFoundError("x"), FaultKind.UNREACHABLE),
    "any: a cause that passes": (
        _caused_by(RuntimeError("x"), ConnectionResetError()),
        FaultKind.UNREACHABLE,
    ),
    "any: a garbled answer": (json.JSONDecodeError("x", "{", 1), FaultKind.UNREACHABLE),
    "web: an address inside": (PrivateHostError(), FaultKind.NOT_PUBLIC),
    "gs: a token server that is away": (
        _caused_by(
            HttpError({"code": 401}), _caused_by(gauth.RefreshError(), gauth.TransportError())
        ),
        FaultKind.UNREACHABLE,
    ),
    "gs: a token server that is busy": (
        _caused_by(_no_token(), gauth.RefreshError(retryable=True)),
        FaultKind.UNREACHABLE,
    ),
    "gs: a token server that refuses": (
        _caused_by(_no_token(), gauth.RefreshError("invalid_grant")),
        FaultKind.EXPIRED,
    ),
    "gs: requester pays": (
        _caused_by(ValueError("x"), HttpError({"code": 400})),
        FaultKind.OTHER,
    ),
    "any: a defect of the client": (AttributeError("x"), FaultKind.OTHER),
    "any: an assertion": (AssertionError(), FaultKind.OTHER),
    "any: pickle": (pickle.UnpicklingError(), FaultKind.OTHER),
}
CODE_OF = {
    FaultKind.MALFORMED: FailureCode.INVALID_REFERENCE,
    FaultKind.NO_OBJECT: FailureCode.NOT_FOUND,
    FaultKind.NO_BUCKET: FailureCode.NOT_FOUND,
    FaultKind.ARCHIVED: FailureCode.ARCHIVED,
    FaultKind.DENIED: FailureCode.PERMISSION_DENIED,
    FaultKind.WRONG_SETTINGS: FailureCode.PERMISSION_DENIED,
    FaultKind.NO_CREDENTIALS: FailureCode.UNAVAILABLE,
    FaultKind.EXPIRED: FailureCode.UNAVAILABLE,
    FaultKind.UNREACHABLE: FailureCode.UNAVAILABLE,
    FaultKind.NOT_PUBLIC: FailureCode.UNREADABLE,
    FaultKind.OTHER: FailureCode.UNREADABLE,
}


@pytest.mark.parametrize("name", KINDS)
def test_a_fault_is_of_its_kind_and_becomes_the_row_of_one_image(name: str) -> None:
    fault, kind = KINDS[name]
    assert kind_of(fault) is kind
    bad, good = flaky.put("bad.jpg", *[fault] * 9), flaky.put("good.jpg")
    failure, read = flaky.read(bad, good)
    assert isinstance(failure, Failure)
    assert isinstance(read, EncodedImage)
    code = CODE_OF[kind]
    assert (failure.code, failure.stage) == (code, STAGE_OF[code])
    is_passing = code is FailureCode.UNAVAILABLE
    assert (failure.tries, failure.retryable) == (4 if is_passing else 1, is_passing)
    assert "words of the store" not in failure.message


def test_every_kind_is_here() -> None:
    assert {kind for _, kind in KINDS.values()} == set(FaultKind) - {FaultKind.OUT_OF_RANGE}


@pytest.mark.parametrize(
    "fault", [HttpError({"code": 416}), _caused_by(OSError(22, "x"), HttpError({"code": 416}))]
)
def test_an_object_that_has_no_first_byte_is_empty(fault: Exception) -> None:
    assert kind_of(fault) is FaultKind.OUT_OF_RANGE
    listed, alone = flaky.put("listed.jpg", fault), flaky.put("alone.jpg", fault)
    failures = flaky.read(listed, ImageRef(alone.uri))
    codes = [each.code for each in failures if isinstance(each, Failure)]
    assert codes == [FailureCode.CHANGED, FailureCode.EMPTY]  # it had bytes when it was listed


def test_a_fault_that_passes_gives_the_image() -> None:
    for name, (fault, kind) in KINDS.items():
        if CODE_OF[kind] is FailureCode.UNAVAILABLE:
            (read,) = flaky.read(flaky.put("a.jpg", fault, fault))
            assert isinstance(read, EncodedImage), name
            assert read.tries == 3


def test_what_was_never_there_is_not_said_to_be_gone() -> None:
    never = flaky.put("never.jpg", FileNotFoundError())
    gone = ImageRef("flaky://gone.jpg", version="1")
    failures = flaky.read(never, gone)
    assert [each.message for each in failures if isinstance(each, Failure)] == [
        "there is no such object",
        "the object was listed but is not there any more",
    ]


@pytest.mark.parametrize(
    "raises",
    [
        lambda store: setattr(store, "cat_ranges", _fail),
        lambda store: setattr(store, "_strip_protocol", classmethod(_fail_for_bad)),
    ],
    ids=["all of them at once", "the name of one"],
)
def test_a_client_that_gives_up_many_for_one_costs_one_row(
    raises: Callable[[type[flaky.FlakyStore]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cat_ranges", "_strip_protocol"):  # put back at the end
        monkeypatch.setattr(flaky.FlakyStore, name, getattr(flaky.FlakyStore, name))
    refs = [flaky.put(name) for name in ("a.jpg", "bad.jpg", "c.jpg")]
    raises(flaky.FlakyStore)
    results = flaky.read(*refs)
    assert [type(each) for each in results] == [EncodedImage, Failure, EncodedImage]
    looked_up = look_up_versions(refs, ReadOptions(allow_schemes=flaky.SCHEMES))
    assert [each.uri for each in looked_up if isinstance(each, ImageRef)] == [r.uri for r in refs]


def _fail(self: flaky.FlakyStore, paths: list[str], *args: Any, **more: Any) -> list[bytes]:
    if any("bad" in path for path in paths):
        raise RuntimeError("one of them is bad")
    return [b"data" for _ in paths]


def _fail_for_bad(cls: type[flaky.FlakyStore], path: str) -> str:
    if "bad" in path:
        raise IndexError(path)
    return "/" + path.removeprefix("flaky://").lstrip("/")


@pytest.mark.parametrize(
    "uri",
    [
        *("s3://photos/", "s3://photos", "gs://photos/", "s3:///x.jpg", "gs://", "s3://"),
        *("s3://my photos/x.jpg", "s3://a/x.jpg", "https://", "http://h:port/x", "http://[::1/x"),
        *("hf://x", "hf://", "hf://datasets/one", "file:///tmp/a\0b.jpg", "file:///" + "x" * 300),
        *("https:///x.jpg", "gs://bucket/" + "ü" * 513, "s3://photos/" + "k" * 1025),
    ],
    ids=lambda uri: ascii(uri)[1:40],
)
def test_a_name_that_no_object_can_have_is_an_invalid_reference(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    options = ReadOptions(tries=1, allow_schemes=("http", "https"))
    (failure,) = read_images([ImageRef(uri)], options)
    assert isinstance(failure, Failure)
    assert (failure.code, failure.stage) == (FailureCode.INVALID_REFERENCE, Stage.LIST)


def test_a_disks_own_refusals_are_rows(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"1")
    (tmp_path / "round.jpg").symlink_to(tmp_path / "round.jpg")
    names = ["a.jpg/b.jpg", "gone.jpg", "round.jpg", "."]
    failures = read_images([ImageRef(f"file://{tmp_path}/{name}") for name in names], ReadOptions())
    assert [each.code for each in failures if isinstance(each, Failure)] == [
        *(FailureCode.NOT_FOUND, FailureCode.NOT_FOUND),
        *(FailureCode.UNREADABLE, FailureCode.UNREADABLE),
    ]
