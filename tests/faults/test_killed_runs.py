"""Programs that are killed with SIGKILL, wherever they are, and started again."""

import json
import os
import pathlib
import random
import shutil
import threading
import time
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.extent import choose
from tests.programs import Mother
from tests.scenes import write_broken, write_photos

pytestmark = pytest.mark.slow

MOMENTS = 30
Table = dict[str, tuple[str, str, list[str], list[float]]]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("photos")
    write_photos(folder, 24)
    write_broken(folder, 2)
    return folder


def make_command(photos: pathlib.Path, output: pathlib.Path, model: pathlib.Path) -> list[str]:
    return [
        "classify",
        f"--input={photos}",
        f"--output={output}",
        f"--model={model}",
        "--run_id=r1",
        "--max_error_ratio=0.5",
        "--if_exists=replace",
    ]


def read_files(paths: list[pathlib.Path]) -> Table:
    rows: list[dict[str, Any]] = []
    for path in paths:
        rows += pq.ParquetFile(path).read().to_pylist()
    table = {}
    for row in rows:
        labels = [each["label"] for each in row["predictions"]]
        scores = [each["score"] for each in row["predictions"]]
        table[row["image_uri"]] = (row["status"], row["model_key"], labels, scores)
    assert len(table) == len(rows), "an image has two rows"
    return table


def follow(output: pathlib.Path) -> Table | None:
    """The table of a reader who follows the record; None where there is no run yet."""
    while True:
        try:
            record = json.loads((output / "runs" / "r1.json").read_text())
        except FileNotFoundError:
            return None
        try:
            return read_files([output / file["path"] for file in record["files"]])
        except FileNotFoundError:  # they went out of use while they were read: another record
            stands = json.loads((output / "runs" / "r1.json").read_text())
            assert stands["attempt"] != record["attempt"], "a record names files that are not there"


def glob(output: pathlib.Path) -> Table:
    return read_files(sorted(output.glob("predictions/*/*/*/*.parquet")))


def check_equal(found: Table | None, expected: Table) -> None:
    assert found is not None
    assert found.keys() == expected.keys()
    for uri, (status, model, labels, scores) in expected.items():
        assert found[uri][:3] == (status, model, labels)
        assert found[uri][3] == pytest.approx(scores, abs=1e-5)


class Reader(threading.Thread):
    """Follows the record over and over, and keeps each other table that it saw.

    A table is read again where the record or one of its files is another one than before.
    """

    def __init__(self, output: pathlib.Path) -> None:
        super().__init__(daemon=True)
        self._output = output
        self._ends = threading.Event()
        self.tables: list[Table] = []
        self.problem: Exception | None = None

    def run(self) -> None:
        seen: object = None
        try:
            while not self._ends.wait(0.005):
                stands = self._look()
                if stands is not None and stands == seen:
                    continue
                seen = stands
                table = follow(self._output)
                if table is not None and table not in self.tables:
                    self.tables.append(table)
        except Exception as problem:  # noqa: BLE001  it is raised where the thread is joined
            self.problem = problem

    def stop(self) -> list[Table]:
        self._ends.set()
        self.join()
        if self.problem is not None:
            raise self.problem
        return self.tables

    def _look(self) -> object:
        """The record's text and what its files are; None where one of them is not there."""
        try:
            text = (self._output / "runs" / "r1.json").read_text()
            files = [self._output / each["path"] for each in json.loads(text)["files"]]
            return text, [(each.st_ino, each.st_mtime_ns) for each in map(os.stat, files)]
        except FileNotFoundError:
            return None


def list_left(output: pathlib.Path) -> list[str]:
    return sorted(path.name for path in output.iterdir())


def list_moments(operations: list[str], duration_s: float) -> list[int | float]:
    """Every operation of the publishing, by its number, and seconds of the time before it."""
    first = next(i for i, each in enumerate(operations) if "staged-" in each)
    moments: list[int | float] = [*range(first, len(operations))]
    chance = random.Random(20261123)
    moments += [chance.random() * duration_s for _ in range(max(8, MOMENTS - len(moments)))]
    assert len(moments) >= MOMENTS
    return moments


def kill_and_start_again(
    command: list[str], output: pathlib.Path, moment: int | float, mother: Mother
) -> list[Table | None]:
    """A run that replaces another dies; what readers saw until the same command was done."""
    log = output.parent / "log"
    reader = Reader(output)
    reader.start()
    dies_at = moment if isinstance(moment, int) else None
    killed = mother.start(command, log, output, dies_at)
    if isinstance(moment, float):
        time.sleep(moment)
        killed.kill()
    assert killed.wait() in ((-9,) if dies_at is not None else (-9, 0)), moment
    after_death = follow(output)
    assert mother.start(command, log).wait() == 0, log.read_text()
    return [*reader.stop(), after_death]


@pytest.mark.parametrize(
    "step", [15, pytest.param(choose(1, 4), marks=pytest.mark.long(minutes=1))]
)
def test_a_program_killed_at_any_of_30_moments_and_started_again_gives_the_undisturbed_table(
    tmp_path: pathlib.Path,
    mother: Mother,
    photos: pathlib.Path,
    model_folders: dict[str, pathlib.Path],
    step: int,
) -> None:
    """At all of them, at every fourth, or at every fifteenth."""
    first, second = model_folders["vit"], model_folders["convnext"]
    template, log = tmp_path / "template", tmp_path / "log"
    assert mother.start(make_command(photos, template, first), log).wait() == 0
    old = follow(template)
    assert old is not None

    whole = tmp_path / "whole"
    shutil.copytree(template, whole)
    began = time.monotonic()
    assert mother.start(make_command(photos, whole, second), log, whole).wait() == 0
    duration_s = time.monotonic() - began
    new = glob(whole)
    assert {each[1] for each in new.values()}.isdisjoint({each[1] for each in old.values()})
    operations = pathlib.Path(f"{log}.ops").read_text().splitlines()

    for moment in list_moments(operations, duration_s)[::step]:
        output = tmp_path / "out"
        shutil.copytree(template, output)
        command = make_command(photos, output, second)
        for table in kill_and_start_again(command, output, moment, mother):
            check_equal(table, old if table is not None and is_of(table, old) else new)
        check_equal(follow(output), new)
        check_equal(glob(output), new)
        assert list_left(output) == ["predictions", "runs"], moment
        shutil.rmtree(output)


def is_of(table: Table, other: Table) -> bool:
    return {each[1] for each in table.values()} == {each[1] for each in other.values()}


@pytest.mark.parametrize("step", [5, pytest.param(choose(1, 2), marks=pytest.mark.long(minutes=1))])
def test_a_first_run_killed_at_each_step_of_publishing_leaves_no_record_or_all_of_the_run(
    tmp_path: pathlib.Path,
    mother: Mother,
    photos: pathlib.Path,
    vit_folder: pathlib.Path,
    step: int,
) -> None:
    """At each of them, every second, or every fifth: before the record is written, and after."""
    log = tmp_path / "log"
    whole = tmp_path / "whole"
    command = [each for each in make_command(photos, whole, vit_folder) if "if_exists" not in each]
    assert mother.start(command, log, whole).wait() == 0
    expected = follow(whole)
    assert expected is not None
    operations = pathlib.Path(f"{log}.ops").read_text().splitlines()
    seen = set()
    for dies_at in range(len(operations) - 16, len(operations), step):
        output = tmp_path / f"out{dies_at}"
        mine = [each.replace(str(whole), str(output)) for each in command]
        assert mother.start(mine, log, output, dies_at).wait() == -9
        committed = (output / "runs" / "r1.json").exists()
        seen.add(committed)
        assert mother.start(mine, log).wait() == (2 if committed else 0)
        check_equal(follow(output), expected)
        check_equal(glob(output), expected)
        assert list_left(output) == ["predictions", "runs"], operations[dies_at]
    assert seen == {False, True}


@pytest.mark.parametrize("pairs", [2, pytest.param(choose(10, 5), marks=pytest.mark.long)])
@pytest.mark.parametrize("how", ["fail", "replace"])
def test_of_pairs_started_together_one_is_done_and_the_other_says_so(
    tmp_path: pathlib.Path,
    mother: Mother,
    photos: pathlib.Path,
    model_folders: dict[str, pathlib.Path],
    how: str,
    pairs: int,
) -> None:
    models = [model_folders["vit"], model_folders["convnext"]]
    for number in range(pairs):
        output = tmp_path / f"out{number}"
        logs = [tmp_path / f"log{i}" for i in range(2)]
        pair = [
            mother.start([*make_command(photos, output, model)[:-1], f"--if_exists={how}"], log)
            for model, log in zip(models, logs, strict=True)
        ]
        codes = [program.wait() for program in pair]
        assert sorted(codes) in ([0, 1], [0, 2]), [log.read_text() for log in logs]
        loser = logs[1 - codes.index(0)].read_text()
        assert "imgcls classify: " in loser.splitlines()[-1]
        assert "published" in loser
        record = json.loads((output / "runs" / "r1.json").read_text())
        assert record["state"] == "DONE"
        table = glob(output)
        assert table == follow(output)
        assert {each[1] for each in table.values()} == {record["model"]["key"]}
        assert len(table) == 26
        assert list_left(output) == ["predictions", "runs"]
