"""Settings of the environment by which clients find a store, checked before a client is made.

A client says of a wrong one what it makes of it: that a bucket cannot be called so, or that there
are no credentials. Values are not shown: an address may hold a password, a string the key.
"""

import base64
import binascii
import os
import pathlib
import re
import urllib.parse

from imgcls_beam.errors import ConfigError
from imgcls_beam.json_bounds import load_bounded_file

_CONNECTION = "AZURE_STORAGE_CONNECTION_STRING"
_KEY_FILE = "GOOGLE_APPLICATION_CREDENTIALS"
_EMULATOR = "STORAGE_EMULATOR_HOST"
_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_ACCOUNT = re.compile(r"[A-Za-z0-9._-]+")
_COPY = "copy it from the access keys of the account"


def check_settings(option: str, url: str, kind: str) -> None:
    """Checks the settings of a kind of store.

    Args:
        option: the option that names the place.
        url: the place.
        kind: `s3`, `gs` or `az`.

    Raises:
        ConfigError: which setting cannot be, and what to set.
    """
    find = {"s3": _find_s3_problem, "gs": _find_gcs_problem, "az": _find_azure_problem}[kind]
    if problem := find():
        raise ConfigError(option, url, problem)


def _find_s3_problem() -> str | None:
    is_ignored = os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true"
    names = () if is_ignored else ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    name = next(filter(os.environ.get, names), None)
    if name and not _is_address(os.environ[name]):
        return f"{name} is no address; set it to one such as http://localhost:9000, or unset it"
    region = os.environ.get("AWS_DEFAULT_REGION")
    if region and not _LABEL.fullmatch(region):
        return "AWS_DEFAULT_REGION is no region; set it to one such as eu-west-1"
    return None


def _find_gcs_problem() -> str | None:
    host = os.environ.get(_EMULATOR)
    if host and not _is_address(host if "://" in host else f"http://{host}"):
        return (
            f"{_EMULATOR} is no address; set it to one such as http://localhost:4443, or unset it"
        )
    path = os.environ.get(_KEY_FILE)
    if not path:
        return None
    if not os.path.isfile(path):  # Google's client goes on as nobody
        return f"{_KEY_FILE} names no file ({path}); set it to a key file"
    try:
        key = load_bounded_file(pathlib.Path(path))
    except OSError:
        return f"{_KEY_FILE} names a file that may not be read ({path}); check its permissions"
    except ValueError:
        key = None
    if not isinstance(key, dict) or "type" not in key:
        return f"{_KEY_FILE} names a file that is no key file ({path}); set it to one in JSON"
    return None


def _find_azure_problem() -> str | None:
    if connection := os.environ.get(_CONNECTION):
        return _find_connection_problem(connection)
    account = os.environ.get("AZURE_STORAGE_ACCOUNT_NAME")
    if account and not _ACCOUNT.fullmatch(account):
        return "AZURE_STORAGE_ACCOUNT_NAME is no name of an account: small letters and digits"
    key = os.environ.get("AZURE_STORAGE_ACCOUNT_KEY")
    return None if _is_key(key) else f"AZURE_STORAGE_ACCOUNT_KEY is no key in base64; {_COPY}"


def _find_connection_problem(connection: str) -> str | None:
    parts = [part.partition("=") for part in connection.rstrip(";").split(";")]
    if not all(is_given for _, is_given, _ in parts):
        return f"{_CONNECTION} is no connection string, which is Name=value;Name=value; {_COPY}"
    held = {name.upper(): value for name, _, value in parts}
    account, endpoint = held.get("ACCOUNTNAME"), held.get("BLOBENDPOINT")
    if not account and not endpoint:
        return f"{_CONNECTION} has neither AccountName nor BlobEndpoint; {_COPY}"
    if account and not _ACCOUNT.fullmatch(account):
        return f"AccountName in {_CONNECTION} is no name of an account; {_COPY}"
    if endpoint and not _is_address(endpoint if "://" in endpoint else f"https://{endpoint}"):
        return f"BlobEndpoint in {_CONNECTION} is no address; {_COPY}"
    if not _is_key(held.get("ACCOUNTKEY")):
        return f"AccountKey in {_CONNECTION} is no key in base64; {_COPY}"
    return None


def _is_address(value: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and _HOST.fullmatch(host) is not None


def _is_key(value: str | None) -> bool:
    try:
        base64.b64decode(value or "")
    except (binascii.Error, ValueError):
        return False
    return True
