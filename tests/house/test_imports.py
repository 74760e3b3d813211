"""Heavy libraries are imported where they are used, not where a name is."""

import pathlib
import subprocess
import sys

import pytest

import imgcls_beam

ROOT = pathlib.Path(__file__).parents[2]
HEAVY = {"openvino", "torch", "transformers", "apache_beam.ml.inference"}
ALLOWED = {
    *(f"imgcls_beam.classifying.{name}" for name in ("checkpoints", "feeding", "gaps")),  # torch's
    *(f"imgcls_beam.classifying.{name}" for name in ("huggingface", "judging")),  # own classes are
    *(f"imgcls_beam.classifying.{name}" for name in ("prepacking", "tuning")),  # their work
    *(f"imgcls_beam.classifying.{name}" for name in ("engines", "converting", "torch_running")),
    "imgcls_beam.classifying.openvino_running",
    "imgcls_beam.handler",  # RunInference imports torch where it is installed
    "imgcls_beam.outcome_handler",
}
FLOORS_0_TO_2 = [f"imgcls_beam.{each}" for each in ("errors", "spec", "elements", "options")]


def find_modules(package: str) -> list[str]:
    paths = sorted((ROOT / package).rglob("*.py"))
    dotted = (".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths)
    return [name.removesuffix(".__init__") for name in dotted]


def run_fresh(program: str) -> set[str]:
    """Runs a program in a new Python; returns the names of the modules that it imported."""
    tail = "\nimport sys; print('\\n'.join(sys.modules))"
    command = [sys.executable, "-c", program + tail]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def import_fresh(*modules: str) -> set[str]:
    return run_fresh(f"import {', '.join(modules)}")


def test_importing_the_package_imports_nothing_heavy_and_not_beam() -> None:
    imported = import_fresh("imgcls_beam")
    assert "imgcls_beam" in imported
    assert not imported & {*HEAVY, "apache_beam", "numpy", "PIL", "pyarrow"}


def test_no_module_but_those_named_imports_anything_heavy() -> None:
    modules = [each for each in find_modules("imgcls_beam") if each not in ALLOWED]
    assert len(modules) > 20
    imported = import_fresh(*modules)
    assert set(modules) <= imported
    assert not imported & HEAVY


@pytest.mark.parametrize("package", ["schemas", "pipelines.__main__", "pipelines.flags"])
def test_flags_and_schemas_are_there_before_anything_heavy(package: str) -> None:
    imported = import_fresh(package)
    assert package in imported
    assert not imported & HEAVY


def test_every_public_name_but_the_handler_can_be_had_without_anything_heavy() -> None:
    names = [each for each in imgcls_beam.__all__ if each != "ImageClassificationModelHandler"]
    imported = run_fresh(f"from imgcls_beam import {', '.join(names)}")
    assert "imgcls_beam.transforms" in imported
    assert not imported & HEAVY


def test_the_floors_below_the_stages_import_no_library_but_numpy() -> None:
    imported = import_fresh(*FLOORS_0_TO_2)
    assert {*FLOORS_0_TO_2} <= imported
    assert not imported & {*HEAVY, "apache_beam", "fsspec", "PIL", "pyarrow", "huggingface_hub"}
