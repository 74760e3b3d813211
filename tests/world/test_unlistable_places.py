"""A folder or an archive that may not be read: a row under its own name; the rest is scored."""

import contextlib
import os
import pathlib
import stat
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.errors import ConfigError, FailureCode, Stage, StoreError
from imgcls_beam.listing import check_inputs, list_images, walking
from imgcls_beam.listing.outages import refuse_outage
from imgcls_beam.options import InputOptions, ManifestOptions
from tests.tars import write_tar

_ROOT = pathlib.Path(__file__).parents[2]
_NOBODY = 65534


class Guarded(MemoryFileSystem):
    """A store some of whose folders may not be listed, as SFTP and HDFS have them."""

    protocol = "guarded"
    store: dict[str, Any] = {}  # noqa: RUF012  as its parent has it
    pseudo_dirs = [""]  # noqa: RUF012
    faults: dict[str, Exception] = {}  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        stripped: str = MemoryFileSystem._strip_protocol(path.removeprefix("guarded://"))
        return stripped

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:
        for name, fault in Guarded.faults.items():
            if path.rstrip("/").endswith(name):
                raise fault
        return super().ls(path, detail=detail, **kwargs)


@pytest.fixture
def guarded() -> Iterator[type[Guarded]]:
    fsspec.register_implementation("guarded", Guarded, clobber=True)
    Guarded.store.clear()
    Guarded.faults.clear()
    yield Guarded
    Guarded.store.clear()


def _expire() -> Exception:
    error = PermissionError("words of the store")
    error.error_code = "ExpiredToken"  # type: ignore[attr-defined]
    return error


def _split(url: str, *schemes: str) -> tuple[list[str], list[Failure]]:
    found = list(list_images(InputOptions((url,), allow_schemes=schemes)))
    refs = [each.uri for each in found if isinstance(each, ImageRef)]
    return refs, [each for each in found if isinstance(each, Failure)]


@pytest.fixture
def photos(tmp_path: pathlib.Path) -> pathlib.Path:
    for name in ("a.jpg", "lost+found/x.jpg", "own/deep/b.jpg", "own/c.jpg", "z.jpg"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "photos"


def _forbid(monkeypatch: pytest.MonkeyPatch, *ends: str, fault: OSError | None = None) -> None:
    """Folders that end so may not be listed: root, as whom the tests may run, may list all."""
    listed = os.scandir

    def scan(path: str) -> Any:
        if str(path).endswith(ends):
            raise fault or PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", scan)


@pytest.mark.parametrize("pattern", ["", "/", "/**", "/**/*.jpg"])
def test_a_folder_without_rights_is_a_row_and_the_rest_is_listed(
    pattern: str, photos: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _forbid(monkeypatch, "lost+found", "deep")
    refs, failures = _split(f"{photos}{pattern}")
    assert refs == [f"file://{photos}/{name}" for name in ("a.jpg", "own/c.jpg", "z.jpg")]
    assert [each.ref.uri for each in failures] == [
        f"file://{photos}/lost+found",
        f"file://{photos}/own/deep",
    ]
    for each in failures:
        assert (each.stage, each.code) == (Stage.LIST, FailureCode.UNLISTABLE)
        assert (each.message, each.retryable) == (
            "the folder may not be listed; check its permissions",
            False,
        )


@pytest.mark.parametrize(
    ("fault", "is_passing"),
    [(OSError(5, "I/O error"), True), (OSError(116, "Stale"), True), (OSError(22, "x"), False)],
    ids=["EIO", "ESTALE", "EINVAL"],
)
def test_a_broken_disk_below_an_input_is_a_row(
    fault: OSError, is_passing: bool, photos: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _forbid(monkeypatch, "own", fault=fault)
    refs, (failure,) = _split(str(photos))
    assert len(refs) == 3
    assert (failure.ref.uri, failure.retryable) == (f"file://{photos}/own", is_passing)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_a_real_folder_of_another_user_is_a_row(photos: pathlib.Path) -> None:
    """As nobody, in a process that has read its code before."""
    (photos / "lost+found").chmod(stat.S_IRWXU)
    for folder in (photos, *photos.parents):
        if os.stat(folder).st_uid == os.getuid() and folder != pathlib.Path("/"):
            folder.chmod(folder.stat().st_mode | 0o755)
        if folder.name.startswith("pytest-of-"):
            break
    program = f"""
import os
from imgcls_beam.elements import Failure
from imgcls_beam.listing import list_images
from imgcls_beam.options import InputOptions
os.setuid({_NOBODY})
for each in list_images(InputOptions(({str(photos)!r},))):
    print(*(each.code, each.ref.uri) if isinstance(each, Failure) else ("image", each.uri))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=_ROOT, check=True
    )
    names = [line.replace(f"file://{photos}/", "") for line in done.stdout.splitlines()]
    assert names == [
        *("image a.jpg", "unlistable lost+found", "image own/c.jpg", "image own/deep/b.jpg"),
        "image z.jpg",
    ]


@pytest.mark.parametrize("fault", [PermissionError("x"), RuntimeError("of a client")], ids=repr)
def test_a_folder_of_any_store_is_a_row(guarded: type[Guarded], fault: Exception) -> None:
    for name in ("photos/a.jpg", "photos/private/b.jpg", "photos/z/c.jpg"):
        guarded().pipe(f"/{name}", b"x")
    guarded.faults["private"] = fault
    refs, (failure,) = _split("guarded://photos", "guarded")
    assert [uri.rpartition("/")[2] for uri in refs] == ["a.jpg", "c.jpg"]
    assert failure.ref.uri.endswith("/photos/private")
    assert not failure.retryable


@pytest.fixture
def unwaited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "_FIRST_WAIT_S", 0.001)


_TREE = ("photos/a.jpg", "photos/away/b.jpg", "photos/z/c.jpg")


@pytest.mark.usefixtures("unwaited")
@pytest.mark.parametrize(
    ("fault", "problem", "remedy"),
    [
        (TimeoutError(), "does not answer", "start the run again when it does"),
        (ConnectionRefusedError(), "does not answer", "start the run again when it does"),
        (
            _expire(),
            "takes no credentials of this process",
            "renew them, and start the run again",
        ),
    ],
    ids=["silent", "refused", "expired"],
)
def test_a_store_that_goes_away_while_it_is_listed_ends_the_run(
    guarded: type[Guarded], fault: Exception, problem: str, remedy: str
) -> None:
    """Its images would be left out, and no row would name them."""
    for name in _TREE:
        guarded().pipe(f"/{name}", b"x")
    guarded.faults["away"] = fault
    with pytest.raises(StoreError) as raised:
        _split("guarded://photos", "guarded")
    said = "so what guarded:///photos/away holds is not known"
    assert str(raised.value) == f"guarded:// {problem}, {said}; {remedy}"


@pytest.mark.usefixtures("unwaited")
def test_a_store_that_comes_back_is_listed_whole(
    guarded: type[Guarded], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in _TREE:
        guarded().pipe(f"/{name}", b"x")
    listed, left = Guarded.ls, iter([TimeoutError(), ConnectionResetError()])

    def fail_at_first(self: Guarded, path: str, detail: bool = True, **kwargs: Any) -> Any:
        if path.endswith("away") and (fault := next(left, None)) is not None:
            raise fault
        return listed(self, path, detail=detail, **kwargs)

    monkeypatch.setattr(Guarded, "ls", fail_at_first)
    refs, failures = _split("guarded://photos", "guarded")
    assert ([uri.rpartition("/")[2] for uri in refs], failures) == (["a.jpg", "b.jpg", "c.jpg"], [])


@pytest.mark.parametrize("is_manifest", [False, True], ids=["folder", "manifest"])
@pytest.mark.parametrize("moment", ["open", "read"])
def test_an_archive_whose_store_goes_away_ends_the_run(
    moment: str,
    is_manifest: bool,
    guarded: type[Guarded],
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tar = write_tar(tmp_path / "s.tar", [("x.jpg", b"1")])
    guarded().pipe("/photos/s.tar", tar.read_bytes())
    (tmp_path / "m.txt").write_text("guarded://photos/s.tar")

    def refuse(*args: Any, **more: Any) -> Any:
        raise ConnectionRefusedError(111, "refused")

    if moment == "open":
        monkeypatch.setattr(Guarded, "open", refuse)
    else:
        monkeypatch.setattr(MemoryFile, "read", refuse)
    manifest = ManifestOptions(str(tmp_path / "m.txt"), uri_column=None)
    options = (
        InputOptions(manifest=manifest, allow_schemes=("guarded",))
        if is_manifest
        else InputOptions(("guarded://photos",), allow_schemes=("guarded",))
    )
    with pytest.raises(StoreError, match=r"so what guarded:///?photos/s\.tar holds is not known"):
        list(list_images(options))


@pytest.mark.parametrize(
    ("uri", "is_refused"),
    [
        ("s3://bucket/s.tar", True),
        ("hf://datasets/a/b/s.tar", True),
        ("https://host.example/s.tar", False),
        ("file:///photos/s.tar", False),
    ],
)
def test_one_host_of_the_web_and_one_place_of_a_disk_are_a_row(uri: str, is_refused: bool) -> None:
    with pytest.raises(StoreError) if is_refused else contextlib.nullcontext():
        refuse_outage(uri, TimeoutError())
    refuse_outage(uri, FileNotFoundError())


@pytest.mark.parametrize(
    ("url", "name"), [("guarded://photos", "photos"), ("guarded://photos/**", "photos")]
)
def test_the_input_itself_is_refused(guarded: type[Guarded], url: str, name: str) -> None:
    guarded().pipe("/photos/a.jpg", b"x")
    guarded.faults[name] = PermissionError("x")
    with pytest.raises(ConfigError, match="it may not be read"):
        check_inputs(InputOptions((url,), allow_schemes=("guarded",)))


def test_an_input_that_has_nothing_but_such_a_folder_is_refused(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lost+found").mkdir()
    _forbid(monkeypatch, "lost+found")
    with pytest.raises(ConfigError, match="may not be listed"):
        check_inputs(InputOptions((str(tmp_path),)))


def test_a_part_of_a_table_that_cannot_be_listed_is_refused_by_its_name(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "table" / "day=1").mkdir(parents=True)
    _forbid(monkeypatch, "day=1")
    manifest = ManifestOptions(str(tmp_path / "table"), uri_column="u")
    with pytest.raises(ConfigError, match=r"day=1.*may not be listed") as caught:
        list(list_images(InputOptions(manifest=manifest)))
    assert caught.value.option == "input_manifest"


def test_an_archive_without_rights_is_a_row_and_its_neighbours_are_listed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.tar", "b.tar", "c.tar"):
        write_tar(tmp_path / name, [("x.jpg", b"1")])
    opened = fsspec.implementations.local.LocalFileSystem.open

    def refuse(self: Any, path: str, *args: Any, **more: Any) -> Any:
        if path.endswith("b.tar"):
            raise PermissionError(13, "Permission denied", path)
        return opened(self, path, *args, **more)

    monkeypatch.setattr(fsspec.implementations.local.LocalFileSystem, "open", refuse)
    refs, (failure,) = _split(str(tmp_path))
    assert refs == [f"file://{tmp_path}/{name}.tar::x.jpg" for name in "ac"]
    assert (failure.ref.uri, failure.code) == (f"file://{tmp_path}/b.tar", FailureCode.UNLISTABLE)
