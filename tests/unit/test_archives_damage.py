"""Archives that are cut off, damaged or hostile: what was whole stays, and the damage is seen."""

import dataclasses
import os
import pathlib
import random
import tarfile

import fsspec
import pytest

from imgcls_beam.elements import ByteSpan, Failure, ImageRef
from imgcls_beam.errors import FailureCode, Stage
from imgcls_beam.listing.archives import list_archive
from imgcls_beam.listing.folders import list_input
from tests.extent import choose
from tests.tars import BLOCK, FORMATS, list_tar, read_tar, write_tar

CUTS = [
    (0, {"0": "invalid_reference"}),
    (300, {"0": "invalid_reference"}),
    (2 * BLOCK, {"a.jpg": b"1" * 100, "1024": "invalid_reference"}),
    (2 * BLOCK + 300, {"a.jpg": b"1" * 100, "1024": "invalid_reference"}),
    (3 * BLOCK + 99, {"a.jpg": b"1" * 100, "1024": "invalid_reference"}),
    (3 * BLOCK + 100, {"a.jpg": b"1" * 100, "b.jpg": b"2" * 100, "2048": "invalid_reference"}),
    (4 * BLOCK, {"a.jpg": b"1" * 100, "b.jpg": b"2" * 100, "2048": "invalid_reference"}),
    (5 * BLOCK, {"a.jpg": b"1" * 100, "b.jpg": b"2" * 100}),
]


@pytest.mark.parametrize(("size", "expected"), CUTS)
def test_an_archive_that_is_cut_off_keeps_what_was_whole_and_shows_the_cut(
    tmp_path: pathlib.Path, size: int, expected: dict[str, bytes | str]
) -> None:
    path = write_tar(tmp_path / "s.tar", [("a.jpg", b"1" * 100), ("b.jpg", b"2" * 100)])
    path.write_bytes(path.read_bytes()[:size])
    assert read_tar(path) == expected


@pytest.mark.parametrize(
    "damage",
    [
        {BLOCK * 2 + 148: b"9" * 8},
        {BLOCK * 2: b"\xff" * BLOCK},
        {BLOCK * 2: b"x"},
    ],
)
def test_a_damaged_header_ends_the_listing_with_a_failure(
    tmp_path: pathlib.Path, damage: dict[int, bytes]
) -> None:
    path = write_tar(tmp_path / "s.tar", [("a.jpg", b"1"), ("b.jpg", b"2"), ("c.jpg", b"3")])
    data = bytearray(path.read_bytes())
    for start, value in damage.items():
        data[start : start + len(value)] = value
    path.write_bytes(data)
    first, failure = list_tar(path)
    assert isinstance(first, ImageRef)
    assert isinstance(failure, Failure)
    assert (failure.stage, failure.code) == (Stage.LIST, FailureCode.INVALID_REFERENCE)
    assert failure.ref.uri == f"file://{path}::{2 * BLOCK}"
    assert "damaged" in failure.message


def make_header(name: str, kind: bytes, size: bytes) -> bytes:
    """A header whose size field may hold anything."""
    member = tarfile.TarInfo(name)
    member.type = kind
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = size.ljust(12, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


HUGE = b"\x80" + (1 << 40).to_bytes(11, "big")
BEYOND = b"\x80" + (1 << 80).to_bytes(11, "big")
NEGATIVE = b"\xff" + (-512).to_bytes(11, "big", signed=True)
KINDS = [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE, b"Z"]


@pytest.mark.parametrize("size", [HUGE, BEYOND, NEGATIVE, b"77777777777", b"9zz"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_sized", [True, False])
def test_a_hostile_size_ends_the_listing_and_takes_no_memory(
    tmp_path: pathlib.Path, kind: bytes, size: bytes, is_sized: bool
) -> None:
    path = write_tar(tmp_path / "s.tar", [("a.jpg", b"1")])
    start = path.read_bytes()[: 2 * BLOCK]
    path.write_bytes(start + make_header("b.jpg", kind, size) + b"x" * 5 * BLOCK)
    (archive,) = list_input(str(path))
    if not is_sized:  # a store that does not say how large its objects are
        archive = dataclasses.replace(archive, size_bytes=None)
    listed = list(list_archive(archive))
    assert isinstance(listed[0], ImageRef)
    assert isinstance(listed[-1], Failure)
    assert listed[-1].code is FailureCode.INVALID_REFERENCE
    assert len(listed) <= 3


def make_sparse(size: bytes, is_extended: bool) -> bytes:
    """A sparse member's header, of the old GNU form; more of its map may follow."""
    header = bytearray(make_header("b.jpg", tarfile.GNUTYPE_SPARSE, size))
    header[482] = is_extended
    header[483:495] = b"00000000512\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


@pytest.mark.parametrize(("size", "is_extended"), [(NEGATIVE, False), (b"0", True)])
def test_a_hostile_sparse_member_ends_the_listing_too(
    tmp_path: pathlib.Path, size: bytes, is_extended: bool
) -> None:
    path = write_tar(tmp_path / "s.tar", [("a.jpg", b"1")])
    path.write_bytes(path.read_bytes()[: 2 * BLOCK] + make_sparse(size, is_extended))
    first, failure = list_tar(path)
    assert isinstance(first, ImageRef)
    assert isinstance(failure, Failure)
    assert failure.ref.uri == f"file://{path}::{2 * BLOCK}"


@pytest.mark.parametrize("size", [HUGE, BEYOND])
def test_a_store_that_counts_in_less_bytes_than_a_header_says_goes_on(size: bytes) -> None:
    store = fsspec.filesystem("memory")
    store.pipe_file("/damaged/s.tar", make_header("b.jpg", tarfile.REGTYPE, size) + b"x" * BLOCK)
    (archive,) = list_input("memory://damaged")
    listed = list(list_archive(dataclasses.replace(archive, size_bytes=None)))
    store.rm("/damaged", recursive=True)
    assert isinstance(listed[-1], Failure)
    assert len(listed) <= 2


def test_headers_before_headers_without_end_are_a_failure(tmp_path: pathlib.Path) -> None:
    header = make_header("x", tarfile.GNUTYPE_LONGNAME, b"0")
    (tmp_path / "s.tar").write_bytes(header * 5000)
    (failure,) = list_tar(tmp_path / "s.tar")
    assert isinstance(failure, Failure)


@pytest.mark.slow
@pytest.mark.parametrize(
    "rounds", [300, pytest.param(choose(2000, 800), marks=pytest.mark.long(minutes=1))]
)
def test_random_damage_never_raises_and_never_lists_what_lies_outside(
    tmp_path: pathlib.Path, rounds: int
) -> None:
    members = [(f"{'long/' * 30}{i}.jpg", os.urandom(700)) for i in range(4)]
    random_ = random.Random(3)
    path = tmp_path / "s.tar"
    for round_ in range(rounds):
        data = bytearray(write_tar(path, members, FORMATS[round_ % 3]).read_bytes()[:12288])
        for _ in range(random_.randint(1, 8)):
            block = random_.randrange(0, len(data) // BLOCK) * BLOCK
            data[block + random_.choice([0, 124, 125, 130, 148, 156, 345, 386, 482, 511])] = (
                random_.randrange(256)
            )
        if round_ % 2:  # a header's sum is made right, so that its fields count
            for block in range(0, len(data), BLOCK):
                if data[block + 257 : block + 262] == b"ustar":
                    data[block + 148 : block + 156] = b" " * 8
                    total = sum(data[block : block + BLOCK])
                    data[block + 148 : block + 156] = b"%06o\0 " % total
        path.write_bytes(data)
        for each in list_tar(path):
            if isinstance(each, ImageRef):
                assert isinstance(each.locator, ByteSpan)
                assert 0 < each.locator.start <= each.locator.end <= len(data)
