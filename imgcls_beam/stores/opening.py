"""Which file system a URL means, how it is opened, and how its paths are spelled as URIs.

A store is a scheme and an authority. All buckets are one store, whose paths begin with the bucket;
a host of FTP or an account of Azure is a store of its own, and its URIs begin with its authority.

fsspec's parsers drop the authority, and take what comes after `?` and `#` for more than a name. So
they get the authority alone; all that follows is the path, letter for letter. Nor is a URL chained:
`fsspec.url_to_fs` follows `simplecache::https://…`, around the allow-list of schemes.
"""

import dataclasses
import functools
import inspect
import re
from collections.abc import Mapping

import fsspec
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from imgcls_beam.errors import ConfigError
from imgcls_beam.masking import mask_user
from imgcls_beam.stores.cloud_folders import AzureFolder, GcsFolder, S3Folder
from imgcls_beam.stores.folder import Folder
from imgcls_beam.stores.infos import has_protocol, is_local
from imgcls_beam.stores.local_folder import LocalFolder
from imgcls_beam.stores.patience import Patience, default_patience
from imgcls_beam.stores.public_hosts import is_host

_FOLDER = re.compile(r"((?:[^/]*://)?/?)(.*?)/*", re.DOTALL)
_ANCHOR = re.compile(r"((?:[^/]*://)?/?)(.*)", re.DOTALL)
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)(.*)", re.DOTALL)
_LOCAL_URL = re.compile(r"(file|local):(?://localhost)?(/(?!/).*)", re.DOTALL | re.IGNORECASE)
"""Two more spellings of a local path: as Java writes it, and with the name of this machine."""
_NOT_OF_AUTHORITY = frozenset({"version_aware", "url_query", "url_fragment"})
_WEB = ("http", "https")
_SECRETS = frozenset({"password", "token"})
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,254}|arn:.*|\$(root|web|logs)")
_PACKAGES = {
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("az", "abfs", "abfss"), "adlfs"),
    "hf": "huggingface_hub",
}


@dataclasses.dataclass(frozen=True, slots=True)
class StoreKey:
    """A file system. Equal keys are one store; different ones never share an object.

    Attributes:
        scheme: as it was spelled; without an authority the first name of its kind: `gs` for `gcs`.
        authority: host, account or container, with user and port, as it was spelled; empty where
            one client serves all: buckets, web addresses, disk and memory.
    """

    scheme: str
    authority: str = ""

    @classmethod
    def of(cls, url: str) -> "StoreKey":
        """The store of a path or URL.

        Raises:
            ImportError: nothing that is installed reads its scheme.
            ValueError: its authority names no store, or holds a password.
        """
        scheme, authority, _ = split_url(url)
        return _look_at(scheme, authority).key

    @property
    def is_asynchronous(self) -> bool:
        """Whether all threads share one client of it; of others fsspec opens one for each."""
        return bool(_look_at(self.scheme, self.authority).kind.async_impl)

    def open(self, patience: Patience | None = None) -> AbstractFileSystem:
        """The file system. Listings are never cached: a second one shall show what changed.

        Args:
            patience: with its requests; the usual one where there is none. Of buckets: what else
                there is has clients without such settings.

        Raises:
            OSError: its host does not answer, or refuses.
            ValueError: it lacks credentials, or has those of another account.
        """
        known = _look_at(self.scheme, self.authority)
        # SFTP keeps no listings, and passes all its options to paramiko, which refuses this one.
        more = {} if "sftp" in known.kind.protocol else {"use_listings_cache": False}
        store = _open_client(self.scheme, known.kind, patience, {**more, **known.options})
        # adlfs goes where the connection string leads, whatever account a URL names.
        account = getattr(getattr(store, "service_client", None), "account_name", None)
        if account and known.options.get("account_name", account) != account:
            raise ValueError("AZURE_STORAGE_CONNECTION_STRING leads to another account")
        return store

    def path_of(self, url: str) -> str:
        """The path of an object of this store, as its file system spells it."""
        scheme, authority, rest = split_url(url)
        known = _look_at(self.scheme, self.authority)
        if self.authority:
            return (known.root + rest[1:]).rstrip("/") or known.root
        if "az" in _list_names(known.kind):  # adlfs makes a#c?b of a?b#c
            return f"{authority}{rest}".rstrip("/")
        path: str = known.kind._strip_protocol(f"{scheme}://{authority}{rest}")
        return path

    def uri_of(self, path: str) -> str:
        """The URI of a path of this store; `path_of` gives the path back."""
        if self.authority:
            root = _look_at(self.scheme, self.authority).root
            return f"{self.scheme}://{self.authority}/{path.removeprefix(root)}"
        # The web's file system keeps the whole URL as the path. A path that is a URL of another
        # kind is a trap: gs://file:///etc/passwd names no file of this machine.
        match = _URL.match(path)
        is_own = match is not None and match[1].lower() in _list_names(
            _look_at(self.scheme, "").kind
        )
        return path if is_own else f"{self.scheme}://{path}"


def split_url(url: str) -> tuple[str, str, str]:
    """Scheme in small letters, authority, and the rest from its slash on; a path is all rest."""
    if match := _LOCAL_URL.fullmatch(url):
        return match[1].lower(), "", match[2]
    match = _URL.fullmatch(url)
    return (match[1].lower(), match[2], match[3]) if match else ("file", "", url)


def show_store(url: str) -> str:
    """The store of a URL for people: its scheme and authority, without who asks."""
    scheme, authority, _ = split_url(url)
    return f"{scheme}://{authority.rpartition('@')[2]}" if authority else f"{scheme}://"


def is_bucket_name(name: str) -> bool:
    """Whether S3, GCS or Azure can have a bucket of this name, those of long ago included."""
    return _BUCKET.fullmatch(name) is not None


def spell_uri(url: str) -> str:
    """A URL as a listing of its store spells it, so that one object has one URI.

    No file system is opened. Where nothing that is installed reads the scheme it stays as it is.

    Raises:
        ValueError: its authority names no store, or holds a password.
    """
    try:
        key = StoreKey.of(url)
    except ImportError:
        return url
    return key.uri_of(key.path_of(url))


def open_store(option: str, url: str) -> tuple[AbstractFileSystem, str]:
    """Opens the file system of a URL, and spells its path as that does (local paths absolute).

    Args:
        option: the option to name in an error.
        url: a path, or a URL whose scheme has been checked.

    Raises:
        ConfigError: nothing that is installed reads this scheme, or its host cannot be reached.
    """
    try:
        key = StoreKey.of(url)
        return key.open(), key.path_of(url)
    except ImportError as error:
        scheme = split_url(url)[0]
        package = _PACKAGES.get(scheme)
        advice = f"pip install {package}" if package else "install its fsspec package"
        raise ConfigError(option, url, f"nothing installed reads {scheme}://; {advice}") from error
    except ValueError as error:
        raise ConfigError(option, mask_user(url), f"it cannot be opened: {error}") from error
    except OSError as error:
        raise ConfigError(option, url, "its host does not answer, or refuses") from error


def open_folder(option: str, url: str) -> Folder:
    """Opens a folder, which need not exist: `open_store`, as the kind of folder that it has.

    Raises:
        ConfigError: nothing that is installed reads its scheme, or its host does not answer.
    """
    store, root = open_store(option, url)
    url = join_url(url)
    if is_local(store):
        return LocalFolder(option, url, store, root)
    kinds = (("gs", GcsFolder), ("s3", S3Folder), ("az", AzureFolder))
    kind = next((each for name, each in kinds if has_protocol(store, name)), Folder)
    return kind(option, url, store, root)


def open_parent(option: str, url: str) -> tuple[Folder, str]:
    """`open_folder` of the folder in which a file lies; and the file's name in it."""
    folder, name = split_name(url)
    return open_folder(option, folder), name


@dataclasses.dataclass(frozen=True, slots=True)
class _Known:
    """What follows from a scheme and an authority.

    Attributes:
        options: what the authority gives fsspec to open it with.
        root: how its paths begin, which its URIs leave out; where the key has an authority.
    """

    key: StoreKey
    kind: type[AbstractFileSystem]
    options: Mapping[str, object]
    root: str = ""


def _look_at(scheme: str, authority: str) -> _Known:
    try:
        kind = fsspec.get_filesystem_class(scheme)
    except ValueError as error:
        raise ImportError(f"nothing is known to read {scheme}://") from error
    return _describe(kind, scheme, authority)


def _open_client(
    scheme: str,
    kind: type[AbstractFileSystem],
    patience: Patience | None,
    options: Mapping[str, object],
) -> AbstractFileSystem:
    """A file system of fsspec; of buckets one with deadlines and one layer of retries."""
    package = kind.__module__.partition(".")[0]
    if package == "s3fs":
        from imgcls_beam.stores.s3_client import PatientS3

        return PatientS3(patience=patience or default_patience(), **options)
    if package == "gcsfs":
        from imgcls_beam.stores.gcs_client import PatientGcs

        return PatientGcs(patience=patience or default_patience(), **options)
    if package == "adlfs":
        from imgcls_beam.stores.azure_client import PatientAzure

        return PatientAzure(patience=patience or default_patience(), **options)
    if kind.__module__ == "fsspec.implementations.http":
        from imgcls_beam.stores.http_client import PublicHttp

        return PublicHttp(patience=patience or default_patience(), **options)
    store: AbstractFileSystem = fsspec.filesystem(scheme, **options)
    return store


@functools.lru_cache(maxsize=1024)
def _describe(kind: type[AbstractFileSystem], scheme: str, authority: str) -> _Known:
    shared = _Known(StoreKey(_list_names(kind)[0]), kind, {})
    if authority.endswith(":"):
        raise ValueError("it has a URL where its host should be")
    if scheme in _WEB and authority and not is_host(authority):
        raise ValueError("no host can have its name")
    if issubclass(kind, LocalFileSystem):
        if authority and scheme in LocalFileSystem.protocol:
            raise ValueError("it names another machine; paths of this one begin with file:///")
        return shared
    base = f"{scheme}://{authority}/"
    found = kind._get_kwargs_from_urls(base)
    options = {name: value for name, value in found.items() if name not in _NOT_OF_AUTHORITY}
    if not _SECRETS.isdisjoint(options):
        raise ValueError("a password in a URL would stand in every row")
    try:
        inspect.signature(kind.__init__).bind(None, **options)
    except TypeError as error:
        raise ValueError("its URL names no host") from error
    root: str = kind._strip_protocol(base)
    if options:
        return _Known(StoreKey(scheme, authority), kind, options, root)
    if authority not in root:
        raise ValueError("what reads this scheme does not tell such a host from others")
    return shared


def _list_names(kind: type[AbstractFileSystem]) -> tuple[str, ...]:
    """The schemes that a file system reads."""
    return (kind.protocol,) if isinstance(kind.protocol, str) else tuple(kind.protocol)


def join_url(folder: str, *names: str) -> str:
    """A path below a folder, which may be a bare `scheme://` or `/`, or end in slashes."""
    anchor, rest = _FOLDER.fullmatch(folder).groups()  # type: ignore[union-attr]  # matches all
    return anchor + "/".join((rest, *names) if rest else names)


def split_name(url: str) -> tuple[str, str]:
    """The folder of a file, and the file's name in it; `join_url` puts them together again."""
    anchor, rest = _ANCHOR.fullmatch(url).groups()  # type: ignore[union-attr]  # matches all
    folder, _, name = rest.rpartition("/")
    return anchor + folder or ".", name
