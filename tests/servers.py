"""Object stores of the tests: S3 and GCS servers on loopback, each a process of its own.

`with serve_s3() as server:` (or `serve_gcs()`) starts one with an empty bucket and points s3fs,
gcsfs and Google's clients at it, those of child processes too; at the end all is as it was.
"""

import base64
import contextlib
import dataclasses
import http.client
import importlib
import json
import pathlib
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import fsspec
import pytest

from imgcls_beam.stores import StoreKey
from tests.children import start_server

BUCKET = "imgcls-test"
_HOME = pathlib.Path(__file__).parent.parent
_FILL_AT_ONCE = 2_000


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """A store's server.

    Attributes:
        scheme: `s3` or `gs`.
        port: on 127.0.0.1.
        folder: where a GCS server keeps its objects as files, `<bucket>/<name>`; None in memory.
    """

    scheme: str
    port: int
    folder: pathlib.Path | None = None

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def root(self) -> str:
        """The bucket's URL."""
        return f"{self.scheme}://{BUCKET}"

    @property
    def store(self) -> fsspec.AbstractFileSystem:
        """The bucket's file system, as the programs open it."""
        return StoreKey.of(self.root).open()

    def fill(self, objects: Mapping[str, bytes], bucket: str = BUCKET, **more: str) -> None:
        """Makes objects: 10,000 small ones in about two seconds.

        Args:
            objects: content by name.
            bucket: made where it is not there.
            more: of each object: on GCS fields of its resource, `contentEncoding="gzip"`, or
                `componentCount="2"` for one without MD5; on S3 `encryption="aws:kms"`.
        """
        items = list(objects.items())
        for start in range(0, max(len(items), 1), _FILL_AT_ONCE):
            texts = {
                name: base64.b64encode(data).decode()
                for name, data in items[start : start + _FILL_AT_ONCE]
            }
            self._tell("fill", {"bucket": bucket, "objects": texts, "more": more})

    def take_asked(self) -> list[str]:
        """The requests since this was last called: method, path and query, unquoted.

        Answers that were to be spoiled and were not yet are forgotten.
        """
        asked: list[str] = self._tell("asked", {})
        return asked

    def lose_answers(self, *patterns: str) -> None:
        """Carries out one request of each pattern and answers it 503, as if the answer was lost."""
        self._tell("spoil", {"how": "lose", "patterns": list(patterns)})

    def damage_answers(self, *patterns: str) -> None:
        """Gives another last byte in the answer to one request of each pattern."""
        self._tell("spoil", {"how": "damage", "patterns": list(patterns)})

    def spoil(self, how: str, *patterns: str, for_ever: bool = False) -> None:
        """Spoils one request of each pattern, or all of them until `take_asked`.

        Args:
            how: one of `controls.STATUSES` or `controls.ON_THE_WIRE`, `less`, `lose` or `damage`.
            patterns: regular expressions, of method, path and query.
            for_ever: whether all such requests are spoiled.
        """
        given = {"how": how, "patterns": list(patterns), "for_ever": for_ever}
        self._tell("spoil", given)

    def meet(self, pattern: str, number: int) -> None:
        """From now on such requests are answered when so many of them are in flight."""
        self._tell("meet", {"pattern": pattern, "number": number})

    def take_met(self) -> int:
        """How many requests were answered so; the others are answered alone from now on."""
        met: int = self._tell("met", {})
        return met

    @contextlib.contextmanager
    def disturbed(
        self, hows: Sequence[str], pattern: str = "", share: float = 0.3, seed: int = 0
    ) -> Iterator[None]:
        """Spoils a share of the requests, by chance, for as long as this lasts."""
        given = {"share": share, "hows": list(hows), "pattern": pattern, "seed": seed}
        self._tell("disturb", given)
        try:
            yield
        finally:
            self._tell("disturb", given | {"share": 0.0})

    def _tell(self, what: str, given: dict[str, Any]) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("POST", f"/-/{what}", json.dumps(given))
            return json.loads(connection.getresponse().read())


@contextlib.contextmanager
def serve_s3() -> Iterator[Server]:
    """An S3 server with an empty bucket, and the environment that leads to it."""
    with _run("tests.s3") as port:
        server = Server("s3", port)
        variables = {
            "AWS_ENDPOINT_URL": server.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }
        with lead_to(server.scheme, variables):
            server.fill({})
            yield server


@contextlib.contextmanager
def serve_gcs(folder: pathlib.Path | None = None) -> Iterator[Server]:
    """A GCS server with an empty bucket, and the environment that leads to it.

    Args:
        folder: where objects are kept as files, for other programs to read; none: in memory, which
            is faster, and where any name may be an object beside any other.
    """
    with _run("tests.gcs", *([str(folder)] if folder else [])) as port:
        kept = folder / ".cloudstorage" if folder else None
        server = Server("gs", port, kept)
        variables = {
            "STORAGE_EMULATOR_HOST": server.url,
            "NO_GCE_CHECK": "true",
            "GOOGLE_CLOUD_PROJECT": "imgcls-test",
        }
        with lead_to(server.scheme, variables):
            server.fill({})
            yield server


@contextlib.contextmanager
def _run(module: str, *arguments: str) -> Iterator[int]:
    """A server process; the port that it says on its first line."""
    command = [sys.executable, "-m", module, *arguments]
    with start_server(
        command, cwd=_HOME, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, f"{module} did not start; run `python -m {module}` to see why"
            yield int(line)
        finally:
            process.kill()


@contextlib.contextmanager
def lead_to(scheme: str, variables: dict[str, str]) -> Iterator[None]:
    """Sets the environment, and lets go of clients that were made for another server."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        forget_clients(scheme)
        yield
    forget_clients(scheme)


def forget_clients(scheme: str) -> None:
    """Lets go of the clients that were made: they keep credentials and endpoint of that time."""
    module, name = {
        "s3": ("s3_client", "PatientS3"),
        "gs": ("gcs_client", "PatientGcs"),
        "az": ("azure_client", "PatientAzure"),
    }[scheme]
    fsspec.get_filesystem_class(scheme).clear_instance_cache()
    client = importlib.import_module(f"imgcls_beam.stores.{module}")
    getattr(client, name).clear_instance_cache()
