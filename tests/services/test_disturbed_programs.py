"""Programs on a bucket, which has no lock: started in pairs, killed, started again."""

import json
import pathlib
import random
import time
from typing import Any

import pyarrow.parquet as pq
import pytest

from imgcls_beam.stores import open_store
from tests.programs import Mother
from tests.scenes import draw_photo, encode
from tests.servers import Server

pytestmark = pytest.mark.slow

_IMAGES = 12


@pytest.fixture(scope="module", autouse=True)
def photos(server: Server) -> None:
    """In a folder of this file's: the server is that of the other tests."""
    pictures = [encode(draw_photo(i, (40, 30)), "PNG") for i in range(_IMAGES)]
    server.fill({f"disturbed/photos/{i:02d}.png": each for i, each in enumerate(pictures)})


def _make_command(server: Server, output: str, model: pathlib.Path, how: str) -> list[str]:
    places = [f"--input={server.root}/disturbed/photos", f"--output={server.root}/{output}"]
    return ["classify", *places, f"--model={model}", "--run_id=r1", f"--if_exists={how}"]


def _read(server: Server, output: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The record, and the model of each image by it; nothing else may lie there."""
    store, path = open_store("output", f"{server.root}/{output}")
    store.invalidate_cache()
    record = json.loads(store.cat_file(f"{path}/runs/r1.json"))
    rows: list[dict[str, Any]] = []
    for file in record["files"]:
        with store.open(f"{path}/{file['path']}", "rb") as source:
            rows += pq.ParquetFile(source).read().to_pylist()
    models = {row["image_uri"]: row["model_key"] for row in rows}
    assert len(models) == len(rows) == _IMAGES
    named = {f"{path}/{file['path']}" for file in record["files"]} | {f"{path}/runs/r1.json"}
    assert set(store.find(path)) == named
    return record, models


@pytest.mark.parametrize("pairs", [1, pytest.param(3, marks=pytest.mark.long)])
@pytest.mark.parametrize("how", ["fail", "replace"])
def test_of_pairs_started_together_on_a_bucket_one_is_done_and_the_other_says_so(
    tmp_path: pathlib.Path,
    server: Server,
    mother: Mother,
    model_folders: dict[str, pathlib.Path],
    how: str,
    pairs: int,
) -> None:
    models = [model_folders["vit"], model_folders["convnext"]]
    for number in range(pairs):
        output = f"pairs-{how}-{pairs}-{number}"
        logs = [tmp_path / f"log{i}" for i in range(2)]
        pair = [
            mother.start(_make_command(server, output, model, how), log)
            for model, log in zip(models, logs, strict=True)
        ]
        codes = [program.wait() for program in pair]
        assert sorted(codes) in ([0, 1], [0, 2]), [log.read_text() for log in logs]
        assert "published" in logs[1 - codes.index(0)].read_text().splitlines()[-1]
        record, found = _read(server, output)
        assert set(found.values()) == {record["model"]["key"]}


@pytest.mark.parametrize("kills", [1, pytest.param(4, marks=pytest.mark.long)])
def test_a_program_killed_on_a_bucket_and_started_again_gives_the_whole_table(
    tmp_path: pathlib.Path,
    server: Server,
    mother: Mother,
    model_folders: dict[str, pathlib.Path],
    kills: int,
) -> None:
    log, output = tmp_path / "log", f"killed-{kills}"
    old = _make_command(server, output, model_folders["vit"], "replace")
    new = _make_command(server, output, model_folders["convnext"], "replace")
    began = time.monotonic()
    assert mother.start(old, log).wait() == 0
    duration_s = time.monotonic() - began
    chance = random.Random(42)
    for _ in range(kills):
        assert mother.start(old, log).wait() == 0, log.read_text()
        before, _ = _read(server, output)
        killed = mother.start(new, log)
        time.sleep(duration_s * (0.4 + 0.6 * chance.random()))
        killed.kill()
        killed.wait()
        assert mother.start(new, log).wait() == 0, log.read_text()
        record, found = _read(server, output)
        assert set(found.values()) == {record["model"]["key"]} != {before["model"]["key"]}
