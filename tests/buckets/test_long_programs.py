"""What takes long on servers that others wrote: pairs at once, and kills."""

import itertools
import pathlib
import random
import time
from collections.abc import Iterator

import pytest

from tests.buckets.published import list_folders, read_record, read_rows
from tests.built_servers import BuiltServer
from tests.extent import choose
from tests.programs import Mother, start_mother
from tests.scenes import draw_photo, encode

pytestmark = [pytest.mark.long(minutes=1), pytest.mark.timeout(1800)]

PAIRS, KILLS = choose((5, 10), (3, 4))
IMAGES = 12


@pytest.fixture(scope="module")
def photos(server: BuiltServer) -> str:
    """A folder of images; its name has what URLs and patterns are made of."""
    server.fill({f"in [1]/photos/{i} #?.png": _draw(i) for i in range(IMAGES)})
    return f"{server.root}/in [1]"


@pytest.fixture(scope="module")
def mother(photos: str) -> Iterator[Mother]:
    """Forks programs in an environment that leads to the server."""
    del photos
    with start_mother() as started:
        yield started


def _draw(seed: int) -> bytes:
    return encode(draw_photo(seed, (16, 16)), "PNG")


def _command(photos: str, output: str, model: pathlib.Path, how: str) -> list[str]:
    places = [f"--input={photos}", f"--output={output}", f"--model={model}"]
    return ["classify", *places, "--run_id=r1", f"--if_exists={how}", "--runner=FnApiRunner"]


def _model_of(output: str) -> str:
    """The model of all rows of the run, which is the one of its record."""
    record, rows = read_record(output), read_rows(output)
    assert record is not None
    assert len(rows) == IMAGES
    assert {row["model_key"] for row in rows.values()} == {record["model"]["key"]}
    return str(record["model"]["key"])


@pytest.mark.parametrize("how", ["fail", "replace"])
def test_of_two_at_once_one_publishes_and_the_other_says_so(
    server: BuiltServer,
    photos: str,
    mother: Mother,
    model_folders: dict[str, pathlib.Path],
    tmp_path: pathlib.Path,
    how: str,
) -> None:
    models = [model_folders["vit"], model_folders["convnext"]]
    for number in range(PAIRS):
        output = f"{server.root}/{how} {number}"
        logs = [tmp_path / f"log{number}-{i}" for i in range(2)]
        pair = [
            mother.start(_command(photos, output, model, how), log)
            for model, log in zip(models, logs, strict=True)
        ]
        codes = [program.wait() for program in pair]
        assert sorted(codes) in ([0, 1], [0, 2]), [log.read_text() for log in logs]
        assert "published" in logs[1 - codes.index(0)].read_text()
        _model_of(output)
        assert list_folders(output) == ["predictions", "runs"]


def test_a_program_killed_again_and_again_leaves_the_old_run_or_the_new_one(
    server: BuiltServer,
    photos: str,
    mother: Mother,
    model_folders: dict[str, pathlib.Path],
    tmp_path: pathlib.Path,
) -> None:
    output, log = f"{server.root}/killed", tmp_path / "log"
    models = itertools.cycle([model_folders["vit"], model_folders["convnext"]])
    assert mother.start(_command(photos, output, next(models), "replace"), log).wait() == 0
    began, chance = time.monotonic(), random.Random(20261126)
    assert mother.start(_command(photos, output, next(models), "replace"), log).wait() == 0
    duration_s = time.monotonic() - began
    for _ in range(KILLS):
        before, model = _model_of(output), next(models)
        killed = mother.start(_command(photos, output, model, "replace"), log)
        time.sleep(duration_s * chance.uniform(0.3, 1.0))
        killed.kill()
        code = killed.wait()
        after = _model_of(output)
        assert code in (-9, 0)
        assert mother.start(_command(photos, output, model, "replace"), log).wait() == 0
        new = _model_of(output)
        assert new != before
        assert after in (before, new)
        assert list_folders(output) == ["predictions", "runs"]


def test_rows_are_appended_to_a_run(
    server: BuiltServer,
    photos: str,
    mother: Mother,
    vit_folder: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    output, log = f"{server.root}/appended", tmp_path / "log"
    server.fill({f"more/photos/{i}.png": _draw(100 + i) for i in range(3)})
    assert mother.start(_command(photos, output, vit_folder, "append"), log).wait() == 0
    more = _command(f"{server.root}/more", output, vit_folder, "append")
    assert mother.start(more, log).wait() == 0, log.read_text()
    assert len(read_rows(output)) == IMAGES + 3
