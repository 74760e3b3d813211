"""What folders, globs and archives hold beside images: taken, counted, or followed; never lost."""

import collections
import os
import pathlib
import subprocess
import tarfile
from typing import Any

import pytest
from fsspec.registry import _registry
from PIL import Image

from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.errors import ConfigError, FailureCode
from imgcls_beam.listing import check_inputs, list_images
from imgcls_beam.listing.folders import PACKED_SUFFIXES
from imgcls_beam.options import InputOptions, ReadOptions
from imgcls_beam.passed_over import PassedOver
from imgcls_beam.preparing.formats import FORMATS
from imgcls_beam.reading import read_images
from imgcls_beam.suffixes import DECODED, IMAGE_SUFFIXES, RECOGNISED
from tests.tars import read_tar, write_tar
from tests.world import stores

Counts = dict[tuple[str, str], int]


def put(root: pathlib.Path, *names: str) -> pathlib.Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def look(*inputs: str, **options: Any) -> tuple[list[str], Counts]:
    """URIs in the order of listing, and what was passed over."""
    passed_over = PassedOver()
    listed = list(list_images(InputOptions(inputs, **options), passed_over))
    assert all(isinstance(each, ImageRef) for each in listed)
    uris = [each.uri for each in listed if isinstance(each, ImageRef)]
    return uris, count(passed_over)


def count(passed_over: PassedOver) -> Counts:
    return {(each["reason"], each["suffix"]): each["count"] for each in passed_over.to_json()}


def look_below(root: pathlib.Path, *patterns: str, **options: Any) -> tuple[list[str], Counts]:
    uris, counts = look(*(f"{root}/{each}" for each in patterns), **options)
    return [uri.removeprefix(f"file://{root}/") for uri in uris], counts


# Formats


def test_the_suffixes_of_every_format_that_is_decoded_are_those_that_pillow_knows() -> None:
    Image.init()
    known = collections.defaultdict(set)
    for suffix, name in Image.registered_extensions().items():
        known[{"MPO": "JPEG", "DIB": "BMP"}.get(name, name)].add(suffix)
    assert set(DECODED) <= set(FORMATS) <= {*DECODED, *RECOGNISED}
    assert {name: set(suffixes) for name, suffixes in DECODED.items()} == {
        name: known[name] for name in DECODED
    }
    assert len(set(IMAGE_SUFFIXES)) == len(IMAGE_SUFFIXES)


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_a_folder_and_an_archive_take_what_is_decoded_and_what_is_recognised(
    tmp_path: pathlib.Path, suffix: str
) -> None:
    names = [f"a{suffix}", f"b{suffix.upper()}"]
    assert look_below(put(tmp_path / "in", *names), "") == (names, {})
    assert list(read_tar(write_tar(tmp_path / "s.tar", [(name, b"1") for name in names]))) == names


# Passed over

MIXED = (
    *("a.jpg", "notes.txt", "b.txt", "README", "._a.jpg", ".DS_Store", "Thumbs.db", "x.ICO"),
    *("__MACOSX/c.jpg", "deep/__macosx/sub/d.png", "deep/e.PNG", ".f.jpg", "._g/h.jpg"),
)
TAKEN = ["._g/h.jpg", ".f.jpg", "a.jpg", "deep/e.PNG"]
SEEN = {
    **{("suffix", ".txt"): 2, ("suffix", ""): 1, ("suffix", ".ico"): 1},
    **{("hidden", ""): 1, ("hidden", ".db"): 1, ("hidden", ".jpg"): 2, ("hidden", ".png"): 1},
}


def test_a_folder_says_what_it_passes_over(tmp_path: pathlib.Path) -> None:
    taken, seen = look_below(put(tmp_path / "__MACOSX", *MIXED), "")  # it was asked for itself
    assert (sorted(taken), seen) == (TAKEN, SEEN)


def test_an_archive_says_what_it_passes_over(tmp_path: pathlib.Path) -> None:
    path = write_tar(tmp_path / "s.tar", [(name, b"1") for name in MIXED])
    with tarfile.open(path, "a") as archive:
        for name, kind in (("link.jpg", tarfile.SYMTYPE), ("pipe.jpg", tarfile.FIFOTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "a.jpg"
            archive.addfile(member)
        folder = tarfile.TarInfo("folder.jpg")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    taken, seen = look(str(path))
    assert sorted(uri.partition("::")[2] for uri in taken) == TAKEN
    assert seen == {**SEEN, ("link", ".jpg"): 1, ("special", ".jpg"): 1}


# Packed archives


@pytest.mark.parametrize("suffix", PACKED_SUFFIXES)
@pytest.mark.parametrize("pattern", ["**", "*", "*{.jpg,z}*", "[bx]*", "{a.jpg,*}"])
def test_a_packed_archive_that_a_glob_matches_is_passed_over(
    tmp_path: pathlib.Path, suffix: str, pattern: str
) -> None:
    put(tmp_path, "a.jpg", "b.jpg", f"bz{suffix}", f"x.z{suffix.upper()}")
    taken, seen = look_below(tmp_path, pattern)
    assert taken
    assert set(taken) <= {"a.jpg", "b.jpg"}
    assert [reason for reason, _ in seen] == ["suffix"]
    assert sum(seen.values()) == 2


@pytest.mark.parametrize("pattern", ["z.tar.gz", "*.tar.gz", "**/*.ZIP", "{a.jpg,z.tar.gz}"])
def test_a_packed_archive_that_is_named_is_refused_before_anything_is_listed(
    tmp_path: pathlib.Path, pattern: str
) -> None:
    put(tmp_path, "a.jpg", "z.tar.gz", "y.zip")
    with pytest.raises(ConfigError, match=r"images are read in a plain \.tar only"):
        check_inputs(InputOptions((f"{tmp_path}/{pattern}",)))


def test_a_folder_that_is_called_as_a_packed_archive_is_a_folder(tmp_path: pathlib.Path) -> None:
    put(tmp_path, "x.zip/a.jpg", "x.zip/b.zip")
    assert look_below(tmp_path, "x.zip") == (["x.zip/a.jpg"], {("suffix", ".zip"): 1})


@pytest.mark.parametrize(("scheme", "root"), [("s3", ""), ("gs", ""), ("hf", "o/n/")])
def test_a_bucket_says_what_it_passes_over(
    monkeypatch: pytest.MonkeyPatch, scheme: str, root: str
) -> None:
    kind = stores.KINDS[scheme]
    monkeypatch.setitem(_registry, scheme, kind)
    kind.clear_instance_cache()
    host, folder = ("the hub", "datasets/o/n/") if root else ("bucket", "")
    monkeypatch.setattr(
        stores, "HOSTS", {host: {f"{folder}p/{name}": name.encode() for name in MIXED}}
    )
    url = f"{scheme}://{folder or 'bucket/'}p"
    taken, seen = look(url)
    kind.clear_instance_cache()
    assert sorted(uri.removeprefix(f"{url}/") for uri in taken) == TAKEN
    assert seen == SEEN


def test_pipes_and_links_that_lead_nowhere_are_counted(tmp_path: pathlib.Path) -> None:
    put(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "p.jpg")
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    (tmp_path / "round").symlink_to("round")
    expected = {("special", ".jpg"): 1, ("broken_link", ".jpg"): 1, ("broken_link", ""): 1}
    assert look_below(tmp_path, "") == (["a.jpg"], expected)
    del expected["broken_link", ""]
    assert look_below(tmp_path, "*.jpg") == (["a.jpg"], expected)


def test_a_glob_takes_every_file_but_what_systems_leave(tmp_path: pathlib.Path) -> None:
    put(tmp_path, "a.jpg", "b.txt", "._a.jpg", "x/.DS_Store", "x/__MACOSX/a.jpg")
    taken, seen = look_below(tmp_path, "**")
    assert taken == ["a.jpg", "b.txt"]
    assert seen == {("hidden", ".jpg"): 2, ("hidden", ""): 1}
    assert look_below(tmp_path, "._a.jpg") == (["._a.jpg"], {})  # it was asked for itself


def test_a_folder_without_images_says_what_is_there(tmp_path: pathlib.Path) -> None:
    put(tmp_path, "a.txt", "b.txt", "Thumbs.db")
    with pytest.raises(ConfigError, match=r"passed over: 2 \.txt, 1 hidden"):
        check_inputs(InputOptions((str(tmp_path),)))


# Own output

OWN = ("out/predictions/", "out/runs/", "out/_staging/", "answers.jsonl")


@pytest.mark.parametrize("pattern", ["", "**", "o*/**"])
def test_what_the_job_writes_is_no_input_but_an_image_there_is(
    tmp_path: pathlib.Path, pattern: str
) -> None:
    put(
        *(tmp_path, "out/predictions/run_date=2026-01-01/p.parquet", "out/runs/a.json"),
        *("out/_staging/x/note.json", "answers.jsonl", "out/runs/marathon.jpg", "out/mine.jpg"),
        *("out/runs.jpg",),
    )
    taken, seen = look_below(tmp_path, pattern, own_output=tuple(f"{tmp_path}/{o}" for o in OWN))
    assert sorted(taken) == ["out/mine.jpg", "out/runs.jpg", "out/runs/marathon.jpg"]
    own = {("own_output", ".parquet"): 1, ("own_output", ".json"): 1}
    assert seen == (own if pattern == "o*/**" else {**own, ("own_output", ".jsonl"): 1})


def test_own_responses_are_no_requests(tmp_path: pathlib.Path) -> None:
    put(tmp_path, "r.jsonl", "answers.jsonl", "notes.txt")
    passed_over = PassedOver()
    own = (f"{tmp_path}/answers.jsonl",)
    options = InputOptions(requests=(str(tmp_path),), own_output=own)
    (ref,) = list_images(options, passed_over)
    assert isinstance(ref, ImageRef)
    assert ref.uri == f"file://{tmp_path}/r.jsonl::1"
    assert count(passed_over) == {("own_output", ".jsonl"): 1, ("suffix", ".txt"): 1}


# Links


def test_linked_folders_are_followed_once_and_folders_have_their_own_names(
    tmp_path: pathlib.Path,
) -> None:
    put(tmp_path, "real/a.jpg", "real/deep/b.jpg", "view/c.jpg", "view/z/d.jpg", "other/e.jpg")
    for name, target in (
        *(("one", "real"), ("two", "real"), ("inside", "real/deep"), ("back", "view")),
        *(("a-link-of-z", "view/z"), ("y", "other")),
    ):
        (tmp_path / "view" / name).symlink_to(tmp_path / target)
    (tmp_path / "other/back").symlink_to(tmp_path)
    taken, seen = look_below(tmp_path / "view", "")
    assert taken == ["c.jpg", "z/d.jpg", "inside/b.jpg", "one/a.jpg", "y/e.jpg"]
    assert seen == {("linked_again", ""): 3}
    assert look_below(tmp_path / "view", "**")[0] == taken


def test_a_folder_that_links_to_itself_or_its_parents_ends(tmp_path: pathlib.Path) -> None:
    put(tmp_path, "x/y/a.jpg")
    for name in ("x/self", "x/y/up", "x/y/root"):
        target = {"self": ".", "up": "..", "root": "/".join([".."] * 2)}[name.rpartition("/")[2]]
        (tmp_path / name).symlink_to(target)
    taken, seen = look_below(tmp_path / "x", "")
    assert taken == ["y/a.jpg"]
    assert seen == {("linked_again", ""): 2}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*/*.jpg", ["one/a.jpg", "real/a.jpg", "two/a.jpg"]),
        ("*/deep/*.jpg", ["one/deep/b.jpg", "real/deep/b.jpg", "two/deep/b.jpg"]),
        ("two/*.jpg", ["two/a.jpg"]),
        ("t*/**/*.jpg", ["two/a.jpg", "two/deep/b.jpg"]),
        ("o*/**/*.jpg", ["one/a.jpg", "one/deep/b.jpg"]),
        ("*/d*/**", ["one/deep/b.jpg", "real/deep/b.jpg", "two/deep/b.jpg"]),
        ("**/deep/*.jpg", ["real/deep/b.jpg", "two/deep/b.jpg"]),
    ],
)
def test_a_glob_leads_through_links_as_a_shells_does(
    tmp_path: pathlib.Path, pattern: str, expected: list[str]
) -> None:
    put(tmp_path / "elsewhere", "a.jpg", "deep/b.jpg")
    put(tmp_path / "in", "real/a.jpg", "real/deep/b.jpg")
    (tmp_path / "in/one").symlink_to("real")
    (tmp_path / "in/two").symlink_to("../elsewhere")
    assert look_below(tmp_path / "in", pattern)[0] == expected


def test_a_limit_takes_the_same_images_each_time(tmp_path: pathlib.Path) -> None:
    put(tmp_path / "in", *(f"{letter}/{n}.jpg" for letter in "ba" for n in range(3)))
    (tmp_path / "in/0").symlink_to("../in/b")
    expected = [f"{letter}/{n}.jpg" for letter in "ab" for n in range(3)][:5]
    for _ in range(3):
        assert look_below(tmp_path / "in", "", limit=5)[0] == expected


# Archives: hard links and sparse members


def read(listed: list[ImageRef | Failure]) -> dict[str, str | bytes]:
    found = read_images(listed, ReadOptions())
    return {
        each.ref.uri.partition("::")[2]: each.code.value
        if isinstance(each, Failure)
        else bytes(each.data)
        for each in found
    }


def run_tar(folder: pathlib.Path, path: pathlib.Path, *flags: str) -> list[ImageRef | Failure]:
    """An archive of a folder, made by the system's tar in the order of the names."""
    command = ["tar", "-C", str(folder), "--sort=name", *flags, "-cf", str(path), "."]
    subprocess.run(command, check=True)
    return list(list_images(InputOptions((str(path),))))


@pytest.mark.parametrize("form", ["gnu", "posix", "ustar", "oldgnu"])
def test_every_name_of_a_hard_linked_file_is_an_image(tmp_path: pathlib.Path, form: str) -> None:
    folder = put(tmp_path / "in", "a.blob", "d.jpg", "sub/e.jpg")
    for name, target in (("b.jpg", "a.blob"), ("c.jpg", "a.blob"), ("sub/f.PNG", "d.jpg")):
        os.link(folder / target, folder / name)
    assert read(run_tar(folder, tmp_path / "s.tar", f"--format={form}")) == {
        **{"./b.jpg": b"a.blob", "./c.jpg": b"a.blob", "./d.jpg": b"d.jpg"},
        **{"./sub/e.jpg": b"sub/e.jpg", "./sub/f.PNG": b"d.jpg"},
    }


def test_a_hard_link_to_a_link_to_a_later_or_to_no_name(tmp_path: pathlib.Path) -> None:
    path = write_tar(tmp_path / "s.tar", [("x/../a.jpg", b"1"), ("b.jpg", b"2")])
    links = [("c.jpg", "a.jpg"), ("d.jpg", "c.jpg"), ("e.jpg", "later.jpg"), ("f.jpg", "/etc/f")]
    with tarfile.open(path, "a") as archive:
        for name, target in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.LNKTYPE, target
            archive.addfile(member)
    listed = list(list_images(InputOptions((str(path),))))
    assert read(listed) == {
        **{"x/../a.jpg": b"1", "b.jpg": b"2", "c.jpg": b"1", "d.jpg": b"1"},
        **{"e.jpg": "invalid_reference", "f.jpg": "invalid_reference"},
    }


HOLES = {
    "head.jpg": [(1 << 16, b"end")],
    "tail.jpg": [(0, b"begin"), (1 << 18, b"")],
    "many.jpg": [(index << 17, bytes([65 + index]) * 5000) for index in range(30)],
    "none.jpg": [(0, b"whole" * 1000)],
}


def write_sparse(path: pathlib.Path, pieces: list[tuple[int, bytes]]) -> None:
    with path.open("wb") as file:
        for offset, data in pieces:
            file.seek(offset)
            file.write(data)
        file.truncate(max(offset + len(data) for offset, data in pieces))


@pytest.mark.parametrize(
    "flags",
    [
        ("--format=gnu",),
        ("--format=posix", "--sparse-version=0.0"),
        ("--format=posix", "--sparse-version=0.1"),
        ("--format=posix", "--sparse-version=1.0"),
    ],
    ids=["gnu", "0.0", "0.1", "1.0"],
)
def test_a_sparse_member_is_the_file_with_its_zeros(
    tmp_path: pathlib.Path, flags: tuple[str, ...]
) -> None:
    folder = put(tmp_path / "in", "plain.jpg")
    for name, pieces in HOLES.items():
        write_sparse(folder / name, pieces)
    listed = run_tar(folder, tmp_path / "s.tar", "--sparse", "--hole-detection=raw", *flags)
    expected = {f"./{path.name}": path.read_bytes() for path in folder.iterdir()}
    assert read(listed) == expected
    assert (tmp_path / "s.tar").stat().st_size < sum(map(len, expected.values()))  # holes it has
    sizes = {
        each.uri.partition("::")[2]: each.size_bytes
        for each in listed
        if isinstance(each, ImageRef)
    }
    assert sizes == {name: len(data) for name, data in expected.items()}


def test_a_sparse_member_of_too_many_pieces_is_a_failure_of_its_own(
    tmp_path: pathlib.Path,
) -> None:
    folder = put(tmp_path / "in", "z.jpg")
    write_sparse(folder / "a.jpg", [(index << 13, b"x") for index in range(1500)])
    flags = ("--sparse", "--hole-detection=raw", "--format=gnu")
    failure, other = run_tar(folder, tmp_path / "s.tar", *flags)
    assert isinstance(failure, Failure)
    assert failure.code is FailureCode.INVALID_REFERENCE
    assert "--sparse" in failure.message
    assert read([other]) == {"./z.jpg": b"z.jpg"}


# Braces


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("{000..002}.jpg", ["000.jpg", "001.jpg", "002.jpg"]),
        ("{2..0}.png", ["2.png", "1.png", "0.png"]),
        ("0{00..01}.{jpg,txt}", ["000.jpg", "000.txt", "001.jpg", "001.txt"]),
        ("{d,e}", ["d/1.jpg", "e/2.jpg"]),
        ("{d,e}/*.jpg", ["d/1.jpg", "e/2.jpg"]),
        ("*.{png,gif}", ["0.png", "1.png", "2.png"]),
        ("{guid}.jpg", ["{guid}.jpg"]),
        ("{a,b}.jpg", ["{a,b}.jpg"]),
        ("{8..9}/{x}.jpg", ["8/{x}.jpg", "9/{x}.jpg"]),
    ],
)
def test_braces_are_what_a_shell_makes_of_them(
    tmp_path: pathlib.Path, pattern: str, expected: list[str]
) -> None:
    put(tmp_path, *(f"00{n}.{suffix}" for n in range(3) for suffix in ("jpg", "txt")))
    put(tmp_path, "0.png", "1.png", "2.png", "d/1.jpg", "e/2.jpg", "{guid}.jpg", "{a,b}.jpg")
    put(tmp_path, "8/{x}.jpg", "9/{x}.jpg")
    assert look_below(tmp_path, pattern)[0] == expected


def test_a_name_of_a_range_that_is_not_there_is_said_by_its_name(tmp_path: pathlib.Path) -> None:
    put(tmp_path, "s-000.jpg", "s-002.jpg")
    with pytest.raises(ConfigError, match=r"s-001\.jpg"):
        look(f"{tmp_path}/s-{{000..002}}.jpg")


def test_a_file_of_another_machine_is_refused() -> None:
    for url in ("file://other-host/a.jpg", "file://photos", "local://host/a.jpg"):
        with pytest.raises(ConfigError, match="names another machine"):
            look(url)


@pytest.mark.parametrize("prefix", ["file:", "file://localhost", "FILE:", "file://", "local:"])
def test_every_spelling_of_a_local_path_is_the_file(tmp_path: pathlib.Path, prefix: str) -> None:
    put(tmp_path, "a.jpg", "b.jpg")
    assert look(f"{prefix}{tmp_path}")[0] == look(str(tmp_path))[0]
    assert look(f"{prefix}{tmp_path}/a.jpg")[0] == [f"file://{tmp_path}/a.jpg"]
