"""Heavy libraries are imported where they are used, not where a name is."""

import pathlib
import subprocess
import sys

import pytest

import imgcls_beam

ROOT = pathlib.Path(__file__).parents[2]
HEAVY = {"openvino", "torch", "transformers", "apache_beam.ml.inference"}
ALLOWED = {
    *(
        f"imgcls_beam.classifying.{name}" for name in ("building", "checkpoints", "feeding")
    ),  # torch's
    *(f"imgcls_beam.classifying.{name}" for name in ("huggingface", "judging")),  # own classes are
    *(f"imgcls_beam.classifying.{name}" for name in ("prepacking", "tuning")),  # their work
    *(f"imgcls_beam.classifying.{name}" for name in ("engines", "converting", "torch_running")),
    *(f"imgcls_beam.classifying.{name}" for name in ("openvino_running", "streams", "deciding")),
    *(f"imgcls_beam.classifying.{name}" for name in ("device_ranking", "device_running", "lanes")),
    *(f"imgcls_beam.classifying.{name}" for name in ("compiling", "gaps", "recording")),
    "imgcls_beam.classifying.finiteness",
    "imgcls_beam.classifying.unloaded",
    "imgcls_beam.handler",  # RunInference imports torch where it is installed
    "imgcls_beam.outcome_handler",
    "imgcls_beam.async_handler",
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


def run_program(*words: str, code: int) -> set[str]:
    """Runs `imgcls` in a new Python; returns the names of the modules that it imported."""
    lines = (
        "import contextlib, sys",
        "from pipelines.__main__ import main",
        "try:",
        "  with contextlib.redirect_stdout(sys.stderr):",
        f"    code = main({words!r})",
        "except SystemExit as stop: code = stop.code or 0",
        f"assert code == {code}, code",
    )
    return run_fresh("\n".join(lines))


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


PLACES = ("--input=photos", "--output=out")
SERVICE = ("--input=gs://b/photos", "--output=gs://b/out", "--runner=DataflowRunner")
NOT_FOR_A_REFUSAL = {*HEAVY, "apache_beam", "numpy", "PIL", "pyarrow", "duckdb", "google.auth"}
REFUSED = {
    "an unknown flag": ("doctor", "--parties=3"),
    "a near miss": ("classify", *PLACES, "--top_q=3"),
    "a near miss of Beam's": ("classify", *PLACES, "--runer=DirectRunner"),
    "a flag twice": ("classify", *PLACES, "--output=again"),
    "a word of no flag": ("classify", *PLACES, "photos/1.jpg"),
    "a value": ("classify", *PLACES, "--if_exists=perhaps"),
    "a count": ("classify", *PLACES, "--limit=-1"),
    "a contradiction": ("classify", *PLACES, "--uri_column=c"),
    "a GPU": ("classify", *PLACES, "--gpu=k80"),
    "a GPU of this machine": ("classify", *PLACES, "--gpu=l4"),
    "a GPU twice": ("classify", *SERVICE, "--gpu=l4", "--device=cpu"),
    "a runner": ("classify", *PLACES, "--runner=DirectRuner"),
    "a runner by its path": ("classify", *PLACES, "--runner=apache_beam.runners.none.Runner"),
    "a value of Beam's": ("classify", *PLACES, "--direct_num_workers=two"),
    "a place of this machine": ("classify", *SERVICE, "--model=/models/vit"),
    "what Dataflow needs": ("classify", *SERVICE),
    "a value of retry": ("retry", "--output=out", "--run_id=r", "--batch_size=few"),
    "a ratio of retry": ("retry", "--output=out", "--run_id=r", "--max_error_ratio=2"),
    "a price": ("plan", *PLACES, "--price_per_hour=cheap"),
    "a GPU of a plan": ("plan", *PLACES, "--gpu=k80"),
    "new of nothing": ("plan", "--input=photos", "--only=new"),
    "a run without its folder": ("retry", "--run_id=r"),
    "a report of no place": ("report", "--run_id=r"),
    "a report elsewhere": ("report", "--output=out", "--to=https://a/b.html"),
    "a report of no rows": ("classify", "--input=photos", "--output_jsonl=a.jsonl", "--report"),
    "no truth": ("evaluate", "--output=out"),
    "a ratio of a threshold": ("evaluate", "--output=o", "--truth_column=c", "--wanted_recall=2"),
    "nothing to compare with": ("compare", "--output=out"),
    "two places of a run": ("compare", "--output=out", "--output_table=p.d.t", "--with=b"),
    "a budget": ("review", "--output=out", "--budget=0"),
    "a form": ("sql", "--output=out", "--format=xml", "select 1"),
    "two dialects": ("sql", "--output=out", "--dialect=bigquery"),
    "a template's file": ("template", "show", "--image=i", "--spec=/tmp/i.json"),
    "a flag of the job": ("template", "show", "--image=i", "--spec=gs://b/i", "--top_q=3"),
}


PROGRAMS = (
    *("classify", "retry", "plan", "report", "evaluate", "compare", "review", "sql", "doctor"),
    "template",
)


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_imports_nothing_heavy_and_not_beam(program: str) -> None:
    imported = run_program(program, "--help", code=0)
    assert "argparse" in imported
    assert not imported & NOT_FOR_A_REFUSAL


@pytest.mark.parametrize("words", REFUSED.values(), ids=REFUSED.keys())
def test_a_refusal_imports_nothing_heavy_and_not_beam(words: tuple[str, ...]) -> None:
    imported = run_program(*words, code=2)
    assert "argparse" in imported
    assert not imported & NOT_FOR_A_REFUSAL


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
