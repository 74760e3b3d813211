"""An S3 server for tests: moto's, with what S3 promises of conditional writes.

`python -m tests.s3` serves until it is killed, and says its port on the first line. moto answers
`If-Match` and `If-None-Match` of a PUT, but checks first and writes then, with nothing between that
keeps others out; S3 does both in one step (AmazonS3/latest/userguide/conditional-writes). Here one
request that writes is answered at a time. `x-amz-copy-source-if-match` and `If-None-Match` of a
copy are added (AmazonS3/latest/API/API_CopyObject).
"""

import contextlib
import hashlib
import sys
import threading
import urllib.parse
from collections.abc import Iterable
from typing import Any

from moto.moto_server.werkzeug_app import create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.controls import (
    LESS,
    ON_THE_WIRE,
    STATUSES,
    Controls,
    damage,
    lessen,
    spoil_on_the_wire,
)

_REGION = "us-east-1"
_ERROR = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>as told</Message></Error>"
_CODES = {
    "429": b"TooManyRequests",
    "503": b"SlowDown",
    "403": b"AccessDenied",
    "404": b"NoSuchKey",
}


class Application:
    """moto's application, one write at a time."""

    def __init__(self) -> None:
        # What moto's own server puts before it to find out which service a request is for, takes a
        # third of each request's time.
        self._served = create_backend_app("s3")
        self._controls = Controls()
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/-/"):
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            answer = self._controls.answer(path, body, self._fill)
            start_response("200 OK", [("Content-Length", str(len(answer)))])
            return [answer]
        query = urllib.parse.unquote(environ["QUERY_STRING"])
        fault = self._controls.note(f"{environ['REQUEST_METHOD']} {path}?{query}")
        if fault in STATUSES:
            body = _ERROR % _CODES.get(fault, b"InternalError")
            head = [("Content-Length", str(len(body))), ("Content-Type", "application/xml")]
            start_response(f"{STATUSES[fault]} {fault}", head)
            return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]
        if fault == LESS:
            environ["HTTP_RANGE"], fault = lessen(environ["HTTP_RANGE"]), ""
        if fault == "stall":
            return _spoil(environ, fault, b"")
        is_writing = environ["REQUEST_METHOD"] not in ("GET", "HEAD")
        with self._lock if is_writing else contextlib.nullcontext():
            if not (_is_source_wanted(environ) and _is_target_wanted(environ)):
                body = _ERROR % b"PreconditionFailed"
                start_response("412 Precondition Failed", [("Content-Length", str(len(body)))])
                return [body]
            said: list[Any] = []
            is_kept = fault == "lose" or fault in ON_THE_WIRE
            answered: Iterable[bytes] = self._served(
                environ, (lambda *given: said.extend(given)) if is_kept else start_response
            )
        if fault == "lose":
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return [b""]
        if fault in ON_THE_WIRE:
            lines = [f"HTTP/1.1 {said[0]}", *(f"{name}: {value}" for name, value in said[1])]
            is_head = environ["REQUEST_METHOD"] == "HEAD"
            body = b"" if is_head else b"".join(answered)
            if not is_head and not any(name.lower() == "content-length" for name, _ in said[1]):
                lines.append(f"Content-Length: {len(body)}")  # as S3 always says
            return _spoil(environ, fault, "\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        return [damage(b"".join(answered))] if fault else answered

    def _fill(self, bucket: str, objects: dict[str, bytes], more: dict[str, Any]) -> None:
        backend = s3_backends["123456789012"]["aws"]
        with self._lock:
            if bucket not in backend.buckets:
                backend.create_bucket(bucket, _REGION)
            for name, data in objects.items():
                # S3's etag is no MD5 where KMS encrypts (API_Object); moto's is.
                secret = hashlib.md5(b"KMS" + data).hexdigest() if more else None
                backend.put_object(bucket, name, data, etag=secret, **more)


def _is_source_wanted(environ: dict[str, Any]) -> bool:
    """Whether what is to be copied has the etag that is wanted; true for all other requests."""
    wanted = environ.get("HTTP_X_AMZ_COPY_SOURCE_IF_MATCH")
    source = urllib.parse.unquote(environ.get("HTTP_X_AMZ_COPY_SOURCE", "")).lstrip("/")
    bucket, _, key = source.partition("/")
    found = s3_backends["123456789012"]["aws"].get_object(bucket, key) if wanted else None
    return found is None or found.etag == wanted


def _is_target_wanted(environ: dict[str, Any]) -> bool:
    """Whether a copy may go where it is to; true for all other requests."""
    if "HTTP_X_AMZ_COPY_SOURCE" not in environ or environ.get("HTTP_IF_NONE_MATCH") != "*":
        return True
    bucket, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
    return s3_backends["123456789012"]["aws"].get_object(bucket, key) is None


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:
        del type, message, args


def _spoil(environ: dict[str, Any], fault: str, answer: bytes) -> list[bytes]:
    spoil_on_the_wire(environ["werkzeug.socket"], fault, answer)
    raise ConnectionResetError  # so that nothing more is written


def main() -> None:
    serving = make_server("127.0.0.1", 0, Application(), threaded=True, request_handler=_Handler)
    sys.stdout.write(f"{serving.server_port}\n")
    sys.stdout.flush()
    serving.serve_forever()


if __name__ == "__main__":
    main()
