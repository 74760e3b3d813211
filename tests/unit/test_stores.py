"""One way to open a file system: one scheme, no chains, no cached listings."""

import ftplib
import sys
import types
from typing import Any

import fsspec
import pytest
from fsspec.implementations.ftp import FTPFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry

from imgcls_beam.checks import SCHEMES
from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.errors import ConfigError, FailureCode
from imgcls_beam.listing import list_images
from imgcls_beam.options import InputOptions, ReadOptions
from imgcls_beam.reading import read_images
from imgcls_beam.stores import StoreKey, open_store


@pytest.mark.parametrize(
    ("url", "protocol", "path"),
    [
        ("/a/b.jpg", "file", "/a/b.jpg"),
        ("file:///a/b.jpg", "file", "/a/b.jpg"),
        ("FILE:///a/B.jpg", "file", "/a/B.jpg"),
        ("local:///a", "file", "/a"),
        ("memory://b/c", "memory", "/b/c"),
        ("/a/what?x=1&y#z", "file", "/a/what?x=1&y#z"),
        ("/a/b c://d", "file", "/a/b c://d"),
        ("/a/x::y.jpg", "file", "/a/x::y.jpg"),
    ],
)
def test_a_url_is_a_scheme_and_a_path(url: str, protocol: str, path: str) -> None:
    store, found = open_store("input", url)
    protocols = (store.protocol,) if isinstance(store.protocol, str) else store.protocol
    assert protocol in protocols
    assert found == path


@pytest.mark.parametrize(
    "url",
    [
        "simplecache::https://192.0.2.1/a.jpg",
        "filecache::http://192.0.2.1/a.jpg",
        "zip://a.jpg::https://192.0.2.1/x.zip",
        "blockcache::file:///etc/passwd",
    ],
)
def test_a_chain_is_never_followed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(fsspec, "filesystem", _watch(fsspec.filesystem, opened))
    with pytest.raises(ConfigError):
        list(list_images(InputOptions((url,))))
    assert set(opened) <= {"file"}


def _watch(open_filesystem: object, opened: list[str]) -> object:
    def watched(protocol: str, **options: object) -> object:
        opened.append(protocol)
        return open_filesystem(protocol, **options)  # type: ignore[operator]

    return watched


PACKAGES = {
    **dict.fromkeys(("gs", "gcs"), ("gcsfs", "pip install gcsfs")),
    **dict.fromkeys(("s3", "s3a"), ("s3fs", "pip install s3fs")),
    **dict.fromkeys(("az", "abfs", "abfss"), ("adlfs", "pip install adlfs")),
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_opens_or_says_what_to_install(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if scheme not in PACKAGES:
        host = "" if scheme in ("file", "local") else "datasets"
        store, _ = open_store("input", f"{scheme}://{host}/owner/name/a.jpg")
        assert isinstance(store, fsspec.AbstractFileSystem)
        return
    package, advice = PACKAGES[scheme]
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, scheme, raising=False)
    with pytest.raises(ConfigError, match="nothing installed reads") as caught:
        open_store("output", f"{scheme}://bucket/a.jpg")
    assert advice in caught.value.problem
    assert (caught.value.option, caught.value.value) == ("output", f"{scheme}://bucket/a.jpg")


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing installed reads nonsense://"):
        open_store("input", "nonsense://a/b")


def test_a_store_forgets_what_it_listed() -> None:
    store, _ = open_store("input", "memory://listing")
    assert store.dircache.use_listings_cache is False


@pytest.mark.parametrize(
    ("key", "urls"),
    [
        (StoreKey("file"), ["/a/b.jpg", "file:///a", "LOCAL:///b", "simplecache::gs://a/b"]),
        (StoreKey("memory"), ["memory://a/b", "memory:///c"]),
        (StoreKey("gs"), ["gs://a/b", "gcs://c/d#7", "GS://a/b?generation=7"]),
        (StoreKey("s3"), ["s3://a/b", "s3a://c/d?versionId=7"]),
        (StoreKey("hf"), ["hf://datasets/o/n/a.jpg", "hf://o/n@main/a.jpg"]),
        (StoreKey("http"), ["http://a/b", "https://c/d?e#f", "https://me@c:8443/d"]),
        (StoreKey("ftp", "a"), ["ftp://a/b", "FTP://a/c?d#e", "ftp://a"]),
        (StoreKey("ftp", "me@a:2121"), ["ftp://me@a:2121/b"]),
        (StoreKey("webhdfs", "a:9870"), ["webhdfs://a:9870/b"]),
    ],
)
def test_a_store_is_what_one_client_reads(key: StoreKey, urls: list[str]) -> None:
    assert {StoreKey.of(url) for url in urls} == {key}


def test_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match="a password in a URL would stand in every row") as caught:
        open_store("input", "ftp://me:secret@host/a")
    assert "secret" not in str(caught.value)
    assert "ftp://me:…@host/a" in str(caught.value)


class AwayStore(FTPFileSystem):  # type: ignore[misc]
    asked = 0

    def _connect(self) -> None:
        AwayStore.asked += 1
        self.ftp = ftplib.FTP()
        raise ConnectionRefusedError("nobody listens there")


def test_a_host_that_is_away_is_one_sentence_or_a_row_that_was_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(_registry, "ftp", AwayStore)
    with pytest.raises(ConfigError, match="its host does not answer, or refuses"):
        list(list_images(InputOptions(("ftp://away/a",), allow_schemes=("ftp",))))
    AwayStore.asked = 0
    options = ReadOptions(tries=3, first_wait_s=0, allow_schemes=("ftp",))
    failures = read_images([ImageRef("ftp://away/a.jpg"), ImageRef("ftp://away/b.jpg")], options)
    for failure in failures:
        assert isinstance(failure, Failure)
        assert (failure.code, failure.tries) == (FailureCode.UNAVAILABLE, 3)
    assert AwayStore.asked == 1 + 2 * 2  # the first try of both, and two more of each


class AccountStore(MemoryFileSystem):  # type: ignore[misc]
    """As adlfs: it goes where a connection string of the environment leads."""

    protocol = "accounts"

    def __init__(self, account_name: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.service_client = types.SimpleNamespace(account_name="of-the-environment")

    @staticmethod
    def _get_kwargs_from_urls(url: str) -> dict[str, str]:
        return {"account_name": url.removeprefix("accounts://").partition("/")[0]}


def test_the_credentials_of_another_account_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_registry, "accounts", AccountStore)
    open_store("input", "accounts://of-the-environment/a.jpg")
    with pytest.raises(ConfigError, match="leads to another account"):
        open_store("input", "accounts://mine/a.jpg")
