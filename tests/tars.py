"""Tar archives made in code, listed and read back."""

import io
import pathlib
import tarfile

from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.listing.archives import list_archive
from imgcls_beam.listing.folders import list_input
from imgcls_beam.options import ReadOptions
from imgcls_beam.reading import read_images

BLOCK = tarfile.BLOCKSIZE
FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)


def write_tar(
    path: pathlib.Path, members: list[tuple[str, bytes]], format: int = tarfile.PAX_FORMAT
) -> pathlib.Path:
    with tarfile.open(path, "w", format=format) as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def list_tar(path: pathlib.Path) -> list[ImageRef | Failure]:
    (archive,) = list_input(str(path))
    return list(list_archive(archive))


def read_members(listed: list[ImageRef | Failure]) -> dict[str, bytes | str]:
    """What lies where, by the part of the URI behind the archive."""
    results = read_images(listed, ReadOptions())
    return {
        each.ref.uri.partition("::")[2]: (
            each.data if isinstance(each, EncodedImage) else each.code.value
        )
        for each in results
    }


def read_tar(path: pathlib.Path) -> dict[str, bytes | str]:
    return read_members(list_tar(path))
