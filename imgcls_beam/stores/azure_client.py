"""adlfs with one layer of retries, pages of listings, and paths taken letter for letter.

Azure's client waits 15 s before it tries a second time, and knows no budget of retries. adlfs takes
each path apart as if it were a URL again: a?b#c becomes a#c?b. It lists all below a folder at once,
and calls a copy done that Azure has only begun.
"""

import asyncio
import errno
import functools
import os
import time
from collections.abc import Mapping
from typing import Any

from adlfs import AzureBlobFileSystem
from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob._shared.policies_async import AsyncStorageRetryPolicy
from azure.storage.blob.aio import BlobServiceClient
from fsspec.asyn import sync_wrapper

from imgcls_beam.stores.haste import find_haste
from imgcls_beam.stores.patience import OTHER_RETRIES, Patience, find_wait_s

_COPY_POLL_S = 0.5
_NO_ACCOUNT = "neither a connection string nor an account is set"


class PatientAzure(AzureBlobFileSystem):
    """Azure's blobs, with the patience that it is given."""

    def __init__(self, *args: Any, patience: Patience, **kwargs: Any) -> None:  # noqa: ANN401
        """Takes what adlfs takes, and the patience."""
        self._patience = patience
        super().__init__(*args, **kwargs)

    def do_connect(self) -> None:
        """Makes Azure's client as adlfs does: by a connection string, else by the account.

        Raises:
            ValueError: neither is set, or it cannot be used.
        """
        limits = {
            "retry_policy": _Persistence(self._patience),
            "connection_timeout": self._patience.connect_s,
            "read_timeout": self._patience.silence_s,
        }
        if self.connection_string is not None:
            self.service_client = BlobServiceClient.from_connection_string(
                self.connection_string, **limits
            )
        elif self.account_name is not None:
            self.service_client = BlobServiceClient(
                self._find_account_url(),
                credential=self.credential or self.account_key,
                **limits,
            )
        else:
            raise ValueError(_NO_ACCOUNT)

    def _find_account_url(self) -> str:
        host = getattr(self, "account_host", f"{self.account_name}.blob.core.windows.net")
        is_by_token = not self.credential and not self.account_key and self.sas_token
        return f"https://{host}" + (f"?{self.sas_token.lstrip('?')}" if is_by_token else "")

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:  # noqa: ANN401
        """A path stays as it is; who opens stores takes URLs apart."""
        if isinstance(path, str) and "://" not in path:
            return path.lstrip("/")
        return super()._strip_protocol(path)

    def split_path(self, path: str, *_: Any, **__: Any) -> tuple[str, str, None]:  # noqa: ANN401
        """Container, and name of the blob; a version is no part of a path here."""
        container, _, key = self._strip_protocol(path).partition("/")
        return container, key, None

    async def _ask_object(self, container: str, key: str) -> Mapping[str, Any]:
        """What the store says of one blob.

        Raises:
            FileNotFoundError: there is none, or it stands for a folder.
        """
        try:
            found = await self.service_client.get_blob_client(container, key).get_blob_properties()
        except ResourceNotFoundError as error:
            raise _missing(key) from error
        if _is_folder(found):
            raise _missing(key)
        return _describe(found)

    ask_object = sync_wrapper(_ask_object)

    async def _ask_page(
        self, container: str, prefix: str, delimiter: str, token: str
    ) -> tuple[list[Mapping[str, Any]], str]:
        """Up to 5,000 blobs and folders by their names, and the token of the next page."""
        asked = {"name_starts_with": prefix or None, "include": ["metadata"]}
        client = self.service_client.get_container_client(container)
        if delimiter:
            found = client.walk_blobs(delimiter=delimiter, **asked)
        else:
            found = client.list_blobs(**asked)
        pages = found.by_page(continuation_token=token or None)
        page = [_describe(each) async for each in await anext(pages) if not _is_folder(each)]
        return page, pages.continuation_token or ""

    ask_page = sync_wrapper(_ask_page)

    async def _read_object(self, path: str) -> tuple[bytes, str]:
        """The content of a blob and its etag, from one answer.

        Raises:
            FileNotFoundError: there is none.
        """
        container, key, _ = self.split_path(path)
        try:
            stream = await self.service_client.get_blob_client(container, key).download_blob()
        except ResourceNotFoundError as error:
            raise _missing(path) from error
        return await stream.readall(), str(stream.properties.etag)

    read_object = sync_wrapper(_read_object)

    async def _put_object(self, path: str, data: bytes, etag: str | None) -> None:
        """Writes a blob if its etag is this one, or if there is none.

        Raises:
            FileExistsError: another one is there, or none.
        """
        container, key, _ = self.split_path(path)
        match = {"etag": etag, "match_condition": MatchConditions.IfNotModified} if etag else {}
        client = self.service_client.get_blob_client(container, key)
        try:
            await client.upload_blob(data, overwrite=etag is not None, **match)
        except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError) as error:
            if isinstance(error, ResourceNotFoundError) and etag is None:
                raise  # it is the container that is not there
            raise FileExistsError(path) from error

    put_object = sync_wrapper(_put_object)

    async def _cp_file(
        self,
        path1: str,
        path2: str,
        etag: str | None = None,
        is_new: bool = False,
        **_: Any,  # noqa: ANN401
    ) -> None:
        """Copies a blob within the account, and waits until that is done.

        Raises:
            FileNotFoundError: there is none, or none with this etag.
            FileExistsError: it has to be new, and another one is there.
        """
        source, target = (
            self.service_client.get_blob_client(*self.split_path(path)[:2])
            for path in (path1, path2)
        )
        match = {"source_match_condition": MatchConditions.IfNotModified} if etag else {}
        if etag:
            match["source_etag"] = f'"{etag}"'
        if is_new:
            match["match_condition"] = MatchConditions.IfMissing
        try:
            status = (await target.start_copy_from_url(source.url, **match))["copy_status"]
        except ResourceExistsError as error:
            raise FileExistsError(path2) from error
        except (ResourceNotFoundError, ResourceModifiedError) as error:
            raise _missing(path1) from error
        while status == "pending":
            await asyncio.sleep(_COPY_POLL_S)
            status = (await target.get_blob_properties()).copy.status
        if status != "success":
            raise OSError(errno.EIO, f"the copy ended as {status}", path2)

    cp_file = sync_wrapper(_cp_file)


class _Persistence(AsyncStorageRetryPolicy):
    """When Azure's client asks again, and after which wait."""

    def __init__(self, patience: Patience) -> None:
        kinds = ("total", "connect", "read", "status")
        super().__init__(**{f"retry_{kind}": patience.tries - 1 for kind in kinds})
        self._patience = patience

    def get_backoff_time(self, settings: Mapping[str, Any]) -> float:
        """The wait before the next try."""
        return find_wait_s(settings["count"] - 1, self._patience.first_wait_s)

    def increment(self, settings: dict[str, Any], *args: Any, **kwargs: Any) -> bool:  # noqa: ANN401
        """Whether there is another try."""
        began = settings.setdefault("began", time.monotonic())
        is_late = time.monotonic() - began > self._patience.retry_s
        is_over = is_late or find_haste().is_on
        return not is_over and super().increment(settings, *args, **kwargs)

    async def sleep(self, settings: dict[str, Any], *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Waits before another try, and until it may be made."""
        await super().sleep(settings, *args, **kwargs)
        until_s = settings["began"] + self._patience.retry_s
        await OTHER_RETRIES.take_meanwhile(until_s - time.monotonic())

    async def send(self, request: Any) -> Any:  # noqa: ANN401
        """Makes a request, again where its fault looks passing."""
        request.context.options["read_timeout"] = self._patience.find_silence_s()
        if (haste := find_haste()).is_on:
            return await haste.ask_once(functools.partial(super().send, request))
        answer = await super().send(request)
        if self._patience.tries > 1:  # an image's, which its reader counts
            OTHER_RETRIES.give_back(1)
        return answer


def _missing(path: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


def _is_folder(found: Any) -> bool:  # noqa: ANN401
    """Whether a blob stands for a folder: accounts with a hierarchical namespace list such ones."""
    metadata = getattr(found, "metadata", None) or {}
    return {name.lower(): value for name, value in metadata.items()}.get("hdi_isfolder") == "true"


def _describe(found: Any) -> Mapping[str, Any]:  # noqa: ANN401
    """What the listing keeps of a blob; of a folder its name, which ends in a slash."""
    size_bytes = getattr(found, "size", None)
    if size_bytes is None:
        return {"name": found.name}
    return {
        "name": found.name,
        "size": size_bytes,
        "etag": found.etag,
        "last_modified": found.last_modified,
        "content_settings": found.content_settings,
    }
