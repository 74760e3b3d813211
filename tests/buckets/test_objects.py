"""Objects of servers that others wrote: listed, read, written under conditions, moved, removed."""

import asyncio
import dataclasses
from typing import Any

import pytest
from fsspec.asyn import sync

from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import ConfigError, FailureCode
from imgcls_beam.listing import check_inputs, list_images
from imgcls_beam.options import InputOptions, ReadOptions
from imgcls_beam.reading import look_up_versions, read_images
from imgcls_beam.stores import check_store, open_folder
from tests import by_url
from tests.built_servers import BuiltServer
from tests.servers import BUCKET
from tests.services.test_compare_and_swap import race, race_to_move

NAMES = (
    *("a b.png", "ü::x#1.png", "what?.png", "100%25 &+;=.png", "c[1]*.png", "x?y#z.png", "#.png"),
    *("sub/emoji 😀.png", "sub/deep/quote'\".png", "sub-1.png"),
)
ONCE = ReadOptions(tries=1)


def _list(url: str) -> list[ImageRef]:
    refs = list(list_images(InputOptions((url,))))
    assert not [each for each in refs if isinstance(each, Failure)]
    return [each for each in refs if isinstance(each, ImageRef)]


def _read(*refs: ImageRef) -> list[bytes | FailureCode]:
    read = read_images(refs, ONCE)
    return [each.data if isinstance(each, EncodedImage) else each.code for each in read]


@pytest.fixture(scope="module")
def names(server: BuiltServer) -> str:
    server.fill({f"names [1]/{name}": name.encode() for name in NAMES})
    return f"{server.root}/names [1]".replace("az://", "abfs://")


def test_what_is_listed_is_read_whatever_its_name(names: str, server: BuiltServer) -> None:
    refs = _list(f"{server.root}/names [1]")
    expected = sorted(NAMES, key=str.encode)
    assert [ref.uri for ref in refs] == [f"{names}/{name}" for name in expected]
    assert _read(*refs) == [name.encode() for name in expected]
    alone = [ImageRef(ref.uri) for ref in refs]
    assert _read(*alone) == _read(*refs)
    assert all(ref.version and ref.updated_at and ref.checksum for ref in refs)
    found = [each for each in look_up_versions(alone, ONCE) if isinstance(each, ImageRef)]
    assert [_without_time(each) for each in found] == [_without_time(each) for each in refs]


def _without_time(ref: ImageRef) -> ImageRef:
    """S3 gives seconds when it is asked for one object, and parts of them in a listing."""
    return dataclasses.replace(ref, updated_at=None)


def test_a_pattern_lists_what_it_matches(names: str) -> None:
    for pattern, expected in {
        "names [[]1]/sub/*.png": ["sub/emoji 😀.png"],
        "names*/**/*e*.png": ["sub/deep/quote'\".png", "sub/emoji 😀.png"],
        "names [1]/c[1]*.png": ["c[1]*.png"],  # an object of this very name
    }.items():
        refs = _list(names.replace("names [1]", pattern))
        assert [ref.uri for ref in refs] == [f"{names}/{name}" for name in expected]


def test_an_object_that_was_replaced_or_removed_is_a_row_of_its_own(server: BuiltServer) -> None:
    server.fill({f"changed/{name}.png": b"first" for name in ("gone", "new", "old")})
    refs = _list(f"{server.root}/changed")
    server.fill({"changed/new.png": b"other"})
    by_url.remove_files([refs[0].uri])
    assert _read(*refs) == [FailureCode.NOT_FOUND, FailureCode.CHANGED, b"first"]


def test_an_object_without_bytes_is_said_to_be_empty_whether_listed_or_not(
    server: BuiltServer,
) -> None:
    server.fill({"empty/a.png": b"", "empty/b.png": b"x"})
    refs = _list(f"{server.root}/empty")
    empty = FailureCode.EMPTY
    assert _read(*refs, ImageRef(refs[0].uri)) == [empty, b"x", empty]


def test_what_is_not_there_is_refused(server: BuiltServer) -> None:
    check_store("input", server.root)
    for url, said in {
        f"{server.scheme}://no-such-bucket/a": "there is no bucket no-such-bucket",
        f"{server.root}/gone.jpg": "there is no such file or folder",
    }.items():
        with pytest.raises(ConfigError, match=said):
            check_inputs(InputOptions((url,)))
    with pytest.raises(ConfigError, match="there is no bucket no-such-bucket"):
        check_store("input", f"{server.scheme}://no-such-bucket/a")


def test_one_of_twenty_creates_and_one_of_twenty_replaces_a_record(server: BuiltServer) -> None:
    url = f"{server.root}/race/runs/run 1#a?b.json"
    (winner,) = race(url, None)
    data, etag = by_url.read_with_etag(url)
    assert data == f"racer {winner}".encode()
    (winner,) = race(url, etag, "later")
    assert by_url.read_with_etag(url)[0] == f"later {winner}".encode()
    assert race(url, etag, "late") == []
    by_url.remove_files([url])
    assert race(url, etag, "too late") == []


def test_files_are_written_moved_listed_and_removed(server: BuiltServer) -> None:
    folder = open_folder("output", f"{server.root}/files [1]")
    data = bytes(range(256)) * 40_000
    with folder.open_new("a b/part?.bin") as target:
        target.write(data)
    folder.write("a b/small#.json", b"{}")
    folder.move("a b/part?.bin", "c/moved *.bin")
    assert folder.list_names() == ["a b/small#.json", "c/moved *.bin"]
    assert folder.list_folders("") == ["a b", "c"]
    assert folder.find_size("c/moved *.bin") == len(data)
    assert folder.find_size("a b/part?.bin") is None
    with folder.open_existing("c/moved *.bin") as source:
        source.seek(len(data) - 10)
        assert source.read() == data[-10:]
    with pytest.raises(FileExistsError):
        folder.move_new("a b/small#.json", "c/moved *.bin")
    folder.remove_below("c")
    folder.remove("a b/small#.json", "a b/gone")
    assert folder.list_names() == folder.list_folders("") == []


@pytest.mark.parametrize("server", ["minio"], indirect=True)
def test_of_a_bucket_with_versions_the_live_objects_are_read(server: BuiltServer) -> None:
    store: Any = server.store
    store.call_s3("create_bucket", Bucket="versioned")
    versioning = {"Status": "Enabled"}
    store.call_s3("put_bucket_versioning", Bucket="versioned", VersioningConfiguration=versioning)
    url = "s3://versioned/photos/a.png"
    for data in (b"first", b"other"):
        by_url.write_file(url, data)
    (ref,) = _list("s3://versioned/photos")
    assert _read(ref) == [b"other"]
    by_url.remove_files([url])  # a marker of the deletion stands there now
    assert _read(ref) == [FailureCode.NOT_FOUND]
    by_url.write_file(url, b"third")
    assert _read(ref) == [FailureCode.CHANGED]


@pytest.mark.parametrize("server", ["minio"], indirect=True)
@pytest.mark.parametrize("how", ["AES256", "aws:kms"])
def test_encrypted_objects_are_read(server: BuiltServer, how: str) -> None:
    folder = how.replace(":", "-")
    server.store.call_s3(
        "put_object", Bucket=BUCKET, Key=f"{folder}/a.png", Body=b"secret", ServerSideEncryption=how
    )
    (ref,) = _list(f"{server.root}/{folder}")
    assert _read(ref, ImageRef(ref.uri)) == [b"secret", b"secret"]


@pytest.mark.parametrize("server", ["azurite"], indirect=True)
def test_a_blob_that_stands_for_a_folder_is_none(server: BuiltServer) -> None:
    """Accounts with a hierarchical namespace list their folders so."""
    server.fill({"tree/folder.png/a.png": b"x"})
    store: Any = server.store
    blob = store.service_client.get_blob_client(BUCKET, "tree/folder.png")
    sync(store.loop, blob.upload_blob, b"", metadata={"hdi_isfolder": "true"})
    for url in ("tree", "tree/*/a.png", "tree/folder.png"):
        (ref,) = _list(f"{server.root}/{url}")
        assert ref.uri.endswith("/tree/folder.png/a.png")


@pytest.mark.parametrize("server", ["azurite"], indirect=True)
def test_an_archived_object_says_so(server: BuiltServer) -> None:
    server.fill({"archive/a.png": b"bytes"})
    store: Any = server.store
    blob = store.service_client.get_blob_client(BUCKET, "archive/a.png")
    sync(store.loop, blob.set_standard_blob_tier, "Archive")
    assert _read(*_list(f"{server.root}/archive")) == [FailureCode.ARCHIVED]


@pytest.mark.parametrize("server", ["azurite"], indirect=True)
def test_a_copy_that_azure_has_only_begun_is_waited_for(
    server: BuiltServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.fill({"copy/a.bin": b"bytes"})
    folder = open_folder("output", f"{server.root}/copy")
    client = type(folder.store.service_client.get_blob_client(BUCKET, "x"))
    begin, finished = client.start_copy_from_url, []

    async def begin_slowly(self: Any, url: str) -> dict[str, Any]:
        async def finish() -> None:
            await asyncio.sleep(0.2)
            await begin(self, url)
            finished.append(True)

        await self.upload_blob(b"", overwrite=True)
        copying = asyncio.ensure_future(finish())
        look_up = type(self).get_blob_properties

        async def look(self: Any) -> Any:
            await copying
            return await look_up(self)

        monkeypatch.setattr(client, "get_blob_properties", look)
        return {"copy_status": "pending"}

    monkeypatch.setattr(client, "start_copy_from_url", begin_slowly)
    folder.move("a.bin", "b.bin")
    monkeypatch.undo()
    assert finished == [True]
    with folder.open_existing("b.bin") as source:
        assert source.read() == b"bytes"


def test_a_file_is_moved_to_a_new_place_by_one(
    server: BuiltServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MinIO and fake-gcs-server know no such condition of a copy, which S3 and GCS have."""
    winners = race_to_move(f"{server.root}/moved/lines.jsonl", monkeypatch)
    assert len(winners) == 1 if server.scheme == "az" else winners
