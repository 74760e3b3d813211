"""OpenVINO is tried beside a run, and whatever becomes of that, the run goes on."""

import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from imgcls_beam.classifying import ClassifierSpec, known, trial, trial_child
from imgcls_beam.classifying.known import KIND, make_key
from imgcls_beam.classifying.protocol import _load
from imgcls_beam.classifying.trial import Trial
from imgcls_beam.classifying.trial_child import read_asked, start_child, write_asked
from imgcls_beam.elements import ModelInputs
from imgcls_beam.models import resolve_model
from imgcls_beam.models.keeping import find_kept, keep
from imgcls_beam.scoring import ChannelAffine, EngineChoice
from imgcls_beam.sinks.record_parts import RecordedEngine, merge_engines
from tests.probes import probe_levels

ROOT = pathlib.Path(__file__).parents[2]
AFFINE = ChannelAffine((1 / 127.5,) * 3, (-1.0,) * 3)
PROBES = {"pixel_values": np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)}
FAST_ENOUGH = {"choice": {"name": "torch", "why": "it is faster"}}
WORTH_MS = trial._WORTH_S * 1e3


@pytest.fixture(autouse=True)
def own_cache(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(known, "may_have_cuda", lambda: False)
    monkeypatch.setattr(trial_child, "_NICENESS", 0)  # other tests may keep all cores busy
    return tmp_path / "cache"


class FakeChild:
    """A process that ends when it is told to."""

    def __init__(self) -> None:
        self.has_ended = False

    def is_over(self) -> bool:
        return self.has_ended

    def wait(self) -> None:
        self.has_ended = True


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[FakeChild]:
    """The processes that are started: none is a real one."""
    found: list[FakeChild] = []

    def start(*_: object) -> FakeChild:
        found.append(FakeChild())
        return found[-1]

    monkeypatch.setattr(trial, "start_child", start)
    return found


def make_spec(folder: pathlib.Path) -> ClassifierSpec:
    return ClassifierSpec(resolve_model(str(folder), None), AFFINE, "cpu")


@pytest.fixture
def make_trial(vit_folder: pathlib.Path) -> Callable[[], Trial]:
    spec = make_spec(vit_folder)
    return lambda: Trial(spec, make_key(spec), PROBES, 1000)


def load(folder: pathlib.Path) -> Any:
    return _load(make_spec(folder), probe_levels())


def draw(count: int, seed: int = 5) -> list[ModelInputs]:
    levels = np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return [{"pixel_values": each} for each in levels]


def test_a_run_of_a_few_images_tries_nothing(
    make_trial: Callable[[], Trial], started: list[FakeChild], own_cache: pathlib.Path
) -> None:
    tried = make_trial()
    for _ in range(9):
        assert tried.follow(WORTH_MS / 10) is None
    assert started == []
    assert not own_cache.exists()
    tried.follow(WORTH_MS / 10 + 1)
    assert len(started) == 1


def test_what_was_found_is_taken_over_once_and_the_lock_is_free_again(
    make_trial: Callable[[], Trial],
    started: list[FakeChild],
    vit_folder: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trial, "load_kept_runner", lambda kept, share: kept.facts["choice"]["why"])
    tried, other = make_trial(), make_trial()
    assert tried.follow(WORTH_MS) is None
    assert other.follow(WORTH_MS) is None
    assert len(started) == 1, "one is tried at a time on a machine"
    assert keep(KIND, make_key(make_spec(vit_folder)), FAST_ENOUGH) is not None
    assert tried.follow(1) is None, "the other process has not ended"
    started[0].has_ended = True
    assert tried.follow(1) == "it is faster"
    assert tried.follow(WORTH_MS) is None
    assert other.follow(1) is None, "it looks now and then"
    assert other.follow(trial._LOOKS_S * 1e3) == "it is faster"
    assert len(started) == 1


def test_where_torch_is_faster_torch_goes_on(
    make_trial: Callable[[], Trial], started: list[FakeChild], vit_folder: pathlib.Path
) -> None:
    tried = make_trial()
    tried.follow(WORTH_MS)
    keep(KIND, make_key(make_spec(vit_folder)), FAST_ENOUGH)
    started[0].has_ended = True
    assert tried.follow(1) == EngineChoice("torch", "it is faster")
    assert tried.follow(WORTH_MS) is None
    assert load(vit_folder).describe().engine.why == "it is faster"


def test_what_a_trial_found_of_torch_is_the_reason_from_then_on(
    started: list[FakeChild], vit_folder: pathlib.Path
) -> None:
    """The scores stay those of the same runner."""
    classifier, batch = load(vit_folder), draw(2)
    first = classifier.classify(batch)
    assert first.engine.why != "it is faster"
    keep(KIND, make_key(make_spec(vit_folder)), FAST_ENOUGH)
    classifier.settle()
    later = classifier.classify(batch)
    assert later.engine == classifier.describe().engine == EngineChoice("torch", "it is faster")
    assert np.array_equal(later.logits, first.logits)
    assert merge_engines(
        RecordedEngine("m", each.engine.name, each.engine.why) for each in (first, later)
    ) == (RecordedEngine("m", "torch", "it is faster"),)


def test_a_graph_that_cannot_be_compiled_leaves_the_run_as_it_is(
    make_trial: Callable[[], Trial],
    started: list[FakeChild],
    vit_folder: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no such operation")

    monkeypatch.setattr(trial, "load_kept_runner", fail)
    tried = make_trial()
    tried.follow(WORTH_MS)
    keep(KIND, make_key(make_spec(vit_folder)), FAST_ENOUGH)
    started[0].has_ended = True
    assert tried.follow(1) is None
    assert tried.follow(WORTH_MS) is None


@pytest.mark.parametrize("free_bytes", [0, 1 << 30, None])
def test_it_is_left_be_where_memory_is_short(
    make_trial: Callable[[], Trial],
    started: list[FakeChild],
    monkeypatch: pytest.MonkeyPatch,
    free_bytes: int | None,
) -> None:
    monkeypatch.setattr(trial, "count_free_bytes", lambda: free_bytes)
    tried = make_trial()
    tried.follow(WORTH_MS)
    tried.follow(WORTH_MS)
    assert len(started) == (free_bytes is None)


def test_it_is_left_be_where_nothing_can_be_kept(
    make_trial: Callable[[], Trial], started: list[FakeChild], own_cache: pathlib.Path
) -> None:
    own_cache.write_text("a file where the folder would be")
    tried = make_trial()
    assert tried.follow(WORTH_MS) is None
    own_cache.unlink()
    assert tried.follow(WORTH_MS) is None
    assert started == []


def test_what_a_killed_process_left_is_cleared(
    make_trial: Callable[[], Trial],
    started: list[FakeChild],
    vit_folder: pathlib.Path,
    own_cache: pathlib.Path,
) -> None:
    kept = keep(KIND, make_key(make_spec(vit_folder)), FAST_ENOUGH)
    assert kept is not None
    left, other = (own_cache / f"{name}.part-x" for name in (kept.folder.name, "engine-1"))
    for folder in (left, other):
        (folder / "kept").mkdir(parents=True)
    (kept.folder / "facts.json").unlink()
    make_trial().follow(WORTH_MS)
    assert len(started) == 1
    assert (left.exists(), other.exists()) == (False, True)


@pytest.mark.parametrize("program", ["no.such.module", "this"])
def test_a_process_that_fails_or_finds_nothing_says_nothing_and_torch_goes_on(
    program: str,
    vit_folder: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(trial_child, "_PROGRAM", program)
    classifier, batch = load(vit_folder), draw(2)
    before = classifier.classify(batch)
    capfd.readouterr()
    classifier.settle()
    after = classifier.classify(batch)
    assert capfd.readouterr() == ("", "")
    assert after.engine == before.engine
    assert np.array_equal(after.logits, before.logits)
    assert find_kept(KIND, make_key(make_spec(vit_folder))) is None


def test_what_is_handed_over_comes_back_as_it_was_with_one_thread(vit_folder: pathlib.Path) -> None:
    spec = make_spec(vit_folder)
    path = write_asked(spec, {"cores": 7}, PROBES)
    found, key, probes = read_asked(path)
    path.unlink()
    assert found.threads == 1
    assert (found.source, found.affine, found.dtype) == (spec.source, AFFINE, "auto")
    assert key == {"cores": 7}
    assert probes.keys() == PROBES.keys()
    assert np.array_equal(probes["pixel_values"], PROBES["pixel_values"])


def test_the_process_sees_where_things_are_and_no_secret(
    vit_folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def start(command: list[str], env: Mapping[str, str], **_: Any) -> None:
        given.update(env)
        raise FileNotFoundError(2, "no such file")

    for name in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.setenv(name, "hf_secret")
    monkeypatch.setattr(subprocess, "Popen", start)
    tried = Trial(make_spec(vit_folder), {}, PROBES, 1000)
    assert tried.follow(WORTH_MS) is None
    assert given["IMGCLS_CACHE"] == os.environ["IMGCLS_CACHE"]
    assert set(filter(None, sys.path)) <= set(given["PYTHONPATH"].split(os.pathsep))
    assert "hf_secret" not in "".join(given.values())


def exists(pid: int) -> bool:
    """Whether a process runs, or waits to be asked for its end."""
    try:
        status = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


_PATIENCE = 600
"""Tenths of a second."""


def wait_for_end(pid: int) -> bool:
    for _ in range(_PATIENCE):
        if not exists(pid):
            return True
        time.sleep(0.1)
    return False


needs_proc = pytest.mark.skipif(not pathlib.Path("/proc/self/stat").exists(), reason="no /proc")


@needs_proc
def test_who_lets_go_of_it_ends_the_process_and_leaves_no_file(
    vit_folder: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(trial_child, "_PROGRAM", "tests.endless_trial")
    child = start_child(make_spec(vit_folder), {}, PROBES)
    pid = child.pid
    assert exists(pid)
    del child
    assert not exists(pid)
    assert list(tmp_path.glob("*.npz")) == []


_STARTER = """
import pathlib, sys, time
import numpy as np
from imgcls_beam.classifying import ClassifierSpec, trial_child
from imgcls_beam.models import resolve_model
spec = ClassifierSpec(resolve_model(sys.argv[1], None), None, "cpu")
trial_child._NICENESS, trial_child._PROGRAM = 0, "tests.endless_trial"
child = trial_child.start_child(spec, {}, {"pixel_values": np.zeros((1, 3, 32, 32), np.float32)})
print(child.pid, flush=True)
if sys.argv[2] == "waits":
    time.sleep(600)
"""


@needs_proc
@pytest.mark.parametrize("how", ["waits", "ends"])
def test_no_process_outlives_who_started_it(vit_folder: pathlib.Path, how: str) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", _STARTER, str(vit_folder), how],
        **{"cwd": ROOT, "stdout": subprocess.PIPE, "text": True},
    )
    with starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        if how == "waits":
            assert exists(pid)
            starter.send_signal(signal.SIGKILL)
        starter.wait()
        assert wait_for_end(pid)
