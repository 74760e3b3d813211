"""Azure's client as we set it up: how often it asks again, where it goes, how it takes paths."""

import contextlib
import http.server
import threading
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from imgcls_beam.stores import FaultKind, Patience, StoreKey, bear_silence, hasten, kind_of
from imgcls_beam.stores.azure_client import PatientAzure

KEY = "a2V5"
QUICK = Patience(tries=4, first_wait_s=0.001)


class _Stub(http.server.BaseHTTPRequestHandler):
    """Answers so many requests with 503, and from then on as for an empty blob."""

    failures = 0
    asked: list[str] = []  # noqa: RUF012  reset by `serve`

    def do_HEAD(self) -> None:
        self.asked.append(self.path)
        is_busy = len(self.asked) <= self.failures
        self.send_response(503 if is_busy else 200)
        for name, value in {
            "x-ms-error-code": "ServerBusy" if is_busy else "",
            "ETag": '"0x1"',
            "Last-Modified": "Thu, 26 Nov 2026 02:43:04 GMT",
            "x-ms-blob-type": "BlockBlob",
            "Content-Length": "0",
        }.items():
            if value:
                self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@contextlib.contextmanager
def serve(failures: int) -> Iterator[type[_Stub]]:
    kind = type("Stub", (_Stub,), {"failures": failures, "asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        kind.url = f"http://127.0.0.1:{server.server_port}/one"  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield kind
        server.shutdown()


def _open(stub: Any, patience: Patience) -> PatientAzure:
    endpoint = f"DefaultEndpointsProtocol=http;BlobEndpoint={stub.url}"
    account = f"{endpoint};AccountName=one;AccountKey={KEY}"
    return PatientAzure(patience=patience, connection_string=account, skip_instance_cache=True)


@pytest.mark.parametrize(("tries", "failures", "asked"), [(4, 3, 4), (4, 0, 1), (2, 1, 2)])
def test_a_request_is_made_again_as_often_as_the_patience_says(
    tries: int, failures: int, asked: int
) -> None:
    with serve(failures) as stub:
        store = _open(stub, Patience(tries=tries, first_wait_s=0.001))
        assert store.ask_object("c", "a b?#.png")["etag"] == '"0x1"'
        assert stub.asked == ["/one/c/a%20b%3F%23.png"] * asked


@pytest.mark.parametrize("tries", [1, 4])
def test_a_store_that_stays_busy_is_asked_no_more_often(tries: int) -> None:
    with serve(100) as stub:
        store = _open(stub, Patience(tries=tries, first_wait_s=0.001))
        with pytest.raises(Exception) as caught:
            store.ask_object("c", "a.png")
        assert kind_of(caught.value) is FaultKind.UNREACHABLE
        assert len(stub.asked) == tries


def test_whoever_is_in_haste_asks_once() -> None:
    with serve(100) as stub:
        store = _open(stub, QUICK)
        with hasten(), pytest.raises(Exception) as caught:
            store.ask_object("c", "a.png")
        assert kind_of(caught.value) is FaultKind.UNREACHABLE
        assert len(stub.asked) == 1
        with hasten(0.0), pytest.raises(Exception) as late:
            store.ask_object("c", "a.png")
        assert kind_of(late.value) is FaultKind.UNREACHABLE


def test_a_request_is_silent_for_no_longer_than_who_makes_it_bears(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    silences_s: list[float] = []
    request = aiohttp.ClientSession._request

    async def note(self: aiohttp.ClientSession, *args: Any, **kwargs: Any) -> Any:
        silences_s.append(kwargs["timeout"].sock_read)
        return await request(self, *args, **kwargs)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", note)
    with serve(0) as stub:
        store = _open(stub, QUICK)
        with bear_silence(2.0):
            store.ask_object("c", "a.png")
        store.ask_object("c", "a.png")
    assert silences_s == [2.0, QUICK.silence_s]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with no account of Azure."""
    for name in ("CONNECTION_STRING", "ACCOUNT_NAME", "ACCOUNT_KEY", "SAS_TOKEN", "ANON"):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)
    PatientAzure.clear_instance_cache()
    return monkeypatch


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({"AZURE_STORAGE_ACCOUNT_KEY": KEY}, "https://two.blob.core.windows.net/"),
        ({"AZURE_STORAGE_SAS_TOKEN": "?sig=x"}, "https://two.blob.core.windows.net/?sig=x"),
        ({"AZURE_STORAGE_SAS_TOKEN": "sig=x"}, "https://two.blob.core.windows.net/?sig=x"),
        ({"AZURE_STORAGE_ANON": "true"}, "https://two.blob.core.windows.net/"),
    ],
)
def test_an_account_of_a_url_is_asked_with_what_the_environment_gives(
    settings: dict[str, str], url: str, alone: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        alone.setenv(name, value)
    key = StoreKey.of("abfss://photos@two.dfs.core.windows.net/a.png")
    assert key.open(QUICK).service_client.url == url
    PatientAzure.clear_instance_cache()


@pytest.mark.parametrize("name", ["a?b#c.png", "a#b?c", "a/?versionid=1", "100%25", "https:__x"])
def test_a_path_is_taken_letter_for_letter(name: str, alone: pytest.MonkeyPatch) -> None:
    alone.setenv("AZURE_STORAGE_ACCOUNT_NAME", "one")
    alone.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
    for root in ("az://photos", "abfss://photos@one.dfs.core.windows.net"):
        key = StoreKey.of(f"{root}/{name}")
        path = key.path_of(f"{root}/{name}")
        assert key.open(QUICK).split_path(path) == ("photos", name, None)
        assert key.path_of(key.uri_of(path)) == path
    PatientAzure.clear_instance_cache()
