"""Stores of every scheme, in memory: honest small models that parse URLs as fsspec's own do.

`HOSTS` is the world: for each host, account or bucket the content of its paths. Where a package is
installed its own class parses; elsewhere its parser stands here as it is in the package.
"""

import io
import re
from collections.abc import Mapping
from typing import Any

import gcsfs
import s3fs
from fsspec import AbstractFileSystem
from fsspec.implementations.ftp import FTPFileSystem
from fsspec.implementations.http import HTTPFileSystem
from fsspec.implementations.webhdfs import WebHDFS
from fsspec.utils import infer_storage_options

HOSTS: dict[str, dict[str, bytes]] = {}


class Hosted(AbstractFileSystem):
    """Files of the host that it was opened for."""

    cachable = False

    def __init__(self, host: str = "", **options: Any) -> None:
        super().__init__(**options)
        self._files = HOSTS.setdefault(host, {})

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        path = self._strip_protocol(path)
        if path in self._files:
            return {"name": path, "type": "file", "size": len(self._files[path]), "etag": path}
        below = path.rstrip("/") + "/"
        if any(name.startswith(below) for name in self._files):
            return {"name": path, "type": "directory", "size": 0}
        raise FileNotFoundError(path)

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        below = self._strip_protocol(path).rstrip("/") + "/"
        found = {
            below + name.removeprefix(below).partition("/")[0]
            for name in self._files
            if name.startswith(below)
        }
        return [self.info(name) for name in sorted(found)] if detail else sorted(found)

    def cat_file(self, path: str, start: Any = None, end: Any = None, **kwargs: Any) -> bytes:
        self.info(path)
        return self._files[self._strip_protocol(path)][start:end]

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        import io

        return io.BytesIO(self.cat_file(path))


class Ftp(Hosted):
    protocol = "ftp"
    _strip_protocol = classmethod(FTPFileSystem._strip_protocol.__func__)
    _get_kwargs_from_urls = staticmethod(FTPFileSystem._get_kwargs_from_urls)

    def __init__(self, host: str, port: int = 21, username: str = "", **options: Any) -> None:
        super().__init__(f"{username}@{host}:{port}", **options)


def _split_host(url: str) -> dict[str, Any]:
    """As fsspec/implementations/sftp.py and smb.py have it."""
    out = infer_storage_options(url)
    out.pop("path", None)
    out.pop("protocol", None)
    return out


class Sftp(Hosted):
    """Like fsspec's, it hands all that it does not know on to paramiko, which refuses the rest."""

    protocol = ("sftp", "ssh")
    _get_kwargs_from_urls = staticmethod(_split_host)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return infer_storage_options(path)["path"]

    def __init__(self, host: str, **ssh_kwargs: Any) -> None:
        unknown = set(ssh_kwargs) - {"port", "username", "password"}
        if unknown:
            raise TypeError(f"SSHClient.connect() got unexpected keyword arguments {unknown}")
        port, user = ssh_kwargs.get("port", 22), ssh_kwargs.get("username", "")
        super().__init__(f"{user}@{host}:{port}")


class Smb(Hosted):
    protocol = "smb"
    _get_kwargs_from_urls = staticmethod(_split_host)
    _strip_protocol = classmethod(Sftp._strip_protocol.__func__)

    def __init__(self, host: str, port: int = 445, username: str = "", **options: Any) -> None:
        super().__init__(f"{username}@{host}:{port}", **options)


class Hdfs(Hosted):
    protocol = ("webhdfs", "webHDFS")
    _get_kwargs_from_urls = staticmethod(WebHDFS._get_kwargs_from_urls)
    _strip_protocol = classmethod(WebHDFS._strip_protocol.__func__)

    def __init__(self, host: str, port: int = 50070, user: str = "", **options: Any) -> None:
        super().__init__(f"{user}@{host}:{port}", **options)


class Azure(Hosted):
    """adlfs 2026.8.0, spec.py: `_strip_protocol` and `_get_kwargs_from_urls`."""

    protocol = ("abfs", "az", "abfss")

    def __init__(self, account_name: str = "of-the-environment", **options: Any) -> None:
        super().__init__(account_name, **options)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        if not path.startswith(tuple(f"{name}://" for name in cls.protocol)):
            path = "abfs://" + path.lstrip("/")
        ops = infer_storage_options(path)
        if ops.get("username"):
            ops["path"] = ops["username"] + ops["path"]
        elif ops.get("host") and ".dfs.core.windows.net" not in ops["host"]:
            ops["path"] = ops["host"] + ops["path"]
        if ops.get("url_query") is not None:
            ops["path"] = f"{ops['path']}?{ops['url_query']}"
        return ops["path"].lstrip("/")

    @staticmethod
    def _get_kwargs_from_urls(urlpath: str) -> dict[str, Any]:
        host = infer_storage_options(urlpath).get("host") or ""
        match = re.match(r"(?P<account_name>.+)\.(dfs|blob)\.core\.windows\.net", host)
        return match.groupdict() if match else {}


class Http(Hosted):
    """Any host; its paths are whole URLs."""

    protocol = ("http", "https")
    _strip_protocol = classmethod(HTTPFileSystem._strip_protocol.__func__)

    def __init__(self, **options: Any) -> None:
        super().__init__("the web", **options)


class Hub(Hosted):
    protocol = "hf"

    def __init__(self, **options: Any) -> None:
        super().__init__("the hub", **options)


def _page(names: list[str], prefix: str, delimiter: str | None) -> tuple[list[str], list[str]]:
    """The keys below a prefix, and the folders in their place where there is a delimiter."""
    below = [name for name in names if name.startswith(prefix)]
    if delimiter is None:
        return below, []
    rest = {name: name.removeprefix(prefix) for name in below}
    folders = {prefix + tail.partition("/")[0] + "/" for tail in rest.values() if "/" in tail}
    return [name for name, tail in rest.items() if "/" not in tail], sorted(folders)


class S3(s3fs.S3FileSystem):
    """Buckets; paths are taken apart by s3fs itself."""

    def call_s3(self, method: str, Bucket: str, **asked: Any) -> dict[str, Any]:
        files = HOSTS.get(Bucket, {})
        if method == "head_object":
            if asked["Key"] not in files:
                raise FileNotFoundError(asked["Key"])
            return {"ContentLength": len(files[asked["Key"]]), "ETag": '"1"'}
        keys, folders = _page(sorted(files), asked["Prefix"], asked.get("Delimiter"))
        contents = [{"Key": key, "Size": len(files[key]), "ETag": '"1"'} for key in keys]
        return {"Contents": contents, "CommonPrefixes": [{"Prefix": each} for each in folders]}

    async def _cat_file(self, path: str, start: Any = None, end: Any = None, **_: Any) -> bytes:
        bucket, key, _version = self.split_path(path)
        return HOSTS[bucket][key][start:end]

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        bucket, key, _version = self.split_path(path)
        return io.BytesIO(HOSTS[bucket][key])

    async def _info(self, path: str, **_: Any) -> dict[str, Any]:
        bucket, key, _version = self.split_path(path)
        if any(name.startswith(key.rstrip("/") + "/") for name in HOSTS.get(bucket, {})):
            return {"name": path, "type": "directory", "size": 0}
        raise FileNotFoundError(path)


class Gcs(gcsfs.GCSFileSystem):
    """Buckets; paths are taken apart by gcsfs itself."""

    def __init__(self, **options: Any) -> None:
        super().__init__(token="anon", **options)

    def call(self, method: str, path: str, bucket: str, *names: str, **asked: Any) -> Any:
        files = HOSTS.get(bucket, {})
        if names:
            if names[0] not in files:
                raise FileNotFoundError(names[0])
            return {"size": str(len(files[names[0]])), "generation": "1"}
        keys, folders = _page(sorted(files), asked["prefix"], asked.get("delimiter"))
        items = [{"name": key, "size": str(len(files[key])), "generation": "1"} for key in keys]
        return {"items": items, "prefixes": folders}

    _cat_file = S3._cat_file
    _open = S3._open
    _info = S3._info


KINDS: Mapping[str, type[AbstractFileSystem]] = {
    **{"ftp": Ftp, "sftp": Sftp, "ssh": Sftp, "smb": Smb, "webhdfs": Hdfs},
    **{"az": Azure, "abfs": Azure, "abfss": Azure, "http": Http, "https": Http, "hf": Hub},
    **{"s3": S3, "s3a": S3, "gs": Gcs, "gcs": Gcs},
}
