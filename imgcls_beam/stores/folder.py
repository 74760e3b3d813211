"""A folder to write to, on any file system that fsspec knows: opened once, and handed on.

Names are relative to the folder, with `/` between their parts; an empty one is the folder itself.
`Folder` asks for nothing that not every store has; a disk (`local_folder`) and the clouds that swap
(`cloud_folders`) do some of it better.

Nothing here expands patterns: fsspec's own `mv`, `cp` and recursive `rm` treat `[`, `*` and `?` in
a path as a glob, and move or delete other files than those named. Nothing here makes a bucket:
`makedirs` does so on some stores, so folders are made on local disks only, which alone need them.
"""

import contextlib
import dataclasses
import datetime
import hashlib
import uuid
from collections.abc import Collection, Iterator
from typing import IO, NamedTuple

from fsspec import AbstractFileSystem

from imgcls_beam.errors import ConfigError
from imgcls_beam.stores.versions import updated_at_of

_CHUNK_BYTES = 1 << 20


class FileState(NamedTuple):
    """What a store says of a file.

    Attributes:
        size_bytes: its length.
        version: of its content; None where the store gives none that can be relied on.
    """

    size_bytes: int
    version: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Folder:
    """An opened folder, which need not exist.

    Attributes:
        option: the option that named it, for errors.
        url: as it was given, a path or any fsspec URL, without slashes at its end.
        store: its file system.
        root: its path there.
    """

    option: str
    url: str
    store: AbstractFileSystem
    root: str

    def path_of(self, name: str) -> str:
        """The path of a file, as the file system spells it."""
        return _join(self.root, name)

    def url_of(self, name: str) -> str:
        """The path or URL of a file, as the folder was spelled."""
        return _join(self.url, name)

    @property
    def at_once(self) -> int:
        """How many requests may be made at once; clients that are not known bear one."""
        return 1

    @property
    def has_lock(self) -> bool:
        """Whether `hold_lock` keeps other programs away."""
        return False

    def hold_lock(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Lets in one program at a time, where the store has locks; does nothing elsewhere."""
        del name
        return contextlib.nullcontext()

    def open_new(self, name: str) -> IO[bytes]:
        """Opens a file for writing."""
        opened: IO[bytes] = self.store.open(self.path_of(name), "wb")
        return opened

    def open_existing(self, name: str) -> IO[bytes]:
        """Opens a file for reading, or raises `FileNotFoundError`."""
        opened: IO[bytes] = self.store.open(self.path_of(name), "rb")
        return opened

    def write(self, name: str, data: bytes) -> None:
        """Writes a small file, over what is there."""
        with self.open_new(name) as target:
            target.write(data)

    def find_size(self, name: str) -> int | None:
        """Size of a file in bytes; None where there is none."""
        try:
            size: int = self.store.info(self.path_of(name))["size"]
        except FileNotFoundError:
            return None
        return size

    def hash_file(self, name: str) -> str:
        """SHA-256 of a file's bytes, 64 hex digits."""
        with self.open_existing(name) as source:
            return hash_stream(source)

    @contextlib.contextmanager
    def open_pinned(self, name: str, size_bytes: int) -> Iterator[tuple[IO[bytes], str | None]]:
        """`open_existing` of a file that should be so long, and the version that is read.

        The version is None where the store gives none.
        """
        del size_bytes
        with self.open_existing(name) as source:
            yield source, None

    def find_files(self, name: str, wanted: Collection[str]) -> dict[str, FileState]:
        """Which of some files below a folder are there, with their sizes and versions.

        Args:
            name: the folder.
            wanted: the files, relative to this folder, as `name` is.
        """
        found = {each: self.find_size(each) for each in wanted}
        return {each: FileState(size) for each, size in found.items() if size is not None}

    def list_names(self, name: str = "") -> list[str]:
        """Every file below a folder, sorted, relative to it; none where there is no folder."""
        path = self.path_of(name)
        prefix = path.rstrip("/") + "/"
        return sorted(found.removeprefix(prefix) for found in self.store.find(path))

    def list_folders(
        self, name: str, unwritten_since: datetime.datetime | None = None
    ) -> list[str]:
        """Names of the folders directly below a folder; none where there is no folder.

        Args:
            name: the folder.
            unwritten_since: leaves out those that hold a younger file, or none that has a time.
        """
        try:
            paths = list(self._iterate_folders(self.path_of(name)))
        except FileNotFoundError:
            return []
        if unwritten_since is not None:
            paths = [path for path in paths if self._is_older(path, unwritten_since)]
        return sorted(path.rpartition("/")[2] for path in paths)

    def _iterate_folders(self, path: str) -> Iterator[str]:
        for entry in self.store.ls(path, detail=True):
            if entry["type"] == "directory":
                yield entry["name"].rstrip("/")

    def _is_older(self, path: str, time: datetime.datetime) -> bool:
        infos = self.store.find(path, detail=True).values()
        times = [found for found in map(updated_at_of, infos) if found is not None]
        return bool(times) and max(times) < time

    def move(self, name: str, target: str) -> None:
        """Moves a file over another or to a new place: a copy by the store, and a deletion.

        If it stops in between, both are there.
        """
        self.store.cp_file(self.path_of(name), self.path_of(target))
        self.remove(name)

    def put_in_place(self, name: str, target: str, state: FileState) -> None:
        """Brings a file to another place, over what is there; where it was it may stay.

        Args:
            name: the file.
            target: its new place.
            state: of the file. Where it has a version, no other version is brought.

        Raises:
            FileNotFoundError: it is gone, or of another version.
        """
        del state
        self.move(name, target)

    def move_new(self, name: str, target: str) -> None:
        """Moves a file to a place where there is nothing.

        The store is asked first and written then: in between, another program may write there.

        Raises:
            FileExistsError: there is something; it was left as it is.
        """
        if self.store.exists(self.path_of(target)):
            raise FileExistsError(self.url_of(target))
        self.move(name, target)

    def remove(self, *names: str) -> None:
        """Removes files; one that is gone already is no error."""
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                self.store.rm_file(self.path_of(name))

    def remove_below(self, name: str = "") -> None:
        """Removes a folder and all below it; one that is gone already is no error."""
        self.remove(*(f"{name}/{found}".lstrip("/") for found in self.list_names(name)))

    def prune(self, *names: str) -> None:
        """Removes folders that are empty, in the order given; only disks have such."""

    def find_missing_folders(self, name: str) -> list[str]:
        """Local paths of folders that would have to be made for this one, deepest first."""
        del name
        return []

    def sync(self, *names: str) -> None:
        """Sees to it that files outlive a power cut; an object that is written does."""

    def read_with_etag(self, name: str) -> tuple[bytes, str]:
        """Reads a small file, and the etag of this very content, for `swap`: its SHA-256.

        Raises:
            FileNotFoundError: there is none.
        """
        data: bytes = self.store.cat_file(self.path_of(name))
        return data, hashlib.sha256(data).hexdigest()

    def swap(self, name: str, data: bytes, etag: str | None, scratch: str) -> None:
        """Writes a small file if its content is still the expected one: compare-and-swap.

        Where an answer is lost, the client asks again, and is refused because it was done. So a
        refused swap counts as done where exactly its bytes are there: a record names its session.

        Args:
            name: the file.
            data: its new content.
            etag: of the expected content; None for no file.
            scratch: a file to write to first, where the store wants that.

        Raises:
            FileExistsError: another content is there, or none where one was expected.
        """
        try:
            self._swap(name, data, etag, scratch)
        except FileExistsError:
            if self._read(name)[0] != data:
                raise
        self.sync(name)

    def _swap(self, name: str, data: bytes, etag: str | None, scratch: str) -> None:
        """Reads, then writes: in between, another program may write."""
        if etag is not None and self._read(name)[1] != etag:
            raise FileExistsError(self.url_of(name))
        self._put(name, data, scratch, is_new=etag is None)

    def _read(self, name: str) -> tuple[bytes | None, str | None]:
        try:
            return self.read_with_etag(name)
        except FileNotFoundError:
            return None, None

    def _put(self, name: str, data: bytes, scratch: str, *, is_new: bool) -> None:
        del scratch
        mode = "create" if is_new else "overwrite"
        self.store.pipe_file(self.path_of(name), data, mode=mode)

    def check_writable(self, name: str) -> None:
        """Writes and removes a small object below it, and leaves nothing behind.

        Raises:
            ConfigError: that cannot be done.
        """
        probe = f"{name}/probe-{uuid.uuid4().hex}"
        with self.refuse_unwritable():
            self.write(probe, b"")
            self.remove(probe)

    @contextlib.contextmanager
    def refuse_unwritable(self) -> Iterator[None]:
        """Turns what the store refuses into a `ConfigError` of the option.

        Raises:
            ConfigError: nothing can be written there.
        """
        try:
            yield
        except ConfigError:
            raise
        except Exception as error:  # each store has exceptions of its own; all mean the same here
            problem = "no file can be written and deleted there; check the place and your rights"
            raise ConfigError(self.option, self.url, f"{problem} to it") from error


def hash_stream(source: IO[bytes]) -> str:
    """SHA-256 of what is left to be read, 64 hex digits."""
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _join(folder: str, name: str) -> str:
    separator = "" if not name or folder.endswith("/") else "/"
    return f"{folder}{separator}{name}"
