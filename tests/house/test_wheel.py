"""The wheel by itself: equal bytes whenever it is built, and all programs in it."""

import email
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from pipelines import __main__ as program

ROOT = pathlib.Path(__file__).parents[2]
FILES = ("README.md", "LICENSE", "setup.py", "pyproject.toml", "sbom.cdx.json")
SOURCES = (*FILES, "imgcls_beam", "pipelines")
PROGRAMS = re.findall(r"^  (\w+) {2,}\S", program._USAGE, re.MULTILINE)
BUILD = "import sys, setuptools.build_meta as made; made.build_wheel(sys.argv[1])"


def build(folder: pathlib.Path, changed_at_s: int) -> pathlib.Path:
    """The wheel of a copy of the sources, whose files were all changed at one time."""
    sources = folder / "sources"
    leave = shutil.ignore_patterns("__pycache__")
    for name in (*SOURCES, "schemas"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        sources.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, sources / name, **({"ignore": leave} if copy is shutil.copytree else {}))
    for path in sources.rglob("*"):
        os.utime(path, (changed_at_s, changed_at_s))
    command = [sys.executable, "-c", BUILD, str(folder)]
    done = subprocess.run(command, cwd=sources, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return build(tmp_path_factory.mktemp("wheel"), 1_700_000_000)


def run_installed(folder: pathlib.Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A program of the wheel, away from the checkout."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, "-m", "imgcls_beam.pipelines", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def installed(wheel: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(folder)
    found = "import imgcls_beam; print(imgcls_beam.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", found]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(str(folder))
    return folder


@pytest.mark.slow
def test_a_wheel_has_the_same_bytes_whenever_it_is_built(
    wheel: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    assert build(tmp_path, 1_750_000_000).read_bytes() == wheel.read_bytes()


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_schema_and_nothing_else(wheel: pathlib.Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = {name for name in opened.namelist() if ".dist-info/" not in name}
    wanted = {
        *(f"imgcls_beam/{path.relative_to(ROOT)}" for path in (ROOT / "pipelines").rglob("*.py")),
        *(str(path.relative_to(ROOT)) for path in (ROOT / "imgcls_beam").rglob("*.py")),
        *(
            f"imgcls_beam/{path.relative_to(ROOT)}"
            for path in (ROOT / "schemas").iterdir()
            if path.suffix in (".py", ".json", ".sql")
        ),
        *(
            str(path.relative_to(ROOT))
            for path in (ROOT / "imgcls_beam" / "analysis").rglob("*")
            if path.suffix in (".css", ".html", ".js")
        ),
        "imgcls_beam/py.typed",
    }
    assert names == wanted


@pytest.mark.slow
def test_the_wheel_carries_a_bill_of_what_it_wants_of_others(wheel: pathlib.Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        (folder,) = {name.partition("/")[0] for name in opened.namelist() if "METADATA" in name}
        metadata = email.message_from_bytes(opened.read(f"{folder}/METADATA"))
        bill = json.loads(opened.read(f"{folder}/sboms/imgcls_beam.cdx.json"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["version"] == metadata["Version"]
    wanted = [each for each in metadata.get_all("Requires-Dist", []) if "extra ==" not in each]
    assert len(wanted) > 5
    listed = [each["description"].partition(": ")[2] for each in bill["components"]]
    assert sorted(listed) == sorted(wanted)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_of_the_wheel_says_how_it_is_used(installed: pathlib.Path, name: str) -> None:
    done = run_installed(installed, name, "--help")
    assert done.returncode == 0, done.stderr
    assert f"imgcls {name}" in done.stdout


@pytest.mark.slow
def test_the_wheel_alone_runs_the_main_job_of_the_demo(
    installed: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    flags = [f"--input={ROOT / 'demo' / 'images'}", f"--model={ROOT / 'demo' / 'model'}"]
    done = run_installed(
        installed,
        *("classify", *flags, f"--output={tmp_path / 'out'}"),
        *("--run_id=wheel", "--max_error_ratio=0.2"),
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "out" / "runs" / "wheel.json").read_text())
    assert record["state"] == "DONE"
    assert record["counts"]["ok"] > 20
