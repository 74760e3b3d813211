"""Images behind web addresses: public hosts only, few redirects, few connections to a host."""

from typing import Any

import aiohttp
from fsspec.implementations.http import HTTPFileSystem

from imgcls_beam.stores.client_faults import FaultKind, kind_of
from imgcls_beam.stores.patience import Patience
from imgcls_beam.stores.public_hosts import check_address
from imgcls_beam.stores.range_answers import Piece, make_short_error, read_piece

_CONNECTIONS_TO_A_HOST = 8
_REDIRECTS = 3
_NO_SUCH_RANGE = 416


class _PublicConnector(aiohttp.TCPConnector):
    """Looks at each address before it connects to it, of redirects too: no name is resolved twice.

    A number is one of its own addresses; aiohttp does not give it to a resolver.
    """

    async def _resolve_host(self, host: str, port: int, traces: Any = None) -> Any:  # noqa: ANN401
        found = await super()._resolve_host(host, port, traces)
        for each in found:
            check_address(host, each["host"])
        return found


class PublicHttp(HTTPFileSystem):
    """Web addresses, with the patience that it is given."""

    def __init__(self, *args: Any, patience: Patience, **kwargs: Any) -> None:  # noqa: ANN401
        """Takes what fsspec's takes, and the patience; a request follows three redirects."""
        limits = aiohttp.ClientTimeout(
            total=None, sock_connect=patience.connect_s, sock_read=patience.silence_s
        )
        super().__init__(
            *args,
            get_client=_make_client,
            client_kwargs={"timeout": limits},
            max_redirects=_REDIRECTS,
            **kwargs,
        )

    async def _info(self, url: str, **kwargs: Any) -> Any:  # noqa: ANN401
        """What a server says of an object.

        Raises:
            FileNotFoundError: there is none.
            Exception: what the look-up raised; fsspec makes a `FileNotFoundError` of all of it.
        """
        try:
            return await super()._info(url, **kwargs)
        except FileNotFoundError as error:
            fault = error.__cause__
            if not isinstance(fault, Exception) or kind_of(fault) is FaultKind.NO_OBJECT:
                raise
            raise fault from fault.__cause__

    async def _cat_file(
        self,
        url: str,
        start: int | None = None,
        end: int | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> bytes:
        """Reads no more than was asked for, whatever the server sends: fsspec's reads all of it.

        A server may ignore the range, give a part of it, or send without an end. What a part lacks
        is asked for. The status is looked at first.
        """
        if end is None or end < 0 or (start or 0) < 0:
            whole: bytes = await super()._cat_file(url, start, end, **kwargs)
            return whole
        data, first, version = b"", start or 0, None
        while first + len(data) < end:
            try:
                piece, found = await self._ask_piece(url, first + len(data), end, **kwargs)
            except aiohttp.ClientResponseError as error:
                if data and error.status == _NO_SUCH_RANGE:  # it did not say where the object ends
                    break
                raise
            is_other = data and found != version
            if is_other or not (piece.data or piece.is_last):
                raise make_short_error()
            data, version = data + piece.data, found
            if piece.is_last:
                break
        return data

    async def _ask_piece(
        self,
        url: str,
        start: int,
        end: int,
        **kwargs: Any,  # noqa: ANN401
    ) -> tuple[Piece, str | None]:
        """Asks for a stretch; what is given of it, and of which version."""
        headers = {**self.kwargs.get("headers", {}), **kwargs.pop("headers", {})}
        headers |= {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}
        session = await self.set_session()
        options = {**self.kwargs, **kwargs, "headers": headers}
        async with session.get(self.encode_url(url), **options) as response:
            self._raise_not_found_for_status(response, url)
            version = response.headers.get("ETag") or response.headers.get("Last-Modified")
            return await read_piece(response, start, end), version


async def _make_client(**kwargs: Any) -> aiohttp.ClientSession:  # noqa: ANN401
    connector = _PublicConnector(limit_per_host=_CONNECTIONS_TO_A_HOST)
    return aiohttp.ClientSession(connector=connector, **kwargs)
