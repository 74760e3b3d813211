"""A store that is 20 ms away: S3's own words over HTTP, and a wait before every answer.

It knows one bucket, which holds the files of a folder, and what reading takes: listing page by
page, HEAD and GET with ranges. It runs as a process of its own, so that the job's
lock is not its own.
"""

import contextlib
import email.utils
import http.server
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from xml.sax.saxutils import escape

DELAY_S = 0.02
_BUCKET = "photographs"
_PAGE = 1000
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one connection; `folder` is the class's own."""

    protocol_version = "HTTP/1.1"
    folder = pathlib.Path()

    def do_GET(self) -> None:
        """An object or a span of it, or a page of the list."""
        url = urllib.parse.urlsplit(self.path)
        name = urllib.parse.unquote(url.path).removeprefix(f"/{_BUCKET}").strip("/")
        time.sleep(DELAY_S)
        if name:
            self._send_object(name)
        else:
            self._send_list(dict(urllib.parse.parse_qsl(url.query)))

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""

    def _send_object(self, name: str) -> None:
        path = self.folder / name
        if "/" in name or not path.is_file():
            self._send(404, b"", {})
            return
        data = path.read_bytes()
        span = _RANGE.fullmatch(self.headers.get("Range", ""))
        headers = {"ETag": _make_etag(path.stat()), "Accept-Ranges": "bytes"}
        headers["Last-Modified"] = email.utils.formatdate(path.stat().st_mtime, usegmt=True)
        if span is None:
            self._send(200, data, headers)
            return
        start, end = int(span[1]), int(span[2] or len(data) - 1)
        headers["Content-Range"] = f"bytes {start}-{min(end, len(data) - 1)}/{len(data)}"
        self._send(206, data[start : end + 1], headers)

    def _send_list(self, query: dict[str, str]) -> None:
        prefix, after = query.get("prefix", ""), query.get("continuation-token", "")
        every = sorted(path.name for path in self.folder.iterdir())
        names = [name for name in every if name.startswith(prefix) and name > after]
        most = min(_PAGE, int(query.get("max-keys", _PAGE)))
        page = names[:most]
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if page else ""
        more = token if names[most:] else ""
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{_BUCKET}</Name><Prefix>{escape(prefix)}</Prefix><MaxKeys>{most}</MaxKeys>"
            f"<KeyCount>{len(page)}</KeyCount><IsTruncated>{str(bool(more)).lower()}</IsTruncated>"
            f"{more}{''.join(map(self._describe, page))}</ListBucketResult>"
        )
        self._send(200, text.encode(), {"Content-Type": "application/xml"})

    def _describe(self, name: str) -> str:
        path = self.folder / name
        info = path.stat()
        changed = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(info.st_mtime))
        return (
            f"<Contents><Key>{escape(name)}</Key><LastModified>{changed}</LastModified>"
            f"<ETag>{escape(_make_etag(info))}</ETag><Size>{info.st_size}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
        )

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


@contextlib.contextmanager
def serve(folder: pathlib.Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Serves a folder while it lasts; gives its URL, and the environment that leads there."""
    command = [sys.executable, "-m", "bench.far_store", str(folder)]
    root = pathlib.Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            yield (
                f"s3://{_BUCKET}/",
                {
                    "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
                    "AWS_ACCESS_KEY_ID": "nobody",
                    "AWS_SECRET_ACCESS_KEY": "nothing",
                    "AWS_DEFAULT_REGION": "us-east-1",
                    "AWS_ALLOW_HTTP": "true",
                },
            )
        finally:
            server.kill()


def _make_etag(info: os.stat_result) -> str:
    """Of the form of an upload in parts, which is no checksum: nobody has to read the object."""
    return f'"{info.st_mtime_ns:032x}-{max(1, info.st_size >> 23)}"'


def main() -> None:
    """Serves a folder until it is killed; prints its port."""
    Handler.folder = pathlib.Path(sys.argv[1])
    with _Server(("127.0.0.1", 0), Handler) as server:
        os.write(1, f"{server.server_port}\n".encode())
        server.serve_forever()


if __name__ == "__main__":
    main()
