"""The release workflow: pinned actions, least permissions, no token, and commands that exist."""

import pathlib
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "release.yml"
TEXT = WORKFLOW.read_text(encoding="utf-8")
JOBS: dict[str, Any] = yaml.safe_load(TEXT)["jobs"]
ZIZMOR = pathlib.Path(sys.executable).parent / "zizmor"


def test_each_action_is_pinned_to_a_commit_and_says_its_version() -> None:
    used = re.findall(r"uses: (.*)", TEXT)
    assert len(used) >= 4
    for each in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each


def test_what_publishes_runs_nothing_of_ours_and_nothing_else_may_publish() -> None:
    assert yaml.safe_load(TEXT)["permissions"] == {}
    assert "secrets." not in TEXT
    assert JOBS["build"]["permissions"] == {"contents": "read"}
    assert JOBS["publish"]["permissions"] == {"id-token": "write"}
    assert [step for step in JOBS["publish"]["steps"] if "run" in step] == []
    assert JOBS["publish"]["needs"] == "build"


def test_its_commands_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = [step["run"] for step in JOBS["build"]["steps"] if "run" in step]
    targets = [command.split()[1] for command in commands if command.startswith("make ")]
    assert {"alone", "audit"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    assert ".ci/run" in commands


@pytest.mark.parametrize(("tag", "code"), [("v0.1.0", 0), ("v0.1", 1), ("v10.1.0", 1)])
def test_a_tag_that_is_not_the_version_is_refused(
    tag: str, code: int, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "imgcls_beam").mkdir()
    (tmp_path / "imgcls_beam" / "__init__.py").write_text('"""Text."""\n__version__ = "0.1.0"\n')
    (check,) = [step["run"] for step in JOBS["build"]["steps"] if "GITHUB_REF_NAME" in str(step)]
    environment = {"GITHUB_REF_NAME": tag, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["bash", "-c", check], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == code


@pytest.mark.skipif(not ZIZMOR.exists(), reason="zizmor is not installed")
def test_a_linter_of_workflows_finds_nothing() -> None:
    command = [str(ZIZMOR), "--offline", "--no-progress", "--persona=pedantic", str(WORKFLOW)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
