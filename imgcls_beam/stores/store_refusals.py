"""Faults of a whole store → one sentence that says what to set.

The words of a store's client are not passed on: they hold addresses and paths, and a page of them.
"""

import contextlib
import re
from collections.abc import Iterator

from imgcls_beam.errors import ConfigError, ImgclsError
from imgcls_beam.stores.client_faults import FaultKind, ask, code_of, is_fault, kind_of
from imgcls_beam.stores.infos import ask_bucket, has_pages
from imgcls_beam.stores.opening import StoreKey, split_url
from imgcls_beam.stores.patience import Patience
from imgcls_beam.stores.public_hosts import REFUSED_HOST

STORE_NAMES = {
    **{"gs": "gs", "gcs": "gs", "s3": "s3", "s3a": "s3"},
    **dict.fromkeys(("az", "abfs", "abfss"), "az"),
}
"""The kind of store of each scheme."""
_SET = {
    "s3": "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": (
        "run `gcloud auth application-default login`, or let GOOGLE_APPLICATION_CREDENTIALS name "
        "the key file of a service account"
    ),
    "az": (
        "set AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME with "
        "AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN, or a login such as `az login`"
    ),
    "": "check its user and password",
}
_NETWORK = {
    "s3": "AWS_ENDPOINT_URL, AWS_DEFAULT_REGION, the network and its proxy",
    "gs": "the network, its proxy, and STORAGE_EMULATOR_HOST where that is set",
    "az": "the account's name, the network and its proxy",
    "": "its host, the network and its proxy",
}
_BUCKETS = "a bucket's has 3 to 63 small letters, digits, dots and hyphens"
_REGION = "its bucket lies in another region; set AWS_DEFAULT_REGION"
_SETTINGS = {
    r"\w*Region\w*Error:": (
        "its region is none; set AWS_DEFAULT_REGION, or region in the profile, to one such as "
        "eu-west-1"
    ),
    r"ValueError: Invalid endpoint|EndpointResolutionError: Custom endpoint": (
        "the address of its store is none; set AWS_ENDPOINT_URL, or endpoint_url in the profile, "
        "to one such as http://localhost:9000"
    ),
}
"""What to say of a setting that a file of S3's client has, by the error: its class and words."""
_REGION_CODES = ("PermanentRedirect", "AuthorizationHeaderMalformed", "301")
_SENTENCES = {
    FaultKind.NO_CREDENTIALS: "there are no credentials for {scheme}://; {set}",
    FaultKind.WRONG_SETTINGS: (
        "the credentials for {scheme}:// cannot be used: their profile, or a part of them, is "
        "missing or wrong; {set}"
    ),
    FaultKind.EXPIRED: (
        "these credentials for {scheme}:// are not taken{code}; renew them, or {set}"
    ),
    FaultKind.DENIED: "it may not be read{code}; check its permissions, or {set}",
    FaultKind.NO_BUCKET: "there is no bucket {bucket}; check its name and the account",
    FaultKind.NO_OBJECT: "there is no such file or folder",
    FaultKind.MALFORMED: "it cannot be listed or read: its store has no such names; {names}",
    FaultKind.NOT_PUBLIC: REFUSED_HOST,
    FaultKind.UNREACHABLE: "its store does not answer{code}; check {network}",
    FaultKind.OUT_OF_RANGE: "it is shorter than it was, or has no bytes",
    FaultKind.OTHER: "it cannot be listed or read{code}",
}


@contextlib.contextmanager
def refuse_store_faults(option: str, url: str, *, is_parsing: bool = False) -> Iterator[None]:
    """Turns whatever a store's client raises into one sentence.

    Args:
        option: the option that names the place.
        url: the place.
        is_parsing: whether what is read is parsed meanwhile: a parser's own errors pass through.

    Raises:
        ConfigError: what is wrong with this place, and what to set.
    """
    try:
        yield
    except ImgclsError:
        raise
    except Exception as error:  # clients have exceptions of their own, and share no base
        if not is_fault(error) or (is_parsing and not _is_of_store(error)):
            raise
        raise ConfigError(option, url, _describe(error, url)) from error


def refuse_credentials(option: str, url: str) -> ConfigError:
    """The error where a store's client finds no credentials."""
    return ConfigError(option, url, _fill(FaultKind.NO_CREDENTIALS, url))


def refuse_bucket_name(option: str, url: str) -> ConfigError:
    """The error for a bucket that no store can have."""
    return ConfigError(option, url, _fill(FaultKind.MALFORMED, url))


def refuse_silence(option: str, url: str, endpoint: str) -> ConfigError:
    """The error for an endpoint that does not answer."""
    network = _NETWORK[STORE_NAMES.get(split_url(url)[0], "")]
    return ConfigError(option, url, f"{endpoint} does not answer; check {network}")


def has_bucket(url: str) -> bool:
    """Whether the bucket of a URL is there, as far as its store tells; one small request.

    True for stores without buckets, and where the bucket may not be listed.
    """
    return find_bucket(url) is not False


def find_bucket(url: str, patience: Patience | None = None) -> bool | None:
    """`has_bucket`; None where the store did not say, which may pass.

    Args:
        url: of anything in the bucket.
        patience: with the request; the usual one where there is none.
    """

    def look() -> None:
        key = StoreKey.of(url)
        store = key.open(patience)
        if has_pages(store):
            ask_bucket(store, key.path_of(url).partition("/")[0])

    found = ask(look)
    if not isinstance(found, Exception):
        return True
    kind = kind_of(found)
    if kind in (FaultKind.UNREACHABLE, FaultKind.NO_CREDENTIALS):
        return None
    return kind not in (FaultKind.NO_BUCKET, FaultKind.NO_OBJECT)


def _is_of_store(error: Exception) -> bool:
    kinds = (FaultKind.OTHER, FaultKind.MALFORMED)
    return isinstance(error, OSError) or kind_of(error) not in kinds


def _describe(error: Exception, url: str) -> str:
    name, kind = STORE_NAMES.get(split_url(url)[0], ""), kind_of(error)
    if kind is FaultKind.DENIED and not name:
        return "it may not be read; check its permissions"
    if kind is FaultKind.NO_OBJECT and name and not has_bucket(url):
        kind = FaultKind.NO_BUCKET
    said = f"{type(error).__name__}: {error}"
    if name == "s3" and (setting := _find_setting(said)):
        return setting
    code = code_of(error)
    return _REGION if code in _REGION_CODES else _fill(kind, url, code)


def _find_setting(said: str) -> str | None:
    return next((says for words, says in _SETTINGS.items() if re.match(words, said)), None)


def _fill(kind: FaultKind, url: str, code: str = "") -> str:
    scheme, authority, _ = split_url(url)
    name = STORE_NAMES.get(scheme, "")
    return _SENTENCES[kind].format(
        scheme=scheme,
        bucket=authority,
        code=f" ({code})" if code else "",
        set=_SET[name],
        network=_NETWORK[name],
        names=_BUCKETS if name else "check its spelling",
    )
