"""Tar archives: their members where they lie, and damage where it is."""

import dataclasses
import io
import os
import pathlib
import shutil
import subprocess
import tarfile
from typing import Any

import fsspec
import pytest

from imgcls_beam.elements import ByteSpan, Failure, ImageRef
from imgcls_beam.errors import FailureCode
from imgcls_beam.listing import list_images
from imgcls_beam.listing.archives import list_archive
from imgcls_beam.listing.folders import list_input
from imgcls_beam.options import InputOptions
from imgcls_beam.passed_over import PassedOver
from tests.tars import BLOCK, FORMATS, list_tar, read_members, read_tar, write_tar


@pytest.mark.parametrize("format", FORMATS)
def test_members_with_an_images_suffix_are_read_where_they_lie(
    tmp_path: pathlib.Path, format: int
) -> None:
    members = [
        *(("a.jpg", b"1"), ("a.json", b"{}"), ("./b/c.PNG", b"22"), ("x" * 90 + ".gif", b"3")),
        *(("d/" * 60 + "e.jpg", b"x" * 1000), ("f.jpg", b"y" * 512), ("notes", b"n")),
    ]
    path = write_tar(tmp_path / "s.tar", members, format)
    images = {name: data for name, data in members if name.lower().endswith(("jpg", "png", "gif"))}
    assert read_tar(path) == images
    assert list(read_tar(path)) == list(images)


@pytest.mark.parametrize("format", FORMATS[1:])
@pytest.mark.parametrize(
    "name",
    [
        *("../../etc/passwd.jpg", "/abs.jpg", "new\nline.jpg", "a::b.jpg", "::.jpg", "é🐈.jpg"),
        *("y" * 5000 + ".jpg", "lone\udcff.jpg", "C:\\x.jpg", "a?b#c%41.jpg", " .jpg", "-rf.jpg"),
    ],
)
def test_a_members_name_is_text_and_nothing_is_unpacked(
    tmp_path: pathlib.Path, name: str, format: int
) -> None:
    path = write_tar(tmp_path / "s.tar", [("first.jpg", b"1"), (name, b"22")], format)
    assert read_tar(path) == {"first.jpg": b"1", name: b"22"}
    assert [each.name for each in tmp_path.iterdir()] == ["s.tar"]


def test_a_member_has_the_marks_of_its_archive(tmp_path: pathlib.Path) -> None:
    path = write_tar(tmp_path / "s.tar", [("a.jpg", b"12345")])
    (archive,) = list_input(str(path))
    (ref,) = list_archive(archive)
    expected = dataclasses.replace(
        archive, uri=f"file://{path}::a.jpg", size_bytes=5, locator=ByteSpan(BLOCK, BLOCK + 5)
    )
    assert ref == expected
    assert archive.version is not None
    assert isinstance(ref, ImageRef)
    assert ref.object_uri == archive.uri


def test_two_members_of_one_name_are_two_images(tmp_path: pathlib.Path) -> None:
    path = write_tar(tmp_path / "s.tar", [("a.jpg", b"1"), ("b.jpg", b"2"), ("a.jpg", b"3")])
    assert read_tar(path) == {"a.jpg": b"1", "b.jpg": b"2", f"a.jpg::{5 * BLOCK}": b"3"}


def test_what_holds_no_bytes_of_its_own_is_no_image(tmp_path: pathlib.Path) -> None:
    kinds = [tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        for kind in kinds:
            member = tarfile.TarInfo(f"{ord(kind)}.jpg")
            member.type, member.linkname = kind, "gone.jpg"
            archive.addfile(member)
        member = tarfile.TarInfo("real.jpg")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"real"))
        archive.addfile(tarfile.TarInfo("empty.jpg"))
    hard_link = f"{ord(tarfile.LNKTYPE)}.jpg"  # its target is nowhere: an image is missing
    expected = {"real.jpg": b"real", "empty.jpg": "empty", hard_link: "invalid_reference"}
    assert read_tar(tmp_path / "s.tar") == expected


def test_a_sparse_member_above_the_limit_takes_no_memory(tmp_path: pathlib.Path) -> None:
    path = write_tar(tmp_path / "s.tar", [("hole.jpg", b"1" * BLOCK), ("b.jpg", b"2")])
    data = bytearray(path.read_bytes())
    data[156:157] = tarfile.GNUTYPE_SPARSE
    data[386:482] = b"".join(b"%011o\0" % n for n in (0, 512)).ljust(96, b"\0")
    data[483:495] = b"%011o\0" % (1 << 30)
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:BLOCK])
    path.write_bytes(data)
    hole, other = list_tar(path)
    assert isinstance(hole, ImageRef)
    assert hole.size_bytes == 1 << 30
    assert read_members([hole, other]) == {"hole.jpg": "too_many_bytes", "b.jpg": b"2"}


OCTAL = (b"%011o\0" % 1_700_000_000) * 2
BINARY = (b"\x80" + (1_700_000_000).to_bytes(11, "big")) * 2


def put_times(path: pathlib.Path, times: bytes) -> None:
    """Writes times of reading and change into each header, where tar of GNU has them."""
    data = bytearray(path.read_bytes())
    for start in range(0, len(data), BLOCK):
        if data[start + 257 : start + 265] == tarfile.GNU_MAGIC:
            data[start + 345 : start + 345 + len(times)] = times
            data[start + 148 : start + 156] = b" " * 8
            data[start + 148 : start + 156] = b"%06o\0 " % sum(data[start : start + BLOCK])
    path.write_bytes(data)


@pytest.mark.parametrize("times", [OCTAL, BINARY, OCTAL[:12] + bytes(12), bytes(12) + OCTAL[:12]])
def test_the_times_in_a_header_of_gnu_are_no_part_of_a_name(
    tmp_path: pathlib.Path, times: bytes
) -> None:
    long, path = f"{'d/' * 80}e.jpg", tmp_path / "s.tar"
    write_tar(path, [("a.jpg", b"1"), (long, b"2"), ("x.jpg/", b"")], tarfile.GNU_FORMAT)
    with tarfile.open(path, "a", format=tarfile.GNU_FORMAT) as archive:
        for kind, name in ((tarfile.LNKTYPE, "b.jpg"), (tarfile.SYMTYPE, "c.jpg")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "a.jpg"
            archive.addfile(member)
        member = tarfile.TarInfo("f.jpg")
        member.type, member.linkname = tarfile.LNKTYPE, long
        archive.addfile(member)
    put_times(path, times)
    assert read_tar(path) == {"a.jpg": b"1", long: b"2", "b.jpg": b"1", "f.jpg": b"2"}


def test_a_prefix_that_others_write_with_the_mark_of_gnu_is_one(tmp_path: pathlib.Path) -> None:
    path = write_tar(tmp_path / "s.tar", [("a.jpg", b"1")], tarfile.GNU_FORMAT)
    put_times(path, b"some/folder")  # as Go did before 1.8
    assert read_tar(path) == {"some/folder/a.jpg": b"1"}


@pytest.mark.skipif(shutil.which("tar") is None, reason="there is no tar")
def test_an_incremental_archive_of_gnu_has_the_names_of_its_files(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "in"
    (folder / "deep.jpg").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(b"1")
    (folder / "deep.jpg" / "c.jpg").write_bytes(b"3")
    os.link(folder / "a.jpg", folder / "deep.jpg" / "b.jpg")
    path, marks = tmp_path / "s.tar", str(tmp_path / "marks")
    command = ["tar", "-C", str(folder), "-g", marks, "-V", "label", "-cf", str(path), "."]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this tar has no -g")
    passed_over = PassedOver()
    (archive,) = list_input(str(path))
    assert isinstance(archive, ImageRef)
    listed = list(list_archive(archive, passed_over))
    expected = {"./a.jpg": b"1", "./deep.jpg/b.jpg": b"1", "./deep.jpg/c.jpg": b"3"}
    assert read_members(listed) == expected
    assert passed_over.to_json() == []


def test_a_packed_archive_that_is_called_tar_is_a_failure(tmp_path: pathlib.Path) -> None:
    with tarfile.open(tmp_path / "s.tar", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a.jpg"))
    (failure,) = list_tar(tmp_path / "s.tar")
    assert isinstance(failure, Failure)
    assert "compressed" in failure.message


def test_archives_stand_among_the_images_of_a_folder_or_a_glob(tmp_path: pathlib.Path) -> None:
    write_tar(tmp_path / "b.tar", [("x.jpg", b"1")])
    write_tar(tmp_path / "d.TAR", [("y.txt", b"1")])
    write_tar(tmp_path / "e::f.tar", [("z.jpg", b"1")])
    for name in ("a.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(b"x")
    for pattern in ("", "*"):
        listed = list(list_images(InputOptions((f"{tmp_path}/{pattern}",))))
        uris = [each.uri for each in listed if isinstance(each, ImageRef)]
        names = ["a.jpg", "b.tar::x.jpg", "c.jpg"]
        assert uris == [f"file://{tmp_path}/{name}" for name in names]
        (failure,) = [each for each in listed if isinstance(each, Failure)]
        assert failure.ref.uri == f"file://{tmp_path}/e::f.tar"
        assert "::" in failure.message


def test_an_archive_in_a_store_is_listed_and_read_there(tmp_path: pathlib.Path) -> None:
    store = fsspec.filesystem("memory")
    data = write_tar(tmp_path / "s.tar", [("a.jpg", b"1"), ("b.jpg", b"22")]).read_bytes()
    store.pipe_file("/shards/s.tar", data)
    listed = list(list_images(InputOptions(("memory://shards",))))
    assert read_members(listed) == {"a.jpg": b"1", "b.jpg": b"22"}
    store.rm("/shards", recursive=True)


def test_an_archive_that_may_not_be_read_is_a_failure_under_its_own_name(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (archive,) = list_input(str(write_tar(tmp_path / "s.tar", [("a.jpg", b"1")])))
    assert isinstance(archive, ImageRef)

    def refuse(*args: Any, **options: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(fsspec.AbstractFileSystem, "open", refuse)  # root may read everything
    (failure,) = list_archive(archive)
    assert isinstance(failure, Failure)
    assert (failure.ref.uri, failure.code) == (archive.uri, FailureCode.UNLISTABLE)
