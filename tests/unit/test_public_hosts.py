"""Web addresses that lead inside are read by none of the ways in which they can be written."""

import contextlib
import dataclasses
import http.server
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import FailureCode
from imgcls_beam.listing.references import Line, References
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading import read_images
from imgcls_beam.stores import REFUSED_HOST, Patience, find_host_problem
from imgcls_beam.stores.http_client import PublicHttp
from imgcls_beam.stores.public_hosts import is_host

_OPTIONS = ReadOptions(tries=1, timeout_s=2.0, allow_schemes=("http", "https"))
INSIDE = (
    *("169.254.169.254", "2852039166", "0xA9FEA9FE", "0xa9.0xfe.0xa9.0xfe", "0251.0376.0251.0376"),
    *("169.254.43518", "169.16689662", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]"),
    *("[fe80::1]", "[fe80::1%25eth0]", "[fd00:ec2::254]", "169.254.170.2", "100.100.100.200"),
    *("metadata.google.internal", "METADATA.google.internal.", "metadata", "168.63.129.16"),
    *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001", "0", "0.0.0.0"),
    *("localhost", "LOCALHOST.", "a.localhost", "[::1]", "[::]", "[::ffff:7f00:1]"),
    *("[::127.0.0.1]", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "[fc00::1]"),
    *("[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::1]", "224.0.0.1", "%31%32%37.0.0.1"),
    *("\u2460\u2461\u2466.0.0.1", "127\u30020\u30020\u30021"),
)
FORMS = ("http://{}/a.png", "HTTPS://{}:8080/a.png?x=1", "https:\\\\{}\\a")
OUTSIDE = ("93.184.216.34", "example.com", "[2606:2800:220:1:248:1893:25c8:1946]", "bücher.example")


@pytest.mark.parametrize("host", INSIDE)
@pytest.mark.parametrize(
    "form", ["http://{}/a.png", "HTTPS://{}:8080/a.png?x=1", "https:\\\\{}\\a"]
)
def test_an_address_inside_is_refused_as_it_is_written(host: str, form: str) -> None:
    assert find_host_problem(form.format(host)) == REFUSED_HOST


@pytest.mark.parametrize("host", OUTSIDE)
def test_other_addresses_are_left_to_the_resolver(host: str) -> None:
    assert find_host_problem(f"https://{host}/a.png") is None


NO_NAMES = (
    *("exa mple.com", "exa%20mple.com", "exa\u00a0mple.com", "xn--", "a.xn--.com", "XN--.com"),
    *("xn--\u00e9.com", "xn--zz--zz\u00e9", "\u0301.com", "a.\u0301b.com", "a..b", ".com", "%zz"),
    *(
        "a" * 64 + ".com",
        "ab." * 90 + "com",
        "a|b.com",
        "*.com",
        "a,b",
        "<host>",
        "{host}",
        "a b:80",
    ),
)
NAMES = (
    *OUTSIDE,
    *(
        "a_b.com",
        "_dmarc.example.com",
        "a-.com",
        "example.com.",
        "EXAMPLE.com:8080",
        "a" * 63 + ".com",
    ),
    *("xn--bcher-kva.ch", "XN--BCHER-KVA.ch", "fa\u00df.de", "\u2603.net", "e\u0301.com"),
    *(
        "\u0915\u094d\u0937.in",
        "\u05d01.il",
        "a\u3002b",
        "example.com?a=b c",
        "example.com#a b",
        "user@h",
    ),
)


@pytest.mark.parametrize("host", NO_NAMES)
def test_a_name_that_no_host_can_have_is_an_invalid_reference(host: str) -> None:
    url = f"https://{host}/a.png"
    failure = References(ImageRef("gs://bucket/m.csv"), ("https",)).to_listed(Line(3, url))
    (read,) = read_images([ImageRef(url)], _OPTIONS)
    for each in (failure, read):
        assert isinstance(each, Failure)
        assert (each.code, each.retryable) == (FailureCode.INVALID_REFERENCE, False)
    assert not is_host(host)


@pytest.mark.parametrize("host", NAMES)
def test_a_name_that_a_host_may_have_is_asked_for(host: str) -> None:
    assert is_host(host)


def test_a_line_that_names_an_address_inside_is_a_failure_that_does_not_repeat_it() -> None:
    lines = References(ImageRef("gs://bucket/m.csv"), ("http",))
    failure = lines.to_listed(Line(3, "http://169.254.169.254/latest/meta-data"))
    assert isinstance(failure, Failure)
    assert (failure.code, failure.ref.uri) == (
        FailureCode.INVALID_REFERENCE,
        "gs://bucket/m.csv::3",
    )


_PIECES, _PIECE_BYTES = 1000, 64 << 10


class Answers(http.server.BaseHTTPRequestHandler):
    """An image, what has no end, and redirects: `/to/URL` there, `/hops/N` to itself, N times.

    It knows no ranges.
    """

    asked: list[str] = []  # noqa: RUF012
    sent_bytes = 0

    def do_GET(self) -> None:
        Answers.asked.append(self.path)
        _, what, rest = [*self.path.split("/", 2), ""][:3]
        if what == "image":
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"image")
            return
        if what == "endless":
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                for _ in range(_PIECES):
                    self.wfile.write(bytes(_PIECE_BYTES))
                    Answers.sent_bytes += _PIECE_BYTES
            return
        hops = int(rest) if what == "hops" else 0
        place = rest if what == "to" else f"/hops/{hops - 1}" if hops else "/image/a"
        self.send_response(302)
        self.send_header("Location", place)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server that may be read, as `images.example`; other names lead where they say."""
    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    resolve = socket.getaddrinfo
    known = {"images.example": "127.0.0.1", "metadata.example": "169.254.169.254"}
    known |= {"inside.example": "10.0.0.1", "mapped.example": "::ffff:169.254.169.254"}
    known |= {"own.example": "127.0.0.1"}

    def look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        return resolve(known.get(host, host), *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setenv("IMGCLS_PRIVATE_HOSTS", "images.example, metadata.example")
    PublicHttp.clear_instance_cache()
    Answers.asked.clear()
    yield serving.server_port
    serving.shutdown()
    serving.server_close()
    PublicHttp.clear_instance_cache()


def _read(url: str) -> EncodedImage | Failure:
    (result,) = read_images([ImageRef(url)], _OPTIONS)
    return result


def test_a_host_that_is_named_is_read_and_three_redirects_are_followed(port: int) -> None:
    read = _read(f"http://images.example:{port}/hops/1")
    assert isinstance(read, EncodedImage)
    assert read.data == b"image"
    assert isinstance(_read(f"http://images.example:{port}/hops/9"), Failure)
    assert len(Answers.asked) <= 3 + 5


def test_no_more_is_read_than_an_image_may_have_whatever_a_server_sends(port: int) -> None:
    Answers.sent_bytes = 0
    ref = ImageRef(f"http://images.example:{port}/endless")
    options = dataclasses.replace(_OPTIONS, max_bytes=100_000)
    (failure,) = read_images([ref], options)
    assert isinstance(failure, Failure)
    assert failure.code is FailureCode.TOO_MANY_BYTES
    # What stands in the buffers of two sockets was sent, too.
    assert Answers.sent_bytes < _PIECES * _PIECE_BYTES / 2


@pytest.mark.parametrize(("start", "end"), [(1, 3), (0, 9), (None, 2), (3, 3), (4, 9)])
def test_a_server_that_knows_no_ranges_gives_what_was_asked_for(
    port: int, start: int | None, end: int
) -> None:
    store = PublicHttp(patience=Patience())
    read = store.cat_file(f"http://images.example:{port}/image/a", start=start, end=end)
    assert read == b"image"[start:end]


@pytest.mark.parametrize(
    "host", ["metadata.example", "inside.example", "mapped.example", "own.example"]
)
def test_a_name_that_is_resolved_to_an_address_inside_is_not_asked(port: int, host: str) -> None:
    """Metadata services are read in no case, though one is named."""
    failure = _read(f"http://{host}:{port}/image/a")
    assert isinstance(failure, Failure)
    assert (failure.code, failure.message) == (FailureCode.UNREADABLE, REFUSED_HOST)
    assert Answers.asked == []


@pytest.mark.parametrize("host", ["own.example", "127.0.0.1", "2130706433", "localhost", "[::1]"])
def test_a_redirect_inside_is_not_followed(port: int, host: str) -> None:
    failure = _read(f"http://images.example:{port}/to/http://{host}:{port}/image/secret")
    assert isinstance(failure, Failure)
    # Some are no address that a redirect may name.
    assert failure.code in (FailureCode.UNREADABLE, FailureCode.INVALID_REFERENCE)
    assert len(Answers.asked) == 1
