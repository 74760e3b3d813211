"""Memory, files, threads and children of a program stay as they are, however long it runs."""

import os
import pathlib
import threading
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest

from imgcls_beam.outcome_handler import OutcomeHandler
from pipelines.__main__ import main
from tests.extent import choose
from tests.scenes import draw_photo, encode

PROCESS = pathlib.Path("/proc/self")


class Watch:
    """Counts what this process holds, each so many batches."""

    def __init__(self, each: int) -> None:
        self._each, self._batches = each, 0
        self._lock = threading.Lock()
        self.seen: list[dict[str, int]] = []

    def note(self) -> None:
        with self._lock:
            self._batches += 1
            if self._batches % self._each == 0:
                self.seen.append(count())


def count() -> dict[str, int]:
    status = dict(
        line.split(":", 1) for line in (PROCESS / "status").read_text().splitlines() if ":" in line
    )
    children = [
        pid
        for thread in (PROCESS / "task").iterdir()
        for pid in (thread / "children").read_text().split()
    ]
    return {
        "files": len(os.listdir(PROCESS / "fd")),
        "threads": int(status["Threads"]),
        "children": len(children),
        "kB": int(status["VmRSS"].split()[0]),
    }


def run_watched(
    images: int, each: int, folder: pathlib.Path, model: pathlib.Path, patch: pytest.MonkeyPatch
) -> list[dict[str, int]]:
    """Classifies so many lines of a manifest that name a few images; what was seen meanwhile."""
    for index in range(8):
        data = encode(draw_photo(index, (40, 40)), "PNG")
        (folder / f"{index}.png").write_bytes(data)
    manifest = folder / "m.csv"
    lines = (f"{index % 8}.png,{index}\n" for index in range(images))
    manifest.write_text("uri,number\n" + "".join(lines))
    watch, before = Watch(each), OutcomeHandler._begin

    def begin(handler: Any, *arguments: Any) -> Any:
        watch.note()
        return before(handler, *arguments)

    patch.setattr(OutcomeHandler, "_begin", begin)
    flags = [f"--input_manifest={manifest}", "--uri_column=uri", "--carry_columns=number"]
    places = [f"--output={folder}/out", f"--model={model}", "--run_id=a", "--engine=torch"]
    assert main(["classify", *flags, *places, "--dedupe=off", "--quiet"]) == 0
    (part,) = (folder / "out").glob("predictions/*/*/*/*.parquet")
    assert pq.ParquetFile(part).metadata.num_rows == images
    return watch.seen


def check_flat(seen: list[dict[str, int]], more_kb: int, read: Callable[[str], int]) -> None:
    """After the first of them, by when all is warm."""
    first, *others = seen
    assert len(others) >= 3
    for each in others:
        for name in ("files", "threads", "children"):
            assert each[name] <= first[name] + read(name), (name, seen)
        assert each["kB"] <= first["kB"] + more_kb, seen


@pytest.mark.slow
@pytest.mark.skipif(not PROCESS.exists(), reason="only Linux says what a process holds")
def test_a_run_of_some_thousand_rows_holds_no_more_at_its_end(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = run_watched(3000, 30, tmp_path, vit_folder, monkeypatch)
    check_flat(seen, 64 << 10, {"files": 3, "threads": 3, "children": 0}.__getitem__)


@pytest.mark.long(minutes=2)
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not PROCESS.exists(), reason="only Linux says what a process holds")
def test_a_run_of_very_many_rows_holds_no_more_at_its_end(
    tmp_path: pathlib.Path, vit_folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, each = choose((100_000, 600), (30_000, 180))
    seen = run_watched(rows, each, tmp_path, vit_folder, monkeypatch)
    check_flat(seen, 96 << 10, {"files": 3, "threads": 3, "children": 0}.__getitem__)
