"""Which engine runs a model, and that each says the same."""

import collections
import concurrent.futures
import pathlib
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

from imgcls_beam.classifying import (
    ClassifierSpec,
    converting,
    deciding,
    huggingface,
    known,
    openvino_running,
)
from imgcls_beam.classifying.core_share import CoreShare
from imgcls_beam.classifying.cpu import has_bfloat16
from imgcls_beam.classifying.huggingface import HuggingFaceClassifier, load_plain
from imgcls_beam.classifying.known import make_key
from imgcls_beam.classifying.openvino_running import OpenVinoRunner
from imgcls_beam.classifying.protocol import _load
from imgcls_beam.classifying.running import RunningClassifier
from imgcls_beam.elements import ModelInputs
from imgcls_beam.errors import ModelError
from imgcls_beam.models import resolve_model
from imgcls_beam.scoring import ChannelAffine, EngineChoice
from tests.models import FAMILIES
from tests.probes import probe_levels

ROOT = pathlib.Path(__file__).parents[2]
AFFINE = ChannelAffine((1 / 127.5,) * 3, (-1.0,) * 3)
NOWHERE = ("imgcls_beam.classifying.known", "imgcls_beam.classifying.engines")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(known, "may_have_cuda", lambda: False)


def make_spec(folder: pathlib.Path, engine: str = "auto", **more: Any) -> ClassifierSpec:
    given = {"device": "cpu", "engine": engine, **more}
    return ClassifierSpec(resolve_model(str(folder), None), AFFINE, **given)


def load(folder: pathlib.Path, engine: str = "auto", size_px: int = 32, **more: Any) -> Any:
    return _load(make_spec(folder, engine, **more), probe_levels(size_px))


def decide(folder: pathlib.Path) -> EngineChoice:
    """What the process beside a run does."""
    key = make_key(make_spec(folder))
    return deciding.decide(load_plain(make_spec(folder, threads=1), probe_levels()), key)


def draw(count: int, size_px: int = 32) -> list[ModelInputs]:
    rng = np.random.default_rng(5)
    levels = rng.integers(0, 256, (count, size_px, size_px, 3), dtype=np.uint8)
    return [{"pixel_values": each} for each in levels]


def set_rates(monkeypatch: pytest.MonkeyPatch, openvino: float, torch: float) -> None:
    """Images/s that are measured."""

    def measure(run: Any) -> float:
        run()
        return openvino if isinstance(run.func.__self__, OpenVinoRunner) else torch

    monkeypatch.setattr(deciding, "_measure", measure)


@pytest.mark.parametrize("family", FAMILIES)
def test_openvino_gives_the_logits_of_torch_for_batches_of_any_size(
    family: str, model_folders: dict[str, pathlib.Path]
) -> None:
    size_px = 64 if family in ("convnext", "resnet") else 32
    folder = model_folders[family]
    ours = load(folder, "openvino", size_px)
    theirs = load(folder, "torch", size_px)
    assert ours.describe().engine.name == "openvino"
    for count in (1, 2, 7):
        batch = draw(count, size_px)
        found, expected = ours.classify(batch).logits, theirs.classify(batch).logits
        assert found.dtype == np.float32
        assert np.ptp(expected) > 0.1
        np.testing.assert_allclose(found, expected, atol=1e-5 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("threads", [1, 3])
def test_images_of_a_batch_go_to_the_streams_in_their_order(
    threads: int, vit_folder: pathlib.Path
) -> None:
    classifier = load(vit_folder, "openvino", threads=threads)
    plain = load(vit_folder, "torch")
    for count in (1, 2, 3, 4, 8):
        batch = draw(count)
        found, expected = (each.classify(batch).logits for each in (classifier, plain))
        np.testing.assert_allclose(found, expected, atol=1e-5 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_images_logits_are_the_same_in_any_batch(dtype: str, vit_folder: pathlib.Path) -> None:
    if dtype == "bfloat16" and not has_bfloat16():
        pytest.skip("this processor has no bfloat16")
    classifier, batch = load(vit_folder, "openvino", dtype=dtype), draw(9)
    whole = classifier.classify(batch).logits
    parts = [classifier.classify(each).logits for each in (batch[:1], batch[1:6], batch[6:])]
    assert np.array_equal(np.concatenate(parts), whole)
    backwards = classifier.classify(batch[::-1]).logits
    assert np.array_equal(backwards[::-1], whole)


def test_a_pass_that_fails_leaves_nothing_under_way(
    vit_folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner, batch = load(vit_folder, "openvino")._runner, draw(9)
    stacked = runner.stack(batch)
    expected = runner.run(stacked)

    def fail(request: Any) -> None:
        raise RuntimeError("no more memory")

    with monkeypatch.context() as patched:
        patched.setattr(openvino_running, "_finish", fail)
        with pytest.raises(RuntimeError, match="no more memory"):
            runner.run(stacked)
    assert np.array_equal(runner.run(stacked), expected)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_batches_at_once_have_the_logits_that_they_have_alone(
    engine: str, vit_folder: pathlib.Path
) -> None:
    classifier = load(vit_folder, engine, threads=2)
    batches = [draw(9)[i:] for i in range(8)]
    alone = [classifier.classify(each).logits for each in batches]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            together = pool.map(lambda each: classifier.classify(each).logits, batches)
            for found, expected in zip(together, alone, strict=True):
                assert np.array_equal(found, expected)


def test_streams_that_a_batch_leaves_idle_at_its_end_take_the_next_batch(
    vit_folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner, batch = load(vit_folder, "openvino", threads=2)._runner, draw(4)
    stacked, finish = runner.stack(batch), openvino_running._finish
    may, ended = threading.Event(), []

    def hold(request: Any) -> Any:
        logits = finish(request)
        ended.append(threading.current_thread().name)
        assert ended[-1] != "first" or ended.count("first") < len(batch) or may.wait(30)
        return logits

    monkeypatch.setattr(openvino_running, "_finish", hold)
    first = threading.Thread(target=runner.run, args=[stacked], name="first")
    first.start()
    while ended.count("first") < len(batch):  # its last image has its request still
        assert first.is_alive()
    second = threading.Thread(target=runner.run, args=[stacked], name="second")
    second.start()
    second.join(30)
    assert (first.is_alive(), second.is_alive()) == (True, False)
    may.set()
    first.join(30)
    assert ended.count("second") == len(batch)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_a_pass_uses_the_cores_that_the_process_has_now(
    engine: str, vit_folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def count(share: CoreShare) -> int:
        asked.append(share.cores)
        return 1 + len(asked) % 3

    monkeypatch.setattr("imgcls_beam.classifying.core_share.count_model_cores", lambda: 3)
    classifier, batch = load(vit_folder, engine), draw(5)
    monkeypatch.setattr(CoreShare, "count", count)
    found = [classifier.classify(batch).logits for _ in range(3)]
    assert asked == [3, 3, 3]
    for each in found[1:]:
        np.testing.assert_allclose(each, found[0], atol=1e-5 * max(1.0, np.abs(found[0]).max()))


@pytest.mark.parametrize(("cores", "under_way"), [(1, 1), (2, 2), (3, 4)])
def test_openvino_has_as_many_images_under_way_as_the_process_has_cores(
    cores: int, under_way: int, vit_folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more where it has all of them: that one waits inside the library."""
    monkeypatch.setattr("imgcls_beam.classifying.core_share.count_model_cores", lambda: 3)
    runner = load(vit_folder, "openvino")._runner
    monkeypatch.setattr(CoreShare, "count", lambda share: cores)
    running: collections.deque[Any] = collections.deque()
    found = runner._run_each(runner.stack(draw(8)), running)
    next(found)
    assert len(running) == under_way
    assert len(list(found)) == 7


def test_a_known_model_is_loaded_without_the_library_and_is_the_same(
    vit_folder: pathlib.Path,
) -> None:
    first, batch = load(vit_folder, "openvino"), draw(3)
    again = load(vit_folder, "openvino")
    assert type(first) is HuggingFaceClassifier
    assert type(again) is RunningClassifier
    assert again.describe() == first.describe()
    assert np.array_equal(again.classify(batch).logits, first.classify(batch).logits)


@pytest.mark.slow
def test_a_known_model_needs_neither_torch_nor_transformers(vit_folder: pathlib.Path) -> None:
    program = (
        "import sys, numpy as np\n"
        "from imgcls_beam.classifying import ClassifierSpec, known, load_classifier\n"
        "from imgcls_beam.models import resolve_model\n"
        "from imgcls_beam.preparing import draw_probes, load_preparer\n"
        "source = resolve_model(sys.argv[1], None)\n"
        "preparer = load_preparer(source)\n"
        "spec = ClassifierSpec(source, preparer.affine, 'cpu', 'auto', 'openvino')\n"
        "model = load_classifier(spec, lambda size_px: draw_probes(preparer, size_px))\n"
        "logits = model.classify(draw_probes(preparer, (32, 32))).logits\n"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)), logits.tolist())\n"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", program, str(vit_folder)],
            **{"capture_output": True, "check": True, "text": True, "cwd": ROOT},
        ).stdout.partition("] ")
        for _ in range(2)
    ]
    assert [each[0] for each in said] == ["['torch', 'transformers'", "["]
    assert said[0][2] == said[1][2]


def test_a_damaged_graph_is_made_anew(vit_folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    load(vit_folder, "openvino")
    (weights,) = (tmp_path / "cache").glob("*/model.bin")
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    again = load(vit_folder, "openvino")
    assert type(again) is HuggingFaceClassifier
    assert again.describe().engine.name == "openvino"
    assert type(load(vit_folder, "openvino")) is RunningClassifier


def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(
    vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "cache").write_text("a file where the folder would be")
    batch = draw(3)
    found = load(vit_folder, "openvino")
    assert found.describe().engine.name == "openvino"
    expected = load(vit_folder, "torch").classify(batch).logits
    np.testing.assert_allclose(found.classify(batch).logits, expected, atol=1e-5)


@pytest.mark.parametrize("is_known", [False, True])
def test_images_of_another_shape_go_to_torch_and_the_pass_says_so(
    is_known: bool, model_folders: dict[str, pathlib.Path]
) -> None:
    folder = model_folders["resnet"]
    classifier = load(folder, "openvino", 64)
    if is_known:
        classifier = load(folder, "openvino", 64)
    batch = draw(2, 96)
    found = classifier.classify(batch)
    assert found.engine.name == "torch"
    assert "another shape" in found.engine.why
    assert classifier.classify(draw(2, 64)).engine.name == "openvino"
    expected = load(folder, "torch", 64).classify(batch).logits
    np.testing.assert_allclose(found.logits, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        *(((20.0, 10.0), "openvino"), ((10.0, 20.0), "torch")),
        *(((20.0, 20.9), "openvino"), ((20.0, 21.1), "torch")),  # a lead that pays for its start
    ],
)
def test_the_faster_engine_is_taken_and_remembered(
    rates: tuple[float, float],
    expected: str,
    vit_folder: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_rates(monkeypatch, *rates)
    choice = decide(vit_folder)
    assert choice.name == expected
    assert all(f"{rate:.1f}" in choice.why for rate in rates)
    monkeypatch.setattr(converting, "convert", None)  # would raise
    assert load(vit_folder).describe().engine == choice


def test_a_model_that_is_new_here_is_run_by_torch_without_converting_it(
    vit_folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converting, "convert", None)  # would raise
    classifier = load(vit_folder)
    assert classifier.describe().engine.name == "torch"
    assert "not used here before" in classifier.describe().engine.why
    assert classifier.classify(draw(2)).engine == classifier.describe().engine


def test_an_engine_is_timed_by_the_time_of_the_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used_s = iter([0.0, 2.0, 2.0, 3.0])
    monkeypatch.setattr("time.process_time", lambda: next(used_s))
    monkeypatch.setattr("time.perf_counter", None)  # others have the processor meanwhile
    monkeypatch.setattr(deciding, "_TIMED_S", 2.5)
    assert deciding._measure(lambda: None, 8) == 8.0


def test_a_graph_that_is_off_by_a_thousandth_is_refused(
    vit_folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = OpenVinoRunner.run
    monkeypatch.setattr(OpenVinoRunner, "run", lambda runner, given: run(runner, given) * 1.001)
    choice = decide(vit_folder)
    assert choice.name == "torch"
    assert load(vit_folder).describe().engine == choice
    assert "further from the truth" in choice.why
    with pytest.raises(ModelError, match="further from the truth than torch's; give --engine"):
        load(vit_folder, "openvino")


def test_a_model_that_cannot_be_converted_is_left_to_torch_with_the_reason(
    vit_folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no such operation")

    monkeypatch.setattr(converting, "convert", fail)
    choice = decide(vit_folder)
    assert choice.name == "torch"
    assert choice.why == "OpenVINO cannot run it (no such operation)"
    with pytest.raises(ModelError, match=r"cannot run it \(no such operation\); give --engine"):
        load(vit_folder, "openvino")


def test_without_openvino_torch_runs_and_asking_for_it_says_what_to_install(
    vit_folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in NOWHERE:
        monkeypatch.setattr(f"{module}.has_openvino", lambda: False)
    choice = load(vit_folder).describe().engine
    assert (choice.name, choice.why) == ("torch", "OpenVINO is not installed")
    with pytest.raises(ModelError, match="pip install openvino, or give --engine=torch"):
        load(vit_folder, "openvino")


def test_bfloat16_is_refused_where_it_is_emulated_unless_insisted_on(
    vit_folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface, "has_bfloat16", lambda: False)
    with pytest.raises(ModelError, match="only emulates bfloat16") as caught:
        load(vit_folder, "torch", dtype="bfloat16")
    assert "--dtype=bfloat16!" in str(caught.value)
    assert load(vit_folder, "torch", dtype="bfloat16!").describe().dtype == "bfloat16"
    monkeypatch.setattr(huggingface, "has_bfloat16", lambda: True)
    assert load(vit_folder, "torch", dtype="bfloat16").describe().dtype == "bfloat16"


def test_float32_stays_float32_in_openvino_and_bfloat16_is_rougher(
    vit_folder: pathlib.Path,
) -> None:
    batch = draw(4)
    exact = load(vit_folder, "openvino").classify(batch).logits
    if not has_bfloat16():
        pytest.skip("OpenVINO runs float32 where the processor has no bfloat16")
    rough = load(vit_folder, "openvino", dtype="bfloat16")
    assert (rough.describe().engine.name, rough.describe().dtype) == ("openvino", "bfloat16")
    found = rough.classify(batch).logits
    assert not np.allclose(found, exact, atol=1e-4)
    np.testing.assert_allclose(found, exact, atol=0.1 * float(np.abs(exact).max()))


_SIGNALLED = """
import signal, sys
import numpy as np
import openvino
from openvino import opset15 as ops
from imgcls_beam.classifying.core_share import CoreShare
from imgcls_beam.classifying.openvino_running import OpenVinoRunner
from imgcls_beam.scoring import EngineChoice

pixels = ops.parameter([1, 4], np.float32)
graph = openvino.Model([ops.relu(pixels)], [pixels])
choice, share = EngineChoice("openvino", ""), CoreShare(cores=1, is_fixed=True)
runners = [OpenVinoRunner(choice, graph, {"x": (4,)}, "float32", share) for _ in range(2)]
for runner in runners:
    runner.run([np.ones((1, 4), np.float32)])
del runner
while runners:
    runners.pop(0)
signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
signal.raise_signal(signal.SIGUSR1)
"""


@pytest.mark.slow
def test_a_signal_is_survived_after_models_were_let_go_of() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SIGNALLED],
        **{"capture_output": True, "check": False, "text": True, "cwd": ROOT},
    )
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
