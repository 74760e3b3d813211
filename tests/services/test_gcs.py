"""What only GCS has: generations, composed objects, objects kept as gzip."""

import gzip
import os
import subprocess
import sys

import pytest

from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import FailureCode
from imgcls_beam.listing import list_images
from imgcls_beam.options import InputOptions, ReadOptions
from imgcls_beam.reading import look_up_versions, read_images
from tests.servers import Server

_LONG = b"an image " * 1_000


def _list(url: str) -> ImageRef:
    (ref,) = list_images(InputOptions(inputs=(url,)))
    assert isinstance(ref, ImageRef)
    return ref


def _read(ref: ImageRef, max_bytes: int = 1_000_000) -> EncodedImage | Failure:
    options = ReadOptions(tries=2, first_wait_s=0.01, max_bytes=max_bytes)
    (result,) = read_images([ref], options)
    return result


def test_the_version_is_the_generation_whether_listed_or_looked_up(gcs_server: Server) -> None:
    gcs_server.fill({"generation/a.png": b"first"})
    listed = _list(f"{gcs_server.root}/generation")
    (looked_up,) = look_up_versions([ImageRef(listed.uri)], ReadOptions())
    assert isinstance(looked_up, ImageRef)
    gcs_server.take_asked()
    look_up_versions([ImageRef(listed.uri)], ReadOptions())
    assert len(gcs_server.take_asked()) == 1
    info = gcs_server.store.info(listed.uri)
    assert listed.version == looked_up.version == info["generation"]


def test_a_composed_object_is_checked_by_its_crc(gcs_server: Server) -> None:
    gcs_server.fill({"composed/a.png": b"first"}, componentCount="2")
    ref = _list(f"{gcs_server.root}/composed")
    assert ref.checksum == "crc32c:ij6hUA=="
    gcs_server.damage_answers("^GET /download/.*a.png")
    read = _read(ref)
    assert isinstance(read, EncodedImage)
    assert (read.data, read.tries) == (b"first", 2)
    gcs_server.fill({"composed/a.png": b"other"}, componentCount="2")
    failure = _read(ref)
    assert isinstance(failure, Failure)
    assert failure.code is FailureCode.CHANGED


@pytest.mark.parametrize("status", ["429", "500", "503"])
def test_a_busy_store_is_asked_again_whatever_its_page_says(
    gcs_server: Server, status: str
) -> None:
    """gcsfs takes one with the word "invalid" for a fault of the name."""
    gcs_server.fill({"busy/a.png": b"image"})
    gcs_server.spoil(status, "^GET .*busy/a.png")
    read = _read(ImageRef(f"{gcs_server.root}/busy/a.png"))
    assert isinstance(read, EncodedImage)
    assert (read.data, read.tries) == (b"image", 2)
    gcs_server.spoil(status, "^GET /storage/.*busy/a.png")
    assert gcs_server.store.info(f"{gcs_server.root}/busy/a.png")["size"] == 5


@pytest.mark.parametrize("is_listed", [True, False])
def test_what_is_kept_as_gzip_is_read_unpacked(gcs_server: Server, is_listed: bool) -> None:
    gcs_server.fill({"gzip/a.png": gzip.compress(_LONG)}, contentEncoding="gzip")
    url = f"{gcs_server.root}/gzip/a.png"
    ref = _list(f"{gcs_server.root}/gzip") if is_listed else ImageRef(url)
    assert (ref.size_bytes, ref.checksum) == (None, None)
    read = _read(ref)
    assert isinstance(read, EncodedImage)
    assert read.data == _LONG
    failure = _read(ref, max_bytes=len(_LONG) - 1)
    assert isinstance(failure, Failure)
    assert failure.code is FailureCode.TOO_MANY_BYTES


@pytest.mark.parametrize(("start", "end"), [(0, 10), (5, 10), (None, 7), (90, 300)])
def test_of_what_is_kept_as_gzip_no_more_is_unpacked_than_was_asked_for(
    gcs_server: Server, start: int | None, end: int
) -> None:
    data = bytes(range(200))
    gcs_server.fill({"stretch/a.png": gzip.compress(data)}, contentEncoding="gzip")
    path = f"{gcs_server.root}/stretch/a.png"
    assert gcs_server.store.cat_file(path, start=start, end=end) == data[start:end]


def test_what_is_kept_as_gzip_and_has_changed_is_found_out(gcs_server: Server) -> None:
    gcs_server.fill({"packed/a.png": gzip.compress(_LONG)}, contentEncoding="gzip")
    ref = _list(f"{gcs_server.root}/packed")
    gcs_server.fill({"packed/a.png": gzip.compress(_LONG[::-1])}, contentEncoding="gzip")
    failure = _read(ref)
    assert isinstance(failure, Failure)
    assert failure.code is FailureCode.CHANGED


_TRIED = """
import os
import sys
from gcsfs.extended_gcsfs import ExtendedGcsFileSystem

def refuse(*given):
    os.write(2, b"the control API was asked")
    os._exit(3)

ExtendedGcsFileSystem._get_control_plane_client = refuse
from imgcls_beam.stores import open_folder

folder = open_folder("output", sys.argv[1])
folder.swap("a/record.json", b"{}", None, "scratch")
folder.move("a/record.json", "b/record.json")
with folder.open_existing("b/record.json") as file:
    print(file.read(), folder.list_names(), folder.list_folders(""), folder.find_size("b/c"))
folder.remove_below()
print(type(folder.store).__mro__)
"""


def _try_client(url: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """In a process that has gcsfs's settings as they are given here, and no others."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith("GCSFS_")} | settings
    command = [sys.executable, "-c", _TRIED, url]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120)


def test_no_control_api_is_asked_with_gcsfs_as_it_is_installed(gcs_server: Server) -> None:
    ended = _try_client(f"{gcs_server.root}/plain")
    assert ended.returncode == 0, ended.stderr
    assert "b'{}' ['b/record.json'] ['b'] None" in ended.stdout
    assert "ExtendedGcsFileSystem" not in ended.stdout


def test_who_asks_for_the_client_of_zonal_buckets_gets_it(gcs_server: Server) -> None:
    ended = _try_client(f"{gcs_server.root}/zonal", GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT="true")
    assert "the control API was asked" in ended.stderr
