"""A GCS server for tests: `gcp-storage-emulator`, and what the service has that it lacks.

`python -m tests.gcs [FOLDER]` serves until it is killed, and says its port on the first line; with
a folder the objects are files there, else they lie in memory. What is added, each as
cloud.google.com/storage/docs describes it:

- pages: `maxResults` (1,000 at most), `pageToken`, `nextPageToken`, prefixes counted with items, in
  the order of the names' UTF-8 (json_api/v1/objects/list);
- `ifGenerationMatch`, `ifGenerationNotMatch`, 0 for no live object, answered 412
  (docs/request-preconditions); checked and written under one lock, as the service does it;
- `generation` of a GET: another one than the live one is not there (no bucket has versions here);
  `x-goog-generation` of its answer (xml-api/reference-headers);
- `ifSourceGenerationMatch` of a rewrite (json_api/v1/objects/rewrite);
- decompressive transcoding of `contentEncoding: gzip` (docs/transcoding);
- the last chunk of an upload that is sent again, because its answer was lost, is answered again
  (docs/performing-resumable-uploads);
- several requests at once, connections that stay open, no file of the whole state at each write.
"""

import base64
import bisect
import collections
import functools
import gzip
import http.server
import io
import sys
import threading
import urllib.parse
from typing import Any

from gcp_storage_emulator import server
from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers import buckets, objects
from gcp_storage_emulator.storage import Storage

from tests.controls import (
    LESS,
    ON_THE_WIRE,
    STATUSES,
    Controls,
    damage,
    lessen,
    spoil_on_the_wire,
)

_PAGE_ITEMS = 1000


class PreconditionError(Exception):
    """412: another generation is live than the request names."""


class PagedStorage(Storage):  # type: ignore[misc]  # the package has no types
    """The emulator's objects, with their names in order and preconditions on what is written."""

    def __init__(self, folder: str | None) -> None:
        self.lock = threading.RLock()
        self.names: dict[str, list[str]] = collections.defaultdict(list)
        self.wanted: dict[str, str] = {}  # preconditions of the request under the lock
        self.wanted_of_upload: dict[str, dict[str, str]] = {}
        self.finished: dict[str, tuple[str, str]] = {}
        super().__init__(use_memory_fs=folder is None, data_dir=folder)

    def _write_config_to_file(self) -> None:
        """Nothing: the emulator writes all it knows at each change, which is quadratic."""

    def _object_path(self, bucket: str, name: str) -> str:
        """In memory any name is a file of its own: `a//b` is not `a/b`."""
        if self._use_memory_fs:
            return f"{bucket}/{urllib.parse.quote(name, safe='')}"
        path: str = super()._object_path(bucket, name)
        return path

    def check(self, bucket: str, name: str, wanted: dict[str, str]) -> None:
        live = self.objects.get(bucket, {}).get(name, {}).get("generation", "0")
        if wanted.get("ifGenerationMatch", live) != live:
            raise PreconditionError(name)
        if wanted.get("ifGenerationNotMatch") == live:
            raise PreconditionError(name)

    def create_resumable_upload(self, bucket: str, name: str, resource: dict[str, Any]) -> str:
        self.check(bucket, name, self.wanted)
        upload: str = super().create_resumable_upload(bucket, name, resource)
        self.wanted_of_upload[upload] = self.wanted
        return upload

    def create_file(
        self,
        bucket: str,
        name: str,
        content: bytes,
        resource: dict[str, Any],
        upload: str | None = None,
    ) -> None:
        self.check(bucket, name, self.wanted_of_upload.pop(upload or "", self.wanted))
        is_new = name not in self.objects.get(bucket, {})
        super().create_file(bucket, name, content, resource, upload)
        if upload:
            self.finished[upload] = bucket, name
        if is_new:
            bisect.insort(self.names[bucket], name)

    def delete_file(self, bucket: str, name: str) -> None:
        self.check(bucket, name, self.wanted)
        super().delete_file(bucket, name)
        names = self.names[bucket]
        del names[bisect.bisect_left(names, name)]

    def get_file_obj(self, bucket: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = super().get_file_obj(bucket, name)
        if self.wanted.get("generation", found["generation"]) != found["generation"]:
            raise NotFound
        return found


def list_page(request: Any, response: Any, storage: PagedStorage) -> None:
    """objects.list, a page at a time."""
    query = {key: values[0] for key, values in request.query.items()}
    bucket, prefix = request.params["bucket_name"], query.get("prefix", "")
    if bucket not in storage.buckets:
        response.status = http.HTTPStatus.NOT_FOUND
        return
    wanted = min(int(query.get("maxResults", _PAGE_ITEMS)), _PAGE_ITEMS)
    names = storage.names[bucket]
    after = base64.urlsafe_b64decode(query.get("pageToken", "")).decode()
    at = bisect.bisect_left(names, max(prefix, query.get("startOffset", "")))
    at = max(at, bisect.bisect_left(names, after))
    items, prefixes, delimiter = [], [], query.get("delimiter")
    while at < len(names) and names[at].startswith(prefix) and len(items) + len(prefixes) < wanted:
        head, found, _ = names[at][len(prefix) :].partition(delimiter or "\0")
        if delimiter and found:
            prefixes.append(prefix + head + delimiter)
            at = bisect.bisect_left(names, prefixes[-1] + chr(sys.maxunicode))
        else:
            items.append(storage.objects[bucket][names[at]])
            at += 1
    page: dict[str, Any] = {"kind": "storage#objects", "items": items, "prefixes": prefixes}
    if at < len(names) and names[at].startswith(prefix):
        page["nextPageToken"] = base64.urlsafe_b64encode(names[at].encode()).decode()
    response.json({key: value for key, value in page.items() if value})


def download(request: Any, response: Any, storage: PagedStorage) -> None:
    """Media as stored; what is stored as gzip is unpacked for those who do not accept gzip."""
    bucket, name = request.params["bucket_name"], request.params["object_id"]
    if name.startswith("forbidden/"):  # the emulator knows no permissions: names that have none
        response.status = http.HTTPStatus.FORBIDDEN
        response.json({"error": {"code": 403, "message": "does not have storage.objects.get"}})
        return
    if name not in storage.objects.get(bucket, {}):  # the emulator may give up the connection
        response.status = http.HTTPStatus.NOT_FOUND
        return
    is_packed = storage.objects.get(bucket, {}).get(name, {}).get("contentEncoding") == "gzip"
    if is_packed and "gzip" not in (request.get_header("accept-encoding") or ""):
        response.write_file(gzip.decompress(storage.get_file(bucket, name)))
        return
    if bucket in storage.buckets and name in storage.objects[bucket]:
        response["x-goog-generation"] = storage.objects[bucket][name]["generation"]
    if is_packed:
        response["Content-Encoding"] = "gzip"
    _emulated_download(request, response, storage)


def rewrite(request: Any, response: Any, storage: PagedStorage) -> None:
    """A copy, if the source is of the generation that is wanted."""
    source = request.params["bucket_name"], request.params["object_id"]
    wanted = storage.wanted.get("ifSourceGenerationMatch")
    storage.check(*source, {} if wanted is None else {"ifGenerationMatch": wanted})
    _emulated_rewrite(request, response, storage)


def upload_chunk(request: Any, response: Any, storage: PagedStorage) -> None:
    """A chunk of an upload; one that is finished says so each time it is asked."""
    upload = request.query["upload_id"][0]
    bucket, name = storage.finished.get(upload, ("", ""))
    if name in storage.objects.get(bucket, {}):
        response.json(storage.objects[bucket][name])
        return
    _emulated_chunk(request, response, storage)


class Serving(http.server.ThreadingHTTPServer):
    """As many connections at once as a client opens."""

    request_queue_size = 1024
    daemon_threads = True


class Handler(server.RequestHandler):  # type: ignore[misc]
    """Reads a whole request, then answers it under the lock."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    controls = Controls()

    def log_message(self, format: str, *args: object) -> None:
        del format, args

    def _answer(self, method: str) -> None:
        self.path = self.path.replace(";", "%3B")  # urlparse takes it for the end of a name
        body = server._read_raw_data(self) or b""
        if "Transfer-Encoding" in self.headers:
            del self.headers["Transfer-Encoding"]
            self.headers["Content-Length"] = str(len(body))
        asked = urllib.parse.urlsplit(self.path)
        if asked.path.startswith("/-/"):
            self._send(200, self.controls.answer(asked.path, body, self._fill))
            return
        fault = self.controls.note(f"{method} {urllib.parse.unquote(self.path)}")
        if fault in STATUSES:
            body = b'{"error": {"code": %d, "message": "invalid, as told"}}'  # a word that misleads
            self._send(STATUSES[fault], body % STATUSES[fault])
            return
        if fault == LESS:
            wanted, fault = lessen(self.headers["Range"]), ""
            del self.headers["Range"]
            self.headers["Range"] = wanted
        if fault == "stall":
            self._spoil(fault, b"")
            return
        connection, answer = (self.rfile, self.wfile), io.BytesIO()
        self.rfile, self.wfile = io.BytesIO(body), answer
        try:
            with self.storage.lock:
                self.storage.wanted = dict(urllib.parse.parse_qsl(asked.query))
                server.Router(self).handle(method)
        except PreconditionError:
            self._send(412, b'{"error": {"code": 412, "message": "conditionNotMet"}}')
        finally:
            self.rfile, self.wfile = connection
        if fault == "lose":
            self._send(503, b"")
        elif fault in ON_THE_WIRE:
            self._spoil(fault, answer.getvalue())
        elif answer.getvalue():
            self.wfile.write(damage(answer.getvalue()) if fault else answer.getvalue())

    do_GET = functools.partialmethod(_answer, "GET")
    do_POST = functools.partialmethod(_answer, "POST")
    do_PUT = functools.partialmethod(_answer, "PUT")
    do_PATCH = functools.partialmethod(_answer, "PATCH")
    do_DELETE = functools.partialmethod(_answer, "DELETE")

    def _spoil(self, fault: str, answer: bytes) -> None:
        spoil_on_the_wire(self.connection, fault, answer)
        self.close_connection = True

    def _fill(self, bucket: str, contents: dict[str, bytes], more: dict[str, Any]) -> None:
        with self.storage.lock:
            self.storage.wanted = {}
            if bucket not in self.storage.buckets:
                buckets.create_bucket(bucket, self.storage)
            for name, data in contents.items():
                resource = objects._make_object_resource(
                    "", bucket, name, "image/png", str(len(data)), more
                )
                objects._checksums(data, resource)
                if "componentCount" in more:  # the service has no MD5 of composed objects
                    resource |= {"md5Hash": None, "componentCount": more["componentCount"]}
                self.storage.create_file(bucket, name, data, resource)

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


_emulated_download = objects.download
objects.download = download
_emulated_rewrite = objects.rewrite
objects.rewrite = rewrite
_emulated_chunk = objects.upload_partial
objects.upload_partial = upload_chunk
server.HANDLERS = tuple(
    (
        pattern,
        {
            method: {
                objects.ls: list_page,
                _emulated_download: download,
                _emulated_chunk: upload_chunk,
                _emulated_rewrite: rewrite,
            }.get(handler, handler)
            for method, handler in handlers.items()
        },
    )
    for pattern, handlers in server.HANDLERS
)


def main(folder: str | None = None) -> None:
    storage = PagedStorage(folder)
    serving = Serving(("127.0.0.1", 0), functools.partial(Handler, storage))
    sys.stdout.write(f"{serving.server_port}\n")
    sys.stdout.flush()
    serving.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
