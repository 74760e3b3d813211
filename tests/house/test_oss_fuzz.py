"""What OSS-Fuzz builds: every target of the fuzzer, with its corpus, by a script that runs."""

import os
import pathlib
import subprocess
import sys
import zipfile

import pytest
import yaml

from fuzz.targets import TARGETS

ROOT = pathlib.Path(__file__).parents[2]
PLACE = ROOT / "fuzz" / "oss_fuzz"
LEFT_OUT = {"configs"}
RECORDED = '#!/bin/sh\necho "$(basename "$0") $*" >> "$RECORD"\n'


@pytest.fixture
def built(tmp_path: pathlib.Path) -> pathlib.Path:
    """What the script makes, and `record`: the commands of OSS-Fuzz's image that it called."""
    tools, out = tmp_path / "tools", tmp_path / "out"
    tools.mkdir()
    out.mkdir()
    for name in ("pip3", "compile_python_fuzzer"):
        (tools / name).write_text(RECORDED)
        (tools / name).chmod(0o755)
    (tools / "python3").symlink_to(sys.executable)
    settings = {"PATH": f"{tools}:{os.environ['PATH']}", "OUT": str(out), "SRC": str(tmp_path)}
    record = {"RECORD": str(out / "record")}
    subprocess.run([PLACE / "build.sh"], cwd=ROOT, env={**settings, **record}, check=True)
    return out


def test_each_target_is_built_with_its_corpus_and_options(built: pathlib.Path) -> None:
    calls = (built / "record").read_text().splitlines()
    compiled = [call.split()[1] for call in calls if call.startswith("compile_python_fuzzer")]
    targets = set(TARGETS) - LEFT_OUT
    assert sorted(compiled) == [f"fuzz/fuzz_{each}.py" for each in sorted(targets)]
    for each in targets:
        assert (ROOT / f"fuzz/fuzz_{each}.py").is_file()
        seeds = {path.name for path in (ROOT / "fuzz/corpus" / each).iterdir()}
        with zipfile.ZipFile(built / f"fuzz_{each}_seed_corpus.zip") as archive:
            assert set(archive.namelist()) == seeds
        assert "max_len = 8192" in (built / f"fuzz_{each}.options").read_text()


def test_what_is_installed_is_pinned(built: pathlib.Path) -> None:
    calls = (built / "record").read_text().splitlines()
    first, second = [call for call in calls if call.startswith("pip3")]
    names = first.removeprefix("pip3 install -c constraints.txt ").split()
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().split()}
    assert names and set(names) <= pinned
    assert second == "pip3 install --no-deps ."


def test_the_targets_need_nothing_that_is_left_out() -> None:
    """Each is run on its corpus in a process that cannot import what the bundle lacks."""
    script = (PLACE / "build.sh").read_text()
    left_out = script.partition("without=(")[2].partition(")")[0].split()
    program = [sys.executable, "-W", "ignore", "-c", _RUN, ",".join(left_out), *LEFT_OUT]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [each for each in TARGETS if each not in LEFT_OUT]


def test_the_project_is_described_as_oss_fuzz_wants_it() -> None:
    project = yaml.safe_load((PLACE / "project.yaml").read_text())
    assert project["language"] == "python"
    assert project["fuzzing_engines"] == ["libfuzzer"]
    assert set(project["sanitizers"]) <= {"address", "undefined"}
    dockerfile = (PLACE / "Dockerfile").read_text()
    assert "\nFROM gcr.io/oss-fuzz-base/base-builder-python\n" in dockerfile


_RUN = """
import pathlib, sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None
from fuzz.targets import TARGETS
for name, target in TARGETS.items():
    if name not in sys.argv[2:]:
        for path in pathlib.Path("fuzz/corpus", name).iterdir():
            target(path.read_bytes())
        print(name)
"""
