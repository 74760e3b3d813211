"""docs/engines.md: its commands run where Prism is, and are parsed where they need a cluster."""

import importlib.util
import os
import pathlib
import re
import shlex

import duckdb
import pytest

from pipelines import beam_flags, doctor_flags, flags, runners
from pipelines.__main__ import main
from tests.runners import PRISM

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"<!-- test: ([\w ]+) -->\n```bash\n(.*?)```", PAGE, re.DOTALL))
NEEDS_PRISM = pytest.mark.skipif(PRISM is None, reason="no Prism: `make servers` builds it")


def find_commands(what: str) -> list[list[str]]:
    lines = BLOCKS[what].replace("\\\n", " ").splitlines()
    return [shlex.split(line.removesuffix("&")) for line in lines]


@pytest.fixture
def beside_prism(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A folder in which `demo/` lies as it does in the checkout, and Prism in the PATH."""
    assert PRISM is not None
    (tmp_path / "demo").symlink_to(ROOT / "demo")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.path.dirname(PRISM), prepend=os.pathsep)
    return tmp_path


@pytest.mark.slow
@NEEDS_PRISM
def test_the_job_runs_on_prism(beside_prism: pathlib.Path) -> None:
    ((program, *arguments),) = find_commands("prism")
    assert program == "imgcls"
    assert main(arguments) == 3  # some of the demo's pictures are broken, which README shows
    rows = duckdb.sql("select status from 'out/prism/predictions/**/*.parquet'").fetchall()
    assert len(rows) == len(list((ROOT / "demo" / "images").iterdir()))


@NEEDS_PRISM
def test_the_doctor_finds_prism(beside_prism: pathlib.Path) -> None:
    ((_, program, *arguments),) = find_commands("doctor on prism")
    assert program == "doctor"
    (found, _) = runners_of(arguments)
    assert found == f"Prism is {PRISM}"


def runners_of(arguments: list[str]) -> list[str]:
    from pipelines.engine_checks import check_engine

    return list(check_engine(doctor_flags.parse_flags(arguments).beam))


@pytest.mark.parametrize("what", ["worker pool", "flink"])
def test_a_job_on_a_cluster_has_flags_that_exist(what: str) -> None:
    _, _, *arguments = find_commands(what)[-1]
    _, rest = flags.parse_flags(arguments)
    parsed = beam_flags.parse_beam(rest)
    assert runners.find_runner(parsed.runner) == "PortableRunner"
    assert parsed.environment_type == "EXTERNAL"
    assert len(beam_flags.list_given(parsed)) == len(rest)


def test_what_is_started_beside_a_job_is_beams() -> None:
    for command in find_commands("worker pool")[:2]:
        module = command[command.index("-m") + 1]
        assert importlib.util.find_spec(module) is not None


def test_the_release_of_prism_is_that_of_beam() -> None:
    constraints = (ROOT / "constraints.txt").read_text()
    (version,) = re.findall(r"^apache-beam==(\S+)", constraints, re.MULTILINE)
    assert set(re.findall(r"prism@v(\S+)", PAGE)) == {version}
