"""Every scheme that may be read: what is listed is found again, by the URI that is in its row."""

import io
import pathlib
import string
import tarfile
import urllib.parse
from collections.abc import Iterator

import fsspec
import pytest
from fsspec.registry import _registry
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from imgcls_beam.checks import SCHEMES
from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.listing import list_images
from imgcls_beam.options import InputOptions, ManifestOptions, ReadOptions
from imgcls_beam.reading import look_up_versions, read_images
from imgcls_beam.stores import spell_uri
from tests.world import stores

ALLOWED = ("ftp", "sftp", "ssh", "smb", "webhdfs", "http", "https")

Root = tuple[str, str, str, str]
"""A folder's URL; how URIs below it begin; its host in the world; how its paths there begin."""


def _host(scheme: str, authority: str, host: str) -> Root:
    url = f"{scheme}://{authority}/photos"
    return url, url, host, "/photos/"


def _bucket(scheme: str, spelled: str, host: str, bucket: str, path: str) -> Root:
    return f"{scheme}://{bucket}/photos", f"{spelled}://{bucket}/photos", host, f"{path}photos/"


def _account(scheme: str, container: str, account: str, service: str = "dfs") -> Root:
    url = f"{scheme}://{container}@{account}.{service}.core.windows.net/photos"
    return url, url, account, f"{container}/photos/"


def _of_hosts(scheme: str, port: int) -> tuple[Root, ...]:
    return (
        _host(scheme, "one.example", f"@one.example:{port}"),
        _host(scheme, "two.example", f"@two.example:{port}"),
        _host(scheme, "one.example:2121", "@one.example:2121"),
        _host(scheme, "me@one.example", f"me@one.example:{port}"),
    )


def _of_azure(scheme: str) -> tuple[Root, ...]:
    return (
        _bucket(scheme, "abfs", "of-the-environment", "c", "c/"),
        _bucket(scheme, "abfs", "of-the-environment", "d", "d/"),
        _account(scheme, "c", "one"),
        _account(scheme, "c", "two"),
        _account(scheme, "d", "two", "blob"),
    )


def _of_buckets(scheme: str, spelled: str) -> tuple[Root, ...]:
    return tuple(_bucket(scheme, spelled, name, name, "") for name in ("one", "two"))


def _of_the_web(scheme: str) -> tuple[Root, ...]:
    urls = (f"{scheme}://one.example/photos", f"{scheme}://two.example:8080/photos")
    return tuple((url, url, "the web", f"{url}/") for url in urls)


ROOTS: dict[str, tuple[Root, ...]] = {
    **{"ftp": _of_hosts("ftp", 21), "sftp": _of_hosts("sftp", 22), "ssh": _of_hosts("ssh", 22)},
    **{"smb": _of_hosts("smb", 445), "webhdfs": _of_hosts("webhdfs", 50070)},
    **{scheme: _of_azure(scheme) for scheme in ("az", "abfs", "abfss")},
    **{scheme: _of_buckets(scheme, "s3") for scheme in ("s3", "s3a")},
    **{scheme: _of_buckets(scheme, "gs") for scheme in ("gs", "gcs")},
    **{scheme: _of_the_web(scheme) for scheme in ("http", "https")},
    "hf": tuple(
        _bucket("hf", "hf", "the hub", name, f"{name}/") for name in ("datasets/o/n", "o/n@v1")
    ),
}


@pytest.fixture(scope="module", autouse=True)
def world() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for scheme, kind in stores.KINDS.items():
            patch.setitem(_registry, scheme, kind)
            kind.clear_instance_cache()
        yield
        for kind in stores.KINDS.values():
            kind.clear_instance_cache()
    stores.HOSTS.clear()


def test_every_scheme_that_may_be_read_is_here() -> None:
    assert set(ROOTS) == {*SCHEMES, *ALLOWED} - {"file", "local", "memory"}


def _list(*urls: str) -> list[ImageRef]:
    found = list(list_images(InputOptions(urls, allow_schemes=ALLOWED)))
    assert not [each for each in found if isinstance(each, Failure)]
    return [each for each in found if isinstance(each, ImageRef)]


def _read(*refs: ImageRef) -> list[bytes | str]:
    options = ReadOptions(tries=1, allow_schemes=ALLOWED)
    read = read_images(refs, options)
    return [each.data if isinstance(each, EncodedImage) else str(each) for each in read]


def _check(expected: dict[str, bytes], *urls: str) -> None:
    """Lists folders; what was put there, and nothing else, is read by refs, and by URIs alone."""
    refs = _list(*urls)
    assert {ref.uri for ref in refs} == set(expected)
    assert len(refs) == len(expected)
    refs.sort(key=lambda ref: ref.uri[::-1])  # those of all stores among each other
    assert _read(*refs) == [expected[ref.uri] for ref in refs]
    alone = [ImageRef(ref.uri) for ref in refs]
    assert _read(*alone) == [expected[ref.uri] for ref in refs]
    assert [spell_uri(ref.uri) for ref in refs] == [ref.uri for ref in refs]
    looked_up = look_up_versions(alone, ReadOptions(allow_schemes=ALLOWED))
    assert [each for each in looked_up if isinstance(each, Failure)] == []
    assert _read(*(each for each in looked_up if isinstance(each, ImageRef))) == _read(*refs)


_PIECES = st.sampled_from(
    (*"ab7 .~+&=;,@:#?%*[]'!$é", *("::", "%20", "[1]", "ü", "😀", "..", "a/b", "a#/", "q?/", "x./"))
)
NAMES = st.lists(_PIECES, min_size=1, max_size=8).map(lambda pieces: "".join(pieces) + ".jpg")


def _can_have(scheme: str, name: str) -> bool:
    """Whether a store can have an object of this name, and its fsspec package can name it."""
    names = name.split("/")
    if any(each in ("", ".", "..") for each in names):
        return scheme in ("s3", "s3a", "gs", "gcs")
    if scheme in ("az", "abfs", "abfss"):  # adlfs hands on a?b#c as a#c?b, and a folder a# as a
        return "#" not in name.partition("?")[2] and not any(each[-1] in "#?" for each in names)
    return True


@pytest.mark.parametrize("scheme", ROOTS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(names=st.sets(NAMES, min_size=1, max_size=4))
def test_what_is_listed_is_found_again_and_no_authority_for_another(
    scheme: str, names: set[str]
) -> None:
    names = {name for name in names if _can_have(scheme, name)}
    if scheme in ("http", "https"):  # whose names are parts of URLs, quoted by their server
        names = {urllib.parse.quote(name) for name in names}
    assume(names and not any(a != b and b.startswith(f"{a}/") for a in names for b in names))
    stores.HOSTS.clear()
    expected: dict[str, bytes] = {}
    for index, (_, spelled, host, path) in enumerate(ROOTS[scheme]):
        for name in names:
            data = f"{index} {name}".encode()  # as long in every store
            stores.HOSTS.setdefault(host, {})[path + name] = data
            expected[f"{spelled}/{name}"] = data
    _check(expected, *(url for url, *_ in ROOTS[scheme]))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(names=st.sets(NAMES, min_size=1, max_size=4))
def test_disk_and_memory_are_found_again(
    tmp_path_factory: pytest.TempPathFactory, names: set[str]
) -> None:
    names = {name for name in names if _can_have("file", name)}
    assume(names and not any(a != b and b.startswith(f"{a}/") for a in names for b in names))
    folder = tmp_path_factory.mktemp("photos")
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    expected: dict[str, bytes] = {}
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        expected[f"file://{path}"] = f"0 {name}".encode()
        path.write_bytes(expected[f"file://{path}"])
        expected[f"memory:///photos/{name}"] = f"1 {name}".encode()
        memory.pipe_file(f"/photos/{name}", expected[f"memory:///photos/{name}"])
    _check(expected, f"local://{folder}", "memory://photos")
    memory.store.clear()


def _make_tar(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize("scheme", ["ftp", "sftp", "abfss", "http"])
def test_images_inside_objects_of_two_hosts_are_told_apart(scheme: str) -> None:
    stores.HOSTS.clear()
    roots = ROOTS[scheme][-2:]
    for index, (_, _, host, path) in enumerate(roots):
        tar = _make_tar("a.jpg", f"image {index}".encode())
        stores.HOSTS.setdefault(host, {})[f"{path}shard.tar"] = tar
    refs = _list(*(url for url, *_ in roots))
    assert [ref.uri for ref in refs] == [f"{root[1]}/shard.tar::a.jpg" for root in roots]
    assert _read(*refs) == [b"image 0", b"image 1"]


@pytest.mark.parametrize("scheme", ["ftp", "sftp", "smb", "webhdfs", "abfss", "http", "s3", "hf"])
def test_a_manifest_names_what_lies_beside_it_and_cannot_climb_to_another_host(
    scheme: str,
) -> None:
    stores.HOSTS.clear()
    for index, (_, _, host, path) in enumerate(ROOTS[scheme]):
        for name in ("a.jpg", "deep/m.txt"):
            text = f"image {index}" if name == "a.jpg" else "../a.jpg\n../../../../two.example/x\n"
            stores.HOSTS.setdefault(host, {})[path + name] = text.encode()
    for index, (url, spelled, *_) in enumerate(ROOTS[scheme]):
        manifest = ManifestOptions(f"{url}/deep/m.txt")
        beside, climbing = list_images(InputOptions(manifest=manifest, allow_schemes=ALLOWED))
        assert isinstance(beside, ImageRef)
        assert isinstance(climbing, ImageRef)
        assert beside.uri == f"{spelled}/a.jpg"
        assert _read(beside) == [f"image {index}".encode()]
        authority = "/".join(spelled.split("/")[:3])
        assert climbing.uri == f"{authority}/two.example/x"


@pytest.mark.parametrize(
    "uri",
    [
        "ftp:///a.jpg",
        "sftp://host:port/a.jpg",
        "ftp://[/a.jpg",
        "s3://[/a.jpg",
        "ftp://user:secret@one.example/photos/a.jpg",
        "abfss://c@one.dfs.core.chinacloudapi.cn/a.jpg",  # adlfs does not look at this host
    ],
)
def test_a_uri_whose_authority_names_no_store_is_a_failure_and_opens_none(uri: str) -> None:
    stores.HOSTS.clear()
    (failure,) = read_images([ImageRef(uri)], ReadOptions(allow_schemes=ALLOWED))
    assert isinstance(failure, Failure)
    assert failure.message in (
        "its URI names no store that can be opened; check its host and the credentials",
        "its URI has a user or a password in it; set credentials by the environment",
    )
    assert "secret" not in repr(failure)
    assert not stores.HOSTS


def test_the_names_are_odd_enough() -> None:
    """The pieces have what fsspec's parsers and globs look for."""
    pieces = "".join(_PIECES.elements)  # type: ignore[attr-defined]
    assert set("#?%*[]@: ./") <= set(pieces)
    assert set(pieces) - set(string.printable)
    assert pathlib.PurePosixPath("x./y").parts == ("x.", "y")
