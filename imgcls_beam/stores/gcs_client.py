"""gcsfs with one layer of retries, and a deadline on every request.

gcsfs gives its transport no time limit, tries a request six times with waits of up to 32 s, and
asks for tokens in the thread in which all its requests go on. Here it tries once, what is tried
again is the whole request, and tokens are asked for beside, once for all who wait.

This is gcsfs's client of the JSON API. The one that it takes by default asks the storage control
API by gRPC before each access, up to 60 s each where gRPC does not get through. Who wants that one,
for zonal buckets, sets `GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT` to true.
"""

import asyncio
import dataclasses
import functools
import os
from typing import Any

import aiohttp
import gcsfs
from fsspec.asyn import sync_wrapper
from gcsfs.core import GCSFileSystem
from gcsfs.credentials import LOCAL_REFRESH_BUFFER
from gcsfs.retry import HttpError, validate_response

from imgcls_beam.stores.client_faults import PASSING_STATUS
from imgcls_beam.stores.patience import Patience
from imgcls_beam.stores.range_answers import make_short_error, read_piece

_TOKEN_S = 20.0
_REFUSED = 400

_VARIABLE = "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"
_is_asked_for = os.environ.get(_VARIABLE, "").lower() in ("true", "1")  # gcsfs takes none for true
_Client: Any = gcsfs.GCSFileSystem if _is_asked_for else GCSFileSystem


def _once(method: Any) -> Any:  # noqa: ANN401
    """A method of gcsfs without its retries."""
    return getattr(method, "__wrapped__", method)


_request_once = _once(_Client._request)
_get_file_once = _once(_Client._get_file_request)
_get_ranges_once = _once(_Client._get_file_concurrent)


class PatientGcs(_Client):
    """GCS, with the patience that it is given."""

    def __init__(self, *args: Any, patience: Patience, **kwargs: Any) -> None:  # noqa: ANN401
        """Takes what gcsfs takes, and the patience."""
        self._patience = patience
        self._refreshing: asyncio.Task[None] | None = None
        session = {
            "raise_for_status": _refuse_passing,
            **(kwargs.pop("session_kwargs", None) or {}),
        }
        super().__init__(*args, session_kwargs=session, **kwargs)

    @property
    def requests_timeout(self) -> aiohttp.ClientTimeout:
        """Of the request that is made now: gcsfs asks for it each time."""
        return aiohttp.ClientTimeout(
            total=None,
            sock_connect=self._patience.connect_s,
            sock_read=self._patience.find_silence_s(),
        )

    @requests_timeout.setter
    def requests_timeout(self, given: object) -> None:
        """What gcsfs was given, which is nothing."""

    async def _set_session(self) -> Any:  # noqa: ANN401
        session = await super()._set_session()
        session._retry_connection = False  # aiohttp's own second try, after a connection broke
        return session

    async def _request(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        await self._refresh_token()
        return await _request_once(self, *args, **kwargs)

    async def _call(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        make_once = functools.partial(super()._call, *args, **kwargs)
        data = kwargs.get("data")
        sent_bytes = len(data) if isinstance(data, bytes | bytearray | memoryview) else 0
        return await self._patience.persist(make_once, sent_bytes + _find_range_bytes(kwargs))

    call = sync_wrapper(_call)

    async def _cat_file(
        self,
        path: str,
        start: int | None = None,
        end: int | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> bytes:
        """Reads no more than was asked for; gcsfs's reads and unpacks whatever is sent.

        An object that GCS keeps as gzip is unpacked there, which then ignores the range.
        """
        if end is None or end < 0 or (start or 0) < 0:
            whole: bytes = await super()._cat_file(path, start, end, **kwargs)
            return whole
        url, first = self.url(path, generation=kwargs.get("generation")), start or 0
        if end <= first:
            return b""
        ask = functools.partial(self._ask_piece, url, first, end)
        return await self._patience.persist(ask, end - first)

    async def _ask_piece(self, url: str, start: int, end: int) -> bytes:
        await self._refresh_token()
        session = await self._set_session()
        asked = {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}
        async with session.get(
            self._format_path(url, ()),
            params=self._get_params({}),
            headers=self._get_headers(asked),
            timeout=self.requests_timeout,
        ) as answer:
            if answer.status >= _REFUSED:
                validate_response(answer.status, await answer.read(), url)
            piece = await read_piece(answer, start, end)
        if not piece.is_last:
            raise make_short_error()
        return piece.data

    async def _get_file_request(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """A whole file to this machine's disk: only a silence ends a try."""
        patience = dataclasses.replace(self._patience, request_s=None)
        return await patience.persist(lambda: _get_file_once(self, *args, **kwargs))

    async def _get_file_concurrent(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        return await _get_ranges_once(self, *args, **kwargs)

    async def _refresh_token(self) -> None:
        """Sees to it that the token is good, in another thread, once for all who wait for it.

        Raises:
            TimeoutError: whoever gives tokens did not answer in time.
            Exception: what Google's client raises of it.
        """
        held = self.credentials
        if held.credentials is None or held._credentials_valid(LOCAL_REFRESH_BUFFER):
            return
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.ensure_future(asyncio.to_thread(held.maybe_refresh))
        await asyncio.wait_for(asyncio.shield(self._refreshing), _TOKEN_S)


async def _refuse_passing(answer: aiohttp.ClientResponse) -> None:
    """Raises what says to come back later; gcsfs goes by its words, and may take it for a refusal.

    Raises:
        HttpError: that.
    """
    if answer.status in PASSING_STATUS:
        raise HttpError({"code": answer.status, "message": "the store says to come back later"})


def _find_range_bytes(given: dict[str, Any]) -> int:
    """How much is asked for, where a range is."""
    asked = str((given.get("headers") or {}).get("Range", "")).removeprefix("bytes=")
    start, _, end = asked.partition("-")
    return int(end) - int(start) + 1 if start.isdigit() and end.isdigit() else 0
