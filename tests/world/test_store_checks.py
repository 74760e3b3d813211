"""What concerns a whole store is one sentence with what to set, before a model is loaded."""

import contextlib
import pathlib
import socket
from collections.abc import Iterator
from typing import Any

import botocore.exceptions
import pytest

from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.errors import ConfigError, FailureCode
from imgcls_beam.listing import check_inputs
from imgcls_beam.options import InputOptions, ReadOptions
from imgcls_beam.reading import read_images
from imgcls_beam.stores import check_store, has_bucket, refuse_store_faults
from pipelines import job
from pipelines.__main__ import main
from tests.servers import Server, forget_clients

pytestmark = pytest.mark.slow

_MODEL = pathlib.Path(__file__).parents[2] / "demo" / "model"
_SETTINGS = (
    *("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    *("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "STORAGE_EMULATOR_HOST"),
    *("GOOGLE_APPLICATION_CREDENTIALS", "AZURE_STORAGE_CONNECTION_STRING"),
    "AZURE_STORAGE_ACCOUNT_NAME",
)


@pytest.fixture(autouse=True)
def fresh_clients() -> None:
    """Clients keep the credentials and the endpoint of when they were made."""
    for scheme in ("s3", "gs", "az"):
        forget_clients(scheme)


@pytest.fixture(params=["s3", "gcs"])
def server(request: pytest.FixtureRequest) -> Server:
    served: Server = request.getfixturevalue(request.param)
    return served


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> pytest.MonkeyPatch:
    """An environment without any setting of a store."""
    for name in _SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    return monkeypatch


@pytest.fixture
def silent() -> Iterator[str]:
    """A port at which nothing listens, for as long as it is held."""
    with contextlib.closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def _run(program: str, url: str, tmp_path: pathlib.Path) -> int:
    places = {
        "classify": [f"--input={url}", f"--output={tmp_path}/out", f"--model={_MODEL}"],
        "classify to": [f"--input={_MODEL}/../images", f"--output={url}", f"--model={_MODEL}"],
        "retry": [f"--output={url}", "--run_id=r"],
        "sql": [f"--output={url}", "select 1"],
        "doctor": [f"--input={url}", f"--model={_MODEL}"],
        "doctor to": [f"--output={url}", f"--model={_MODEL}"],
    }[program]
    return main([program.partition(" ")[0], *places])


PROGRAMS = ("classify", "classify to", "retry", "sql", "doctor", "doctor to")


def _check_refused(
    program: str,
    url: str,
    said: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    patch: pytest.MonkeyPatch,
) -> None:
    if program.startswith("classify"):

        def refuse(*args: Any) -> Any:
            raise AssertionError("the model was loaded")

        patch.setattr(job, "_loaded_models", refuse)
    assert _run(program, url, tmp_path) == 2
    printed = capsys.readouterr()
    mark = "BAD " if program.startswith("doctor") else f"imgcls {program.partition(' ')[0]}: "
    sentences = [
        line
        for line in (printed.out + printed.err).splitlines()
        if line.startswith(mark) and said in line
    ]
    assert len(sentences) == 1, printed
    assert "Traceback" not in printed.out + printed.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("program", PROGRAMS)
def test_s3_without_credentials(
    program: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    alone: pytest.MonkeyPatch,
) -> None:
    said = "there are no credentials for s3://; set AWS_PROFILE, or AWS_ACCESS_KEY_ID"
    _check_refused(program, "s3://some-bucket/p", said, tmp_path, capsys, alone)


@pytest.mark.parametrize("program", ["classify", "classify to", "doctor"])
def test_azure_without_an_account(
    program: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    alone: pytest.MonkeyPatch,
) -> None:
    said = "there are no credentials for az://; set AZURE_STORAGE_CONNECTION_STRING, or"
    _check_refused(program, "az://some-bucket/p", said, tmp_path, capsys, alone)


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("profile", {"AWS_PROFILE": "nightly"}, "their profile, or a part of them, is missing"),
        ("half a key", {"AWS_ACCESS_KEY_ID": "x"}, "a part of them, is missing"),
        ("no key file", {"GOOGLE_APPLICATION_CREDENTIALS": "/gone.json"}, "names no file"),
    ],
)
@pytest.mark.parametrize("program", ["classify", "sql", "doctor"])
def test_settings_that_lead_nowhere(
    name: str,
    settings: dict[str, str],
    said: str,
    program: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    alone: pytest.MonkeyPatch,
) -> None:
    for variable, value in settings.items():
        alone.setenv(variable, value)
    url = "gs://some-bucket/p" if "GOOGLE" in str(settings) else "s3://some-bucket/p"
    _check_refused(program, url, said, tmp_path, capsys, alone)


@pytest.mark.parametrize("scheme", ["s3", "gs"])
@pytest.mark.parametrize("program", ["classify", "classify to", "sql", "doctor"])
def test_an_endpoint_that_is_down(
    scheme: str,
    program: str,
    silent: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    alone: pytest.MonkeyPatch,
) -> None:
    _lead_to(silent, alone)
    said = f"{silent} does not answer; check "
    _check_refused(program, f"{scheme}://some-bucket/p", said, tmp_path, capsys, alone)


def _lead_to(endpoint: str, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("AWS_ENDPOINT_URL", endpoint)
    patch.setenv("STORAGE_EMULATOR_HOST", endpoint)
    patch.setenv("AWS_ACCESS_KEY_ID", "x")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "y")


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_bucket_that_is_not_there(
    program: str,
    server: Server,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = "there is no bucket no-such-bucket; check its name"
    url = f"{server.scheme}://no-such-bucket/p"
    _check_refused(program, url, said, tmp_path, capsys, monkeypatch)


@pytest.mark.parametrize("code", ["PermanentRedirect", "AuthorizationHeaderMalformed"])
def test_a_bucket_of_another_region(code: str) -> None:
    fault = OSError(22, "x")
    fault.__cause__ = botocore.exceptions.ClientError({"Error": {"Code": code}}, "ListObjects")
    refused = pytest.raises(ConfigError, match="another region; set AWS_DEFAULT_REGION")
    with refused, refuse_store_faults("input", "s3://bucket/a"):
        raise fault


@pytest.mark.parametrize("bucket", ["my photos", "a", "b\u00fccher", "-x-"])
@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_bucket_that_cannot_be(
    scheme: str,
    bucket: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    alone: pytest.MonkeyPatch,
) -> None:
    said = "a bucket's has 3 to 63 small letters"
    _check_refused("classify", f"{scheme}://{bucket}/p", said, tmp_path, capsys, alone)


def test_a_key_that_is_not_there_is_told_from_a_bucket(
    server: Server, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run("classify", f"{server.root}/gone.jpg", tmp_path) == 2
    assert "there is no such file or folder" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="there is no bucket no-such-bucket"):
        check_inputs(InputOptions((f"{server.scheme}://no-such-bucket/a.jpg",)))
    missing = (
        *(f"{server.scheme}://no-such-bucket/{name}.jpg" for name in "ab"),
        f"{server.root}/gone.jpg",
    )
    failures = read_images([ImageRef(uri) for uri in missing], ReadOptions())
    assert [each.message for each in failures if isinstance(each, Failure)] == [
        *("there is no such bucket", "there is no such bucket", "there is no such object"),
    ]
    assert {each.code for each in failures if isinstance(each, Failure)} == {FailureCode.NOT_FOUND}


def test_a_store_that_is_right_is_asked_little(server: Server) -> None:
    server.fill({f"many/{index}.jpg": b"x" for index in range(1500)})
    server.take_asked()
    check_store("input", f"{server.root}/many")
    assert len(server.take_asked()) <= 3
    assert has_bucket(f"{server.root}/many")
    assert not has_bucket(f"{server.scheme}://no-such-bucket/x")


@pytest.mark.parametrize("url", ["memory://x", "/tmp/x", "file:///tmp/x", "hf://a/b/c"])
def test_other_stores_are_not_asked_beforehand(url: str) -> None:
    check_store("input", url)
