"""Checks of a store of buckets before it is used: its endpoint, the credentials, the bucket.

A client retries for a minute what will not answer. So the endpoint is asked once without it, and
the rest by one small listing.
"""

import concurrent.futures
import http.client
import os
import ssl
import threading
import time
import urllib.error
import urllib.request

from fsspec import AbstractFileSystem
from fsspec.asyn import sync

from imgcls_beam.stores.client_faults import FaultKind, ask, code_of, kind_of
from imgcls_beam.stores.infos import list_below
from imgcls_beam.stores.opening import is_bucket_name, open_store, split_url
from imgcls_beam.stores.store_refusals import (
    STORE_NAMES,
    refuse_bucket_name,
    refuse_credentials,
    refuse_silence,
    refuse_store_faults,
)
from imgcls_beam.stores.store_settings import check_settings

_ANSWER_S = 6.0
_WAITS_S = (0.5, None)
_GCS = "https://storage.googleapis.com"
_GCS_SCHEMES, _S3_SCHEMES = ("gs", "gcs"), ("s3", "s3a")
_AZURE_SCHEMES = ("az", "abfs", "abfss")
_UNKNOWN_USER = ("SignatureDoesNotMatch", "NoAuthenticationInformation")
_ACCOUNT_SETTINGS = ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT_NAME")


def check_store(option: str, url: str) -> None:
    """Asks a store of buckets whether it answers, takes the credentials, and has the bucket.

    Other stores have no such question: the first listing or writing finds out.

    Raises:
        ConfigError: it does not answer, there are no credentials, or there is no such bucket.
    """
    scheme, authority, _ = split_url(url)
    if scheme not in (*_GCS_SCHEMES, *_S3_SCHEMES, *_AZURE_SCHEMES):
        return
    bucket, at, _ = authority.partition("@")  # container@account.dfs.core.windows.net
    if not is_bucket_name(bucket):
        raise refuse_bucket_name(option, url)
    check_settings(option, url, STORE_NAMES[scheme])
    if scheme in _GCS_SCHEMES:  # its client looks for credentials for 20 s when it is opened
        _check_endpoint(option, url, os.environ.get("STORAGE_EMULATOR_HOST") or _GCS)
    if scheme in _AZURE_SCHEMES and not at and not any(map(os.environ.get, _ACCOUNT_SETTINGS)):
        raise refuse_credentials(option, url)
    with refuse_store_faults(option, url):
        store, _ = open_store(option, url)
        if scheme in _S3_SCHEMES:
            _check_s3_client(option, url, store)
        if scheme in _AZURE_SCHEMES:
            _check_endpoint(option, url, store.service_client.primary_endpoint.partition("?")[0])
        found = ask(lambda: next(list_below(store, f"{bucket}/", is_deep=False), None))
        if isinstance(found, Exception) and not _may_be_read_still(found):
            raise found


def _check_s3_client(option: str, url: str, store: AbstractFileSystem) -> None:
    """Credentials first, which need no network; they are looked for as each request does."""
    client = store.s3
    if not store.anon and sync(store.loop, store.session.get_credentials) is None:
        raise refuse_credentials(option, url)
    _check_endpoint(option, url, client.meta.endpoint_url)


def _may_be_read_still(fault: Exception) -> bool:
    """Whether it is a bucket that may not be listed: its objects may be read, for all we know."""
    return kind_of(fault) is FaultKind.DENIED and code_of(fault) not in _UNKNOWN_USER


def _check_endpoint(option: str, url: str, endpoint: str) -> None:
    """Asks an endpoint for any answer at all, twice where there is none."""
    endpoint = endpoint if "://" in endpoint else f"http://{endpoint}"
    for wait_s in _WAITS_S:
        if _answers(endpoint):
            return
        if wait_s is None:
            raise refuse_silence(option, url, endpoint)
        time.sleep(wait_s)


def _answers(endpoint: str) -> bool:
    found: concurrent.futures.Future[bool] = concurrent.futures.Future()
    # A resolver of names knows no limit: its thread is left behind.
    threading.Thread(target=lambda: found.set_result(_connect(endpoint)), daemon=True).start()
    try:
        return found.result(1.5 * _ANSWER_S)
    except TimeoutError:
        return False


def _connect(endpoint: str) -> bool:
    """Whether anything answers, be it a refusal; through the proxy of the environment."""
    try:
        urllib.request.urlopen(endpoint, timeout=_ANSWER_S).close()
    except (urllib.error.HTTPError, http.client.HTTPException, ValueError):
        return True  # of an odd answer, or an odd endpoint, the client says more
    except OSError as error:  # the client may know a certificate that is not known here
        return isinstance(getattr(error, "reason", None), ssl.SSLError)
    return True
