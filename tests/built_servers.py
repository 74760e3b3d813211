"""Servers that others wrote: `make servers` builds them, and here they are started.

`with serve("minio") as server:` (or `"fake-gcs"`, `"azurite"`) starts one on loopback with an empty
bucket, and points s3fs, gcsfs, adlfs and Google's clients at it, those of child processes too.

IMGCLS_SERVERS_REQUIRED   set: a server that is not there is a failure, none of its tests skipped
"""

import base64
import contextlib
import dataclasses
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping

import fsspec.asyn
import pytest

from imgcls_beam.stores import StoreKey
from tests.children import start_server
from tests.servers import BUCKET, lead_to

FOLDER = pathlib.Path(__file__).parent.parent / ".servers"
PROGRAMS = {
    "minio": FOLDER / "bin" / "minio",
    "fake-gcs": FOLDER / "bin" / "fake-gcs-server",
    "azurite": FOLDER / "node_modules" / ".bin" / "azurite-blob",
}
SKIPPED = "a server that others wrote is not there (`make servers` builds it): "
ACCOUNT, KEY = "imgcls", base64.b64encode(b"a key of the tests").decode()
_START_S = 60


@dataclasses.dataclass(frozen=True, slots=True)
class BuiltServer:
    """A store's server.

    Attributes:
        name: one of `PROGRAMS`.
        scheme: of its URLs.
        url: where clients find it.
        root: the bucket's URL.
    """

    name: str
    scheme: str
    url: str
    root: str

    @property
    def store(self) -> fsspec.AbstractFileSystem:
        """The bucket's file system, as the programs open it."""
        return StoreKey.of(self.root).open()

    def fill(self, objects: Mapping[str, bytes]) -> None:
        """Makes objects: content by name."""
        store, below = self.store, StoreKey.of(self.root).path_of(self.root)
        store.pipe({f"{below}/{name}": data for name, data in objects.items()})


def is_built(name: str) -> bool:
    """Whether a program is there, with what it needs to start."""
    return PROGRAMS[name].exists() and (name != "azurite" or shutil.which("node") is not None)


def need(name: str) -> None:
    """Skips the test where a server is not there; fails it where it has to be."""
    if not is_built(name):
        (pytest.fail if os.environ.get("IMGCLS_SERVERS_REQUIRED") else pytest.skip)(SKIPPED + name)


@contextlib.contextmanager
def serve(name: str, data: pathlib.Path | None = None) -> Iterator[BuiltServer]:
    """A server with an empty bucket, and the environment that leads to it.

    Args:
        name: one of `PROGRAMS`.
        data: of fake-gcs: what it has from the start, as files `BUCKET/name`.
    """
    need(name)
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as empty:
        folder = str(data or empty)
        serving = {"minio": _serve_minio, "fake-gcs": _serve_fake_gcs, "azurite": _serve_azurite}
        with serving[name](folder) as server:
            yield server


@contextlib.contextmanager
def _serve_minio(folder: str) -> Iterator[BuiltServer]:
    address = f"127.0.0.1:{_find_port()}"
    command = ["server", folder, "--address", address, "--console-address", "127.0.0.1:0"]
    settings = {
        "MINIO_ROOT_USER": "testing",
        "MINIO_ROOT_PASSWORD": "testing-secret",
        # With a key of its own it can encrypt, as S3 does with KMS.
        "MINIO_KMS_SECRET_KEY": f"tests:{base64.b64encode(bytes(32)).decode()}",
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
    }
    variables = {
        "AWS_ENDPOINT_URL": f"http://{address}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }
    with _run("minio", command, address, settings), lead_to("s3", variables):
        server = BuiltServer("minio", "s3", f"http://{address}", f"s3://{BUCKET}")
        server.store.call_s3("create_bucket", Bucket=BUCKET)
        yield server


@contextlib.contextmanager
def _serve_fake_gcs(folder: str) -> Iterator[BuiltServer]:
    port = _find_port()
    url = f"http://127.0.0.1:{port}"
    command = ["-scheme=http", "-host=127.0.0.1", f"-port={port}", f"-public-host=127.0.0.1:{port}"]
    command += [f"-external-url={url}", "-backend=memory", "-log-level=error", f"-data={folder}"]
    (pathlib.Path(folder) / BUCKET).mkdir(exist_ok=True)
    variables = {
        "STORAGE_EMULATOR_HOST": url,
        "NO_GCE_CHECK": "true",
        "GOOGLE_CLOUD_PROJECT": "imgcls-test",
    }
    with _run("fake-gcs", command, f"127.0.0.1:{port}", {}), lead_to("gs", variables):
        yield BuiltServer("fake-gcs", "gs", url, f"gs://{BUCKET}")


@contextlib.contextmanager
def _serve_azurite(folder: str) -> Iterator[BuiltServer]:
    port = _find_port()
    url = f"http://127.0.0.1:{port}/{ACCOUNT}"
    command = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--silent"]
    # Microsoft puts out clients of a newer protocol before the server that knows it.
    command += ["--location", folder, "--skipApiVersionCheck"]
    settings = {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"}
    endpoint = f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={url};"
    variables = {
        "AZURE_STORAGE_CONNECTION_STRING": f"DefaultEndpointsProtocol=http;{endpoint}",
    }
    with _run("azurite", command, f"127.0.0.1:{port}", settings), lead_to("az", variables):
        server = BuiltServer("azurite", "az", url, f"az://{BUCKET}")
        store = server.store
        fsspec.asyn.sync(store.loop, store.service_client.create_container, BUCKET)
        yield server


def _find_port() -> int:
    """A free port; these servers do not say which they took."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


@contextlib.contextmanager
def _run(
    name: str, arguments: list[str], address: str, settings: Mapping[str, str]
) -> Iterator[None]:
    """A server process that answers; what it says goes to a file, which is shown if it ends."""
    with (
        tempfile.TemporaryFile("w+") as said,
        start_server(
            [str(PROGRAMS[name]), *arguments],
            env={**os.environ, **settings},
            stdout=said,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            _wait_until_it_answers(f"http://{address}/", process.poll)
            yield
        except BaseException:
            said.seek(0)
            print(said.read()[-2000:])  # noqa: T201  pytest shows it beside the failure
            raise
        finally:
            process.kill()


def _wait_until_it_answers(url: str, poll: Callable[[], int | None]) -> None:
    for _ in range(_START_S * 10):
        if poll() is not None:
            raise AssertionError("the server did not start")
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{url} does not answer")
