"""A bucket that is 20 ms away and may be written: S3's own words over HTTP, kept in memory.

`python -m bench.far_bucket` serves until it is killed, and says its port on the first line. One
thread serves all connections, so that little of the processor is the server's own. `POST /-/fill`
makes objects of one content; `GET /-/asked` gives what was asked since, by kind, and the most
requests that were in flight.
"""

import asyncio
import collections
import contextlib
import hashlib
import json
import re
import sys
import urllib.parse
from xml.sax.saxutils import escape

DELAY_S = 0.02
BUCKET = "far"
_PAGE = 1000
_SPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_DATE = "2026-11-26T00:00:00.000Z"
_KEY = re.compile(rb"<Key>(.*?)</Key>")

Answer = tuple[int, bytes, dict[str, str]]


class Bucket:
    """Objects by their keys, and what was asked."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.objects: dict[str, bytes] = {}
        self.asked: collections.Counter[str] = collections.Counter()
        self.in_flight = self.most_in_flight = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it is closed."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._serve(reader, writer)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _read_head(reader):
            method, target, headers = head
            if headers.get("expect") == "100-continue":  # boto asks so before it sends
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            status, data, given = await self._answer_late(method, target, headers, body)
            lines = [f"HTTP/1.1 {status} -", *(f"{name}: {each}" for name, each in given.items())]
            size = len(self.objects.get(_find_key(target), b"")) if method == "HEAD" else len(data)
            lines += [f"Content-Length: {size}", "", ""]
            writer.write("\r\n".join(lines).encode() + (b"" if method == "HEAD" else data))

    async def _answer_late(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> Answer:
        if target.startswith("/-/"):
            return self._control(target, body)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(DELAY_S)
        self.in_flight -= 1
        url = urllib.parse.urlsplit(target)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        key = _find_key(target)
        if not key:
            self.asked["LIST" if method == "GET" else "DELETE many"] += 1
            return self._list(query) if method == "GET" else self._delete_many(body)
        is_copy = "x-amz-copy-source" in headers
        self.asked["COPY" if is_copy else method] += 1
        if is_copy:
            source = urllib.parse.unquote(headers["x-amz-copy-source"]).lstrip("/")
            return self._copy(key, source.partition("/")[2], headers)
        return self._answer(method, key, body)

    def _control(self, target: str, body: bytes) -> Answer:
        if target == "/-/fill":
            given = json.loads(body)
            content = bytes.fromhex(given["content"])
            self.objects |= dict.fromkeys(given["keys"], content)
            return 200, b"", {}
        said = {"asked": dict(self.asked), "most_in_flight": self.most_in_flight}
        self.asked, self.most_in_flight = collections.Counter(), 0
        return 200, json.dumps(said).encode(), {}

    def _answer(self, method: str, key: str, body: bytes) -> Answer:
        if method == "PUT":
            self.objects[key] = body
            return 200, b"", {"ETag": _make_etag(body)}
        if method == "DELETE":
            self.objects.pop(key, None)
            return 204, b"", {}
        if key not in self.objects:
            return 404, b"<Error><Code>NoSuchKey</Code></Error>", {}
        return 200, self.objects[key], {"ETag": _make_etag(self.objects[key])}

    def _copy(self, key: str, source: str, headers: dict[str, str]) -> Answer:
        if source not in self.objects:
            return 404, b"<Error><Code>NoSuchKey</Code></Error>", {}
        etag = _make_etag(self.objects[source])
        if headers.get("x-amz-copy-source-if-match", etag) != etag:
            return 412, b"<Error><Code>PreconditionFailed</Code></Error>", {}
        self.objects[key] = self.objects[source]
        text = f"<CopyObjectResult {_SPACE}><ETag>{escape(etag)}</ETag></CopyObjectResult>"
        return 200, text.encode(), {"Content-Type": "application/xml"}

    def _delete_many(self, body: bytes) -> Answer:
        for key in _KEY.findall(body):
            self.objects.pop(key.decode(), None)
        return 200, f"<DeleteResult {_SPACE}></DeleteResult>".encode(), {}

    def _list(self, query: dict[str, str]) -> Answer:
        prefix, after = query.get("prefix", ""), query.get("continuation-token", "")
        names, folders = [], set()
        for key in sorted(each for each in self.objects if each.startswith(prefix)):
            head, slash, _ = key[len(prefix) :].partition(query.get("delimiter") or "\0")
            if slash:
                folders.add(f"{prefix}{head}/")
            elif key > after:
                names.append(key)
        page = names[:_PAGE]
        is_cut = len(names) > _PAGE
        more = (
            f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if is_cut else ""
        )
        text = (
            f"<ListBucketResult {_SPACE}><IsTruncated>{str(is_cut).lower()}</IsTruncated>{more}"
            f"{''.join(map(self._describe, page))}{''.join(map(_describe_folder, folders))}"
            "</ListBucketResult>"
        )
        return 200, text.encode(), {"Content-Type": "application/xml"}

    def _describe(self, key: str) -> str:
        data = self.objects[key]
        return (
            f"<Contents><Key>{escape(key)}</Key><LastModified>{_DATE}</LastModified>"
            f"<ETag>{escape(_make_etag(data))}</ETag><Size>{len(data)}</Size></Contents>"
        )


async def _read_head(
    reader: asyncio.StreamReader,
) -> tuple[str, str, dict[str, str]] | None:
    try:
        text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = text.split("\r\n")
    method, target, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines if line)
    return method, target, {name.lower(): value.strip() for name, _, value in pairs}


def _find_key(target: str) -> str:
    path = urllib.parse.unquote(urllib.parse.urlsplit(target).path)
    return path.removeprefix(f"/{BUCKET}").strip("/")


def _make_etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def _describe_folder(name: str) -> str:
    return f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"


async def _serve() -> None:
    serving = await asyncio.start_server(Bucket().serve, "127.0.0.1", 0, limit=1 << 22)
    sys.stdout.write(f"{serving.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await serving.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
