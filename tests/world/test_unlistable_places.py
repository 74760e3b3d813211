"""A folder or an archive that may not be read: a row under its own name; the rest is scored."""

import os
import pathlib
import stat
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.errors import ConfigError, FailureCode, Stage
from imgcls_beam.listing import check_inputs, list_images
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


@pytest.mark.parametrize(
    "fault", [PermissionError("x"), RuntimeError("of a client"), TimeoutError()], ids=repr
)
def test_a_folder_of_any_store_is_a_row(guarded: type[Guarded], fault: Exception) -> None:
    for name in ("photos/a.jpg", "photos/private/b.jpg", "photos/z/c.jpg"):
        guarded().pipe(f"/{name}", b"x")
    guarded.faults["private"] = fault
    refs, (failure,) = _split("guarded://photos", "guarded")
    assert [uri.rpartition("/")[2] for uri in refs] == ["a.jpg", "c.jpg"]
    assert failure.ref.uri.endswith("/photos/private")
    assert failure.retryable is isinstance(fault, TimeoutError)


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
