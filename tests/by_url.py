"""Files by their URLs, on any store: what tests write, look at and remove."""

from collections.abc import Sequence
from typing import IO

from imgcls_beam.stores import open_folder, open_parent


def open_existing(url: str) -> IO[bytes]:
    folder, name = open_parent("output", url)
    return folder.open_existing(name)


def open_new(url: str) -> IO[bytes]:
    folder, name = open_parent("output", url)
    return folder.open_new(name)


def write_file(url: str, data: bytes) -> None:
    folder, name = open_parent("output", url)
    folder.write(name, data)


def find_size(url: str) -> int | None:
    folder, name = open_parent("output", url)
    return folder.find_size(name)


def hash_file(url: str) -> str:
    folder, name = open_parent("output", url)
    return folder.hash_file(name)


def list_names(url: str) -> list[str]:
    return open_folder("output", url).list_names()


def remove_files(urls: Sequence[str]) -> None:
    for url in urls:
        folder, name = open_parent("output", url)
        folder.remove(name)


def read_with_etag(url: str) -> tuple[bytes, str]:
    folder, name = open_parent("output", url)
    return folder.read_with_etag(name)


def swap(url: str, data: bytes, etag: str | None, scratch: str = "scratch") -> None:
    """Compare-and-swap; `scratch` is a name in the folder of the file."""
    folder, name = open_parent("output", url)
    folder.swap(name, data, etag, scratch)
