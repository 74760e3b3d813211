"""s3fs with one layer of retries, and a deadline on every request.

botocore tries a request five times, s3fs calls it five times, and reads a body five times, each
inside the other. Here botocore and s3fs try once. What is tried again is a request with the body of
its answer, where the client makes it: so that pages of listings, parts of uploads and ranges of
files are all of them covered.
"""

import functools
from typing import Any

from s3fs import S3FileSystem

from imgcls_beam.stores.patience import Patience
from imgcls_beam.stores.range_answers import is_all, make_short_error

_HELD_BYTES = 64 << 20
_CONNECTIONS = 128


class PatientS3(S3FileSystem):
    """S3, with the patience that it is given."""

    retries = 1

    def __init__(self, *args: Any, patience: Patience, **kwargs: Any) -> None:  # noqa: ANN401
        """Takes what s3fs takes, and the patience."""
        self._patience = patience
        config = {
            "connect_timeout": patience.connect_s,
            "read_timeout": patience.silence_s,
            "retries": {"total_max_attempts": 1, "mode": "standard"},
            "max_pool_connections": _CONNECTIONS,
            **(kwargs.pop("config_kwargs", None) or {}),
        }
        super().__init__(*args, config_kwargs=config, **kwargs)

    async def set_session(self, refresh: bool = False, kwargs: Any = None) -> Any:  # noqa: ANN401
        """Makes the client; from then on its requests are tried as the patience says."""
        client = await super().set_session(refresh=refresh, kwargs=kwargs or {})
        if not isinstance(client._make_api_call, functools.partial):
            client._make_api_call = functools.partial(
                _persist, self._patience, client._make_api_call
            )
            client.meta.events.register(
                "before-call.s3", functools.partial(_limit_silence, self._patience)
            )
        return client


async def _persist(patience: Patience, make: Any, operation: str, given: dict[str, Any]) -> Any:  # noqa: ANN401
    async def make_once() -> Any:  # noqa: ANN401
        answer = await make(operation, dict(given))  # botocore puts a stream in the body's place
        size_bytes = answer.get("ContentLength")
        if operation == "GetObject" and size_bytes is not None and size_bytes <= _HELD_BYTES:
            data = await _read(answer["Body"])
            _check_range(given, answer, len(data))
            answer["Body"] = _HeldBody(data)
        return answer

    body = given.get("Body")
    sent_bytes = len(body) if isinstance(body, bytes | bytearray | memoryview) else 0
    return await patience.persist(make_once, sent_bytes + _find_range_bytes(given))


def _check_range(given: dict[str, Any], answer: dict[str, Any], size_bytes: int) -> None:
    """Whether an answer is all of the stretch that was asked for; a proxy may give a part of it."""
    start, _, last = str(given.get("Range", "")).removeprefix("bytes=").partition("-")
    if not (start.isdigit() and last.isdigit()):
        return
    if not is_all(answer.get("ContentRange"), int(start), int(last) + 1, size_bytes):
        raise make_short_error()


def _limit_silence(patience: Patience, context: dict[str, Any], **_: Any) -> None:  # noqa: ANN401
    """Says with each request how long it may be silent; an older botocore takes the client's."""
    context["read_timeout"] = patience.find_silence_s()


def _find_range_bytes(given: dict[str, Any]) -> int:
    """How much is asked for: of whole objects at most what is held, where that is not known."""
    start, _, end = str(given.get("Range", "")).removeprefix("bytes=").partition("-")
    return int(end) - int(start) + 1 if start.isdigit() and end.isdigit() else 0


async def _read(body: Any) -> bytes:  # noqa: ANN401
    try:
        data: bytes = await body.read()
    finally:
        body.close()
    return data


class _HeldBody:
    """The body of an answer that has been read."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    async def read(self, size: int | None = None) -> bytes:
        """So many bytes, or the rest."""
        start = self._offset
        end = len(self._data) if size is None or size < 0 else start + size
        self._offset = min(end, len(self._data))
        return self._data[start:end]

    def close(self) -> None:
        """The connection went back when the body was read."""
