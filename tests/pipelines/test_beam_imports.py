"""A plain local run imports of Beam what it uses, and nothing is lost to what comes later."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest

from pipelines import beam_imports
from tests.pictures import jpeg_of

ROOT = pathlib.Path(__file__).parents[2]
LATER = [
    name
    for name in ("pandas", "pymongo", "apitools", "google.cloud.dataflow")
    if importlib.util.find_spec(name.partition(".")[0])
]
PROGRAM = """
import sys
from pipelines.__main__ import main
assert main({words!r}) == 0
from pipelines.beam_imports import _NOT_USED
assert "apache_beam.runners.portability.fn_api_runner.fn_runner" in sys.modules
assert not set(_NOT_USED) & set(sys.modules), set(_NOT_USED) & set(sys.modules)
assert not [name for name in sys.modules if name.startswith(("google.cloud.", "boto", "pandas"))]
"""


@pytest.mark.parametrize(
    ("arguments", "is_plain"),
    [
        ([], True),
        (["--runner=FnApiRunner"], True),
        (["--runner", "fnapi"], True),
        (["--direct_num_workers=2", "--direct-running-mode=multi_threading"], True),
        (["--runner=DirectRunner"], False),
        (["--runner=DataflowRunner"], False),
        (["--runner=tests.flaky.FlakyStore"], False),
        (["--temp_location=gs://bucket/temp"], False),
        (["--beam_plugins=tests.flaky"], False),
        (["--flag_of_a_plugin=1"], False),
    ],
)
def test_beam_is_whole_where_more_than_a_local_run_is_asked(
    arguments: list[str], is_plain: bool
) -> None:
    assert beam_imports.is_plain(arguments) == is_plain


@pytest.mark.slow
def test_a_local_run_imports_no_client_of_a_cloud(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg_of((40, 30)))
    words = ["classify", f"--input={tmp_path}/a.jpg", f"--output={tmp_path}/out"]
    done = run(PROGRAM.format(words=[*words, "--model=demo/model"]))
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not LATER, reason="no client of a cloud is installed")
def test_what_is_left_out_can_be_imported_later() -> None:
    lines = ("from pipelines.beam_imports import import_beam", "import_beam(())", "import sys")
    checks = (f"assert {name!r} not in sys.modules\nimport {name}" for name in LATER)
    done = run("\n".join((*lines, *checks, "import pyarrow", "pyarrow.array([1]).to_pandas()")))
    assert done.returncode == 0, done.stderr


def run(program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
