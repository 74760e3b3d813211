"""What web servers answer, rightly and wrongly, and what becomes of the image."""

import http.server
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import FailureCode
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading import read_images
from imgcls_beam.stores import StoreKey, find_info, kind_of
from imgcls_beam.stores.client_faults import FaultKind

_OPTIONS = ReadOptions(tries=1, timeout_s=1.0, allow_schemes=("http",))

_IMAGE = bytes(range(100))


class Answers(http.server.BaseHTTPRequestHandler):
    """`/parts/N/HOW`: an image, N bytes of it at the most; `/status/N`: that status.

    HOW is `sized`, `unsized` (`Content-Range` does not say of how many), `changing` (another one at
    each request) or `elsewhere` (another stretch).

    `/reset`, `/stall`: no answer; `/garbled`: one that is no HTTP."""

    protocol_version = "HTTP/1.1"
    asked: list[str] = []  # noqa: RUF012
    is_over = threading.Event()

    def do_GET(self) -> None:
        Answers.asked.append(f"{self.command} {self.path}")
        _, what, *rest = self.path.split("/")
        self.close_connection = True
        if what == "status":
            self.send_response(int(rest[0]))
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif what == "parts":
            self._give_part(int(rest[0]), rest[1])
        elif what == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
        elif what == "stall":
            Answers.is_over.wait(10)
        elif what == "garbled":
            self.wfile.write(b"SSH-2.0-OpenSSH\r\n\r\n")

    do_HEAD = do_GET

    def _give_part(self, most: int, how: str) -> None:
        start, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        start += how == "elsewhere"
        data = _IMAGE[start : min(last + 1, start + most)]
        if start >= len(_IMAGE):
            self.send_error(416)
            return
        size = "*" if how == "unsized" else len(_IMAGE)
        self.send_response(206)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Range", f"bytes {start}-{start + len(data) - 1}/{size}")
        self.send_header("ETag", f'"{start if how == "changing" else 1}"')
        self.end_headers()
        self.wfile.write(data)

    def finish(self) -> None:
        if self.connection.fileno() >= 0:
            super().finish()

    def log_message(self, *given: object) -> None:
        """Says nothing."""


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    monkeypatch.setenv("IMGCLS_PRIVATE_HOSTS", "127.0.0.1")
    Answers.is_over.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield lambda path: f"http://127.0.0.1:{server.server_port}/{path}"
        Answers.is_over.set()
        server.shutdown()


def read(ref: ImageRef, options: ReadOptions = _OPTIONS) -> EncodedImage | Failure:
    (result,) = read_images([ref], options)
    return result


_LOOK_UPS = [
    ("status/404", FaultKind.NO_OBJECT),
    ("status/410", FaultKind.NO_OBJECT),
    ("status/401", FaultKind.DENIED),
    ("status/403", FaultKind.DENIED),
    ("status/405", FaultKind.OTHER),
    ("status/429", FaultKind.UNREACHABLE),
    ("status/500", FaultKind.UNREACHABLE),
    ("status/503", FaultKind.UNREACHABLE),
    ("reset", FaultKind.UNREACHABLE),
    ("stall", FaultKind.UNREACHABLE),
    ("garbled", FaultKind.UNREACHABLE),
]


@pytest.mark.parametrize(("path", "kind"), _LOOK_UPS)
def test_a_look_up_that_fails_says_why(
    url: Callable[[str], str], path: str, kind: FaultKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fsspec says of all of them that there is no such file."""
    monkeypatch.setenv("IMGCLS_STORE_TIMEOUT_S", "0.5")
    store = StoreKey.of(url(path)).open()
    with pytest.raises(Exception) as raised:
        find_info(store, url(path), is_object=True)
    assert kind_of(raised.value) is kind


@pytest.mark.parametrize("how", ["sized", "unsized"])
@pytest.mark.parametrize("most", [1, 40, 100, 1000])
def test_a_server_that_gives_parts_is_asked_until_all_is_there(
    url: Callable[[str], str], most: int, how: str
) -> None:
    read_image = read(ImageRef(url(f"parts/{most}/{how}")))
    assert isinstance(read_image, EncodedImage)
    assert read_image.data == _IMAGE


@pytest.mark.parametrize("how", ["changing", "elsewhere"])
def test_parts_that_do_not_belong_together_are_no_image(
    url: Callable[[str], str], how: str
) -> None:
    failure = read(ImageRef(url(f"parts/40/{how}")))
    assert isinstance(failure, Failure)
    assert (failure.code, failure.retryable) == (FailureCode.UNAVAILABLE, True)


def test_an_answer_that_is_garbled_is_no_refusal(url: Callable[[str], str]) -> None:
    failure = read(ImageRef(url("garbled")))
    assert isinstance(failure, Failure)
    assert (failure.code, failure.retryable) == (FailureCode.UNAVAILABLE, True)
