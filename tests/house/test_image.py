"""The image for Dataflow, as far as it can be tested without a Docker engine."""

import ast
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement

ROOT = pathlib.Path(__file__).parents[2]
DOCKER = ROOT / "docker"
INSTRUCTIONS = re.sub(r"\\\n\s*", "", (DOCKER / "Dockerfile").read_text())


def read_arguments() -> dict[str, str]:
    return dict(re.findall(r"^ARG (\w+)=(\S*)$", INSTRUCTIONS, re.MULTILINE))


def read_copies() -> list[tuple[list[str], str]]:
    """Sources and target of each COPY from the build's context."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", INSTRUCTIONS, re.MULTILINE)
    return [(paths[:-1], paths[-1]) for paths in map(shlex.split, lines)]


def read_pins() -> dict[str, str]:
    """Name to version, as they are for the Python of the image."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines if not line.startswith("#")]
    python = {"python_full_version": f"{read_arguments()['PYTHON_VERSION']}.9"}
    fits = [each for each in found if each.marker is None or each.marker.evaluate(python)]
    return {each.name: str(each.specifier).removeprefix("==") for each in fits}


def read_hashed(name: str) -> dict[str, str]:
    text = (DOCKER / name).read_text()
    return dict(re.findall(r"^(\S+)==(\S+) \\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE))


def read_requirements() -> set[str]:
    lines = (DOCKER / "requirements.txt").read_text().splitlines()
    return {line for line in lines if not line.startswith("#")}


def read_declared() -> set[str]:
    """Names, with extras, of what setup.py declares for the image: the base, gcp and s3."""
    values = {
        target.id: ast.literal_eval(node.value)
        for node in ast.parse((ROOT / "setup.py").read_text()).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in ("BASE", "EXTRAS")
    }
    named = [*values["BASE"], *values["EXTRAS"]["gcp"], *values["EXTRAS"]["s3"]]
    names = {re.split(r"[<>=]", each)[0] for each in named}
    return {name for name in names if not any(each.startswith(f"{name}[") for each in names)}


def read_build_requirements() -> set[str]:
    """Names of what builds the package."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return {Requirement(each).name for each in settings["build-system"]["requires"]}


def run(*command: str | pathlib.Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}
    )


def test_whatever_is_copied_is_there_and_not_ignored() -> None:
    let_in = (ROOT / ".dockerignore").read_text().splitlines()
    assert let_in[1] == "*"
    sources = [source for sources, _ in read_copies() for source in sources]
    assert len(sources) >= 8
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in let_in, source


def test_nothing_is_let_in_that_is_not_copied() -> None:
    let_in = (ROOT / ".dockerignore").read_text().splitlines()
    sources = {source for sources, _ in read_copies() for source in sources}
    assert {line[1:] for line in let_in if line.startswith("!")} == sources


def test_the_versions_of_beam_and_python_are_those_that_are_tested() -> None:
    arguments = read_arguments()
    assert arguments["BEAM_VERSION"] == read_pins()["apache-beam"]
    script = (ROOT / "tools" / "install.sh").read_text()
    assert f"${{PYTHON:-python{arguments['PYTHON_VERSION']} " in script
    launcher = f"python{arguments['PYTHON_VERSION'].replace('.', '')}-template-launcher-base"
    assert arguments["LAUNCHER"] == launcher


def test_the_image_installs_what_setup_py_declares_and_each_is_pinned() -> None:
    assert read_requirements() == read_declared() | read_build_requirements()
    pins = read_pins()
    assert {name.split("[")[0] for name in read_requirements()} <= pins.keys()


def test_what_the_image_installs_has_hashes_and_the_versions_that_are_tested() -> None:
    cpu, cuda = read_hashed("hashed.txt"), read_hashed("hashed-cuda.txt")
    assert cpu.items() | cuda.items() <= read_pins().items()
    assert {name.split("[")[0] for name in read_requirements()} <= cpu.keys() | cuda.keys()
    assert "torch" in cuda
    apart = ("torch", "triton", "nvidia", "cuda")
    assert [name for name in cpu if name.startswith(apart)] == []
    pinned = [
        line
        for name in ("hashed.txt", "hashed-cuda.txt")
        for line in (DOCKER / name).read_text().splitlines()
        if "==" in line
    ]
    assert len(pinned) == len(cpu) + len(cuda), "a pin without a hash"


def test_nothing_is_built_with_what_has_no_hash() -> None:
    """A build by itself (`pip install FOLDER`) fetches setuptools as it comes."""
    commands = re.split("[;\n]", INSTRUCTIONS)
    installs = [each for each in commands if "pip install" in each and "imgcls/source" in each]
    assert len(installs) == 1
    assert "--no-build-isolation" in installs[0]
    assert "--no-deps" in installs[0]
    fits = Requirement("setuptools>=77").specifier
    assert read_hashed("hashed.txt")["setuptools"] in fits
    assert (DOCKER / "Dockerfile").read_text().startswith("# syntax=docker/dockerfile:1\n")


def test_the_extras_of_the_image_are_those_that_the_pages_name() -> None:
    (named,) = re.findall(r"--build-arg EXTRAS=([a-z,]+)", (DOCKER / "Dockerfile").read_text())
    assert f"`--build-arg EXTRAS={named}`" in (ROOT / "docs" / "operations.md").read_text()
    setup = (ROOT / "setup.py").read_text()
    assert all(f'    "{each}": [' in setup for each in named.split(","))


def test_no_pin_is_of_a_build_that_pypi_lacks() -> None:
    assert [f"{name}=={pin}" for name, pin in read_pins().items() if "+" in pin] == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [((), 2, "docker/build.sh IMAGE[:TAG]"), (("image:1",), 1, "no Docker engine answers here")],
)
def test_the_build_script_says_what_it_lacks(
    arguments: tuple[str, ...], code: int, message: str, tmp_path: pathlib.Path
) -> None:
    for name in ("bash", "sed", "dirname"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    ended = run(DOCKER / "build.sh", *arguments, PATH=str(tmp_path))
    assert (ended.returncode, message in ended.stderr) == (code, True), ended.stderr


def test_a_model_is_baked_in_if_one_is_named() -> None:
    model = str(ROOT / "demo" / "model")
    baked = run(sys.executable, DOCKER / "bake.py", model, "")
    assert baked.stdout.rstrip().endswith(model), baked.stderr
    assert run(sys.executable, DOCKER / "bake.py", "", "").stdout == ""
    assert run(sys.executable, DOCKER / "bake.py", f"{model}/none").returncode == 1


@pytest.mark.slow
def test_what_is_copied_is_all_that_the_programs_need(tmp_path: pathlib.Path) -> None:
    for sources, target in read_copies():
        for source in sources:
            place = tmp_path / target.lstrip("/")
            if (ROOT / source).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / source, place, ignore=ignored)
            else:
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, place)
    image, installed = tmp_path / "opt" / "imgcls", tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(installed)]
    assert run(*pip, image / "source").returncode == 0
    where = "import imgcls_beam, imgcls_beam.schemas as s; print(imgcls_beam.__file__, s.__file__)"
    settings = {"PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    found = run(sys.executable, "-c", where, **settings).stdout.split()
    assert len(found) == 2
    assert all(each.startswith(str(installed)) for each in found)
    shown = run(sys.executable, image / "launch.py", "--help", **settings)
    assert "--output" in shown.stdout, shown.stderr
    views = "from imgcls_beam.warehouse.views import render_duckdb; print(render_duckdb())"
    rendered = run(sys.executable, "-c", views, **settings)
    assert "VIEW prediction_runs" in rendered.stdout, rendered.stderr
    listed = run(sys.executable, installed / "bin" / "imgcls", "--help", **settings)
    assert "classify" in listed.stdout, listed.stderr


@pytest.mark.slow
def test_the_lines_of_pip_can_be_satisfied(tmp_path: pathlib.Path) -> None:
    """By uv, which takes a second for what pip takes a minute: nothing that is needed lacks a hash.

    Without the index of torch's CPU builds, which differ in the build and not in the version.
    """
    solve = [sys.executable, "-m", "uv", "pip", "install", "--dry-run", "--target", str(tmp_path)]
    hashed = [f"-r{DOCKER / name}" for name in ("hashed.txt", "hashed-cuda.txt")]
    wanted = ["--python-version", read_arguments()["PYTHON_VERSION"], "--require-hashes", *hashed]
    solved = run(*solve, *wanted)
    assert solved.returncode == 0, solved.stderr
    assert "apache-beam==" in solved.stderr
