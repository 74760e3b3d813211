"""The examples of Beam YAML, run by Beam's own program."""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
from typing import Any

import pytest
import yaml
from apache_beam.yaml.yaml_provider import PypiExpansionService

import imgcls_beam

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
GOOD, BAD = "demo/images/star-26-plain.png", "demo/images/broken-page.jpg"


def read_command(example: str) -> list[str]:
    """The command in an example's own comment."""
    lines = (ROOT / "examples" / example).read_text().splitlines()
    comment = " ".join(line.lstrip("#").rstrip("\\") for line in lines if line.startswith("#"))
    command, end = re.search(r"(python -m apache_beam\.yaml\.main .*?\}')(\s|$)", comment).groups()  # type: ignore[union-attr]
    assert not end.strip()
    return [sys.executable, *shlex.split(command)[1:]]


def run(example: str, home: pathlib.Path, **variables: Any) -> None:
    """Runs the command of an example, with some of its variables set otherwise."""
    *command, given = read_command(example)
    flag, _, values = given.partition("=")
    assert flag == "--jinja_variables"
    assert variables.keys() <= json.loads(values).keys()
    command.append(f"{flag}={json.dumps(json.loads(values) | variables)}")
    hidden = ("TOX_WORK_DIR", "RUNNER_WORKDIR")  # either would move Beam's cache
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=kept | {"HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


def read_lines(folder: pathlib.Path, name: str) -> list[dict[str, Any]]:
    files = sorted(folder.glob(f"{name}-*"))
    assert files
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


@pytest.mark.slow
def test_the_transform_of_an_installed_package(tmp_path: pathlib.Path) -> None:
    run("classify.yaml", tmp_path, output=str(tmp_path / "out"))
    (row,) = read_lines(tmp_path / "out", "labels")
    assert (row["uri"], row["sku"], row["status"], row["top_label"]) == (GOOD, 3, "ok", "star")
    assert [sorted(each) for each in row["predictions"]] == [["label", "score"]] * 3
    assert row["model_key"].startswith("folder@")
    (failed,) = read_lines(tmp_path / "out", "failed")
    assert (failed["stage"], failed["code"]) == ("prepare", "not_an_image")
    assert (failed["uri"], failed["sku"]) == (BAD, 4)
    assert failed["element"] == [BAD, 4]  # Beam's own way of writing it


@pytest.mark.long
def test_the_transform_of_a_package_that_beam_installs(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = build_wheel(tmp_path)
    fill_cache(tmp_path, package, monkeypatch)
    output = tmp_path / "out"
    run("classify_package.yaml", tmp_path, package=package, photos=[GOOD, BAD], output=str(output))
    bad, good = sorted(read_lines(output, "labels"), key=lambda row: row["photo"])
    assert (good["photo"], good["status"], good["label"]) == (GOOD, "ok", "star")
    assert good["score"] > 0.5
    assert bad == {
        "photo": BAD,
        "status": "error",
        **{"label": None, "score": None, "reason": "not_an_image"},
    }


def build_wheel(folder: pathlib.Path) -> str:
    """Builds the package from a copy, so that nothing is left in the checkout."""
    source = folder / "source"
    for name in ("imgcls_beam", "pipelines", "schemas"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "README.md", "sbom.cdx.json"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", str(folder), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return str(wheel)


def fill_cache(home: pathlib.Path, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts these packages where Beam looks for those that it has installed once.

    To install them it takes three minutes and some gigabytes, and only pip's part is left out:
    the expansion service and the worker run in what is found here.
    """
    cache = home / ".apache_beam" / "cache" / "venvs"
    monkeypatch.setattr(PypiExpansionService, "VENV_CACHE", str(cache))
    place = pathlib.Path(PypiExpansionService._path(sys.executable, [package]))
    cache.mkdir(parents=True)
    place.symlink_to(sys.prefix, target_is_directory=True)
    pathlib.Path(f"{place}-requirements.txt").write_text(package)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_example_has_our_transform_and_no_option_that_it_lacks(example: pathlib.Path) -> None:
    text = example.read_text().replace("{{ photos | tojson }}", "[]")
    pipeline = yaml.safe_load(text)
    (provider,) = pipeline["providers"]
    assert provider["transforms"] == {"ClassifyImages": "imgcls_beam.ClassifyRows"}
    used = [
        each["config"]
        for each in pipeline["pipeline"]["transforms"]
        if each["type"] == "ClassifyImages"
    ]
    assert len(used) == 1
    imgcls_beam.ClassifyRows(**used[0])
