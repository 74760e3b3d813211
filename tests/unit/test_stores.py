"""One way to open a file system: one scheme, no chains, no cached listings."""

import sys

import fsspec
import pytest

from imgcls_beam.checks import SCHEMES
from imgcls_beam.errors import ConfigError
from imgcls_beam.listing import list_images
from imgcls_beam.options import InputOptions
from imgcls_beam.stores import open_store


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
    **dict.fromkeys(("gs", "gcs"), ("gcsfs", "imgcls_beam[gcp]")),
    **dict.fromkeys(("s3", "s3a"), ("s3fs", "imgcls_beam[s3]")),
    **dict.fromkeys(("az", "abfs", "abfss"), ("adlfs", "fsspec package")),
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_opens_or_says_what_to_install(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if scheme not in PACKAGES:
        store, _ = open_store("input", f"{scheme}://datasets/owner/name/a.jpg")
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
