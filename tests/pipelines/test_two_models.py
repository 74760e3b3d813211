"""`imgcls classify --compare_with`: two models over the same images, each decoded once."""

import json
import pathlib
from collections.abc import Sequence

import duckdb
import pytest

from imgcls_beam.errors import ConfigError
from pipelines.__main__ import main
from pipelines.flags import parse_flags
from tests.models import make_model
from tests.scenes import write_broken, write_photos

_ROWS = "select image_uri, status, model_id, top_label, top_score from read_parquet(?) order by all"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("models")
    first, second = (make_model(folder / name, seed=seed) for seed, name in enumerate("ab"))
    return str(first), str(second)


def read_rows(output: pathlib.Path) -> list[tuple[object, ...]]:
    return duckdb.execute(_ROWS, [f"{output}/predictions/**/*.parquet"]).fetchall()


def classify(photos: pathlib.Path, output: pathlib.Path, *more: str) -> int:
    flags = [f"--input={photos}", f"--output={output}", "--max_error_ratio=1", *more]
    return main(["classify", *flags])


@pytest.mark.slow
def test_a_run_has_the_rows_that_each_model_has_alone(
    models: tuple[str, str], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 6)
    write_broken(tmp_path / "photos")
    photos, both = tmp_path / "photos", tmp_path / "both"
    asked = [f"--model={models[0]}", f"--compare_with={models[1]}", "--report", "--run_id=r"]
    assert classify(photos, both, *asked) == 0
    printed = capsys.readouterr().out
    assert "imgcls compare" in printed
    alone = []
    for index, model in enumerate(models):
        assert classify(photos, tmp_path / f"alone-{index}", f"--model={model}") == 0
        alone += read_rows(tmp_path / f"alone-{index}")
    assert read_rows(both) == sorted(alone, key=lambda row: tuple(map(repr, row)))
    record = json.loads((both / "runs" / "r.json").read_text())
    images = len(alone) // 2
    assert record["counts"]["listed"] == 2 * images
    assert len(record["models"]) == 2
    assert (both / "reports" / "r.html").exists()
    capsys.readouterr()
    (command,) = [line for line in printed.splitlines() if "imgcls compare" in line]
    assert main(command.partition("imgcls ")[2].split()) == 0
    assert "6 images in both" in capsys.readouterr().out
    assert main(["retry", f"--output={both}", "--run_id=r"]) == 2
    assert "no model or several" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--output=o", "--compare_with=a"], "the model itself"),
        (["--output_jsonl=o", "--compare_with=b"], "--output=DIR"),
        (["--output=o", "--output_jsonl=o", "--compare_with=b"], "names no model"),
        (["--output=o", "--only=new", "--compare_with=b"], "--only=new"),
    ],
)
def test_what_does_not_go_with_two_models_is_refused(flags: Sequence[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        parse_flags(["--input=photos", "--model=a", *flags])
    assert refused.value.option == "compare_with"
