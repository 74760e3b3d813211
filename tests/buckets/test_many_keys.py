"""Folders of very many keys on servers that others wrote: each key is listed, and in order."""

import io
import pathlib
import tarfile
from collections.abc import Iterator, Sequence

import pytest

from imgcls_beam.listing import list_images
from imgcls_beam.options import InputOptions
from tests.built_servers import BuiltServer, serve
from tests.extent import choose
from tests.servers import BUCKET

pytestmark = [pytest.mark.long(minutes=1), pytest.mark.timeout(1800)]

KEYS = {"minio": choose(100_000, 20_000), "fake-gcs": 1_500, "azurite": 6_000}
"""Pages of 1,000 from MinIO, one of all keys from fake-gcs-server, of 5,000 from Azurite.

fake-gcs-server compares each new object with all that it has, and Azurite is given them one by one,
15 ms each: more would take minutes and tell no more.
"""


def _names(count: int) -> Iterator[str]:
    """In the order of their UTF-8."""
    return (f"many/{number:06d} ü#?.png" for number in range(count))


@pytest.mark.parametrize("name", KEYS)
def test_very_many_keys_in_one_folder_are_listed_in_order(
    name: str, tmp_path: pathlib.Path
) -> None:
    names = list(_names(KEYS[name]))
    if name == "fake-gcs":
        (tmp_path / BUCKET / "many").mkdir(parents=True)
        for each in names:
            (tmp_path / BUCKET / each).write_bytes(b"x")
    with serve(name, tmp_path) as server:
        {"minio": _pack, "azurite": _put}.get(name, _leave)(server, names)
        root = server.root.replace("az://", "abfs://")
        refs = list_images(InputOptions((f"{server.root}/many",)))
        for ref, each in zip(refs, names, strict=True):
            assert getattr(ref, "uri", ref) == f"{root}/{each}"


def _leave(server: BuiltServer, names: Sequence[str]) -> None:
    """They are there."""


def _pack(server: BuiltServer, names: Sequence[str]) -> None:
    """MinIO unpacks an archive into objects."""
    more = {"Key": "many.tar", "Metadata": {"snowball-auto-extract": "true"}}
    for batch in _split(names):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name in batch:
                member = tarfile.TarInfo(name)
                member.size = 1
                archive.addfile(member, io.BytesIO(b"x"))
        server.store.call_s3("put_object", Bucket=BUCKET, Body=packed.getvalue(), **more)


def _put(server: BuiltServer, names: Sequence[str]) -> None:
    for batch in _split(names):
        server.fill(dict.fromkeys(batch, b"x"))


def _split(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Few enough for one request of a busy server."""
    return (names[start : start + 2_000] for start in range(0, len(names), 2_000))
