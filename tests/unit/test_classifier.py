"""A loaded model: what it says of itself, and its logits."""

import concurrent.futures
import json
import pathlib
import threading
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from imgcls_beam.classifying import Classifier, ClassifierSpec, load_classifier
from imgcls_beam.classifying.huggingface import HuggingFaceClassifier
from imgcls_beam.elements import Pixels
from imgcls_beam.models import resolve_model
from imgcls_beam.preparing import load_preparer
from imgcls_beam.scoring import ChannelAffine
from tests.models import FAMILIES, LABELS, make_model
from tests.probes import probe_levels, probe_ready

AFFINE = ChannelAffine((1 / 127.5,) * 3, (-1.0,) * 3)


def load(folder: pathlib.Path, size_px: int = 32, **changes: Any) -> Classifier:
    source = resolve_model(str(folder), None)
    spec = ClassifierSpec(**{"source": source, "affine": AFFINE, "engine": "torch", **changes})
    is_ready = spec.affine is None
    return load_classifier(spec, probe_ready(size_px) if is_ready else probe_levels(size_px))


def draw(count: int, size_px: int = 32) -> list[Pixels]:
    rng = np.random.default_rng(5)
    return list(rng.integers(0, 256, (count, size_px, size_px, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, "softmax"),
        ({"problem_type": "single_label_classification"}, "softmax"),
        ({"problem_type": "multi_label_classification"}, "sigmoid"),
        ({"problem_type": "regression"}, "none"),
        ({"num_labels": 1}, "sigmoid"),
        ({"num_labels": 1, "problem_type": "regression"}, "none"),
    ],
)
def test_the_activation_is_what_the_models_config_asks_for(
    tmp_path: pathlib.Path, config: dict[str, Any], expected: str
) -> None:
    card = load(make_model(tmp_path / "m", **config)).describe()
    assert card.function_to_apply == expected
    assert len(card.labels) == config.get("num_labels", LABELS)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"0": "cat", "1": "dog", "2": "cat"}, ("cat", "dog", "cat")),
        ({"7": "dog", "2": "cat", "0": "owl"}, ("owl", "LABEL_1", "cat")),
        ({"0": "=HYPERLINK(1)", "1": "", "2": "a\nb"}, ("=HYPERLINK(1)", "", "a\nb")),
        ({"0": 7, "1": "x", "2": "y"}, ("7", "x", "y")),
    ],
)
def test_labels_come_as_they_are_and_missing_ones_get_a_name(
    tmp_path: pathlib.Path, names: dict[str, Any], expected: tuple[str, ...]
) -> None:
    folder = make_model(tmp_path / "m", num_labels=3)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "id2label": names}))
    assert load(folder).describe().labels == expected


def test_names_that_the_library_forgets_where_some_are_missing_stay(tmp_path: pathlib.Path) -> None:
    folder = make_model(tmp_path / "m", num_labels=3)
    config = json.loads((folder / "config.json").read_text())
    config |= {"id2label": {"0": "owl", "2": "cat"}, "num_labels": 3}
    (folder / "config.json").write_text(json.dumps(config))
    reference = transformers.AutoConfig.from_pretrained(folder)
    assert reference.id2label == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
    assert load(folder).describe().labels == ("owl", "LABEL_1", "cat")


def test_a_card_says_what_runs_where(vit_folder: pathlib.Path) -> None:
    model = transformers.AutoModelForImageClassification.from_pretrained(vit_folder)
    size_bytes = 4 * sum(each.numel() for each in model.parameters())
    for dtype, divisor in (("auto", 1), ("float32", 1), ("bfloat16!", 2)):
        card = load(vit_folder, dtype=dtype, device="cpu").describe()
        expected = "float32" if dtype == "auto" else dtype.removesuffix("!")
        assert (card.device, card.dtype) == ("cpu", expected)
        assert card.size_bytes == size_bytes // divisor


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_the_reference_model(
    family: str, model_folders: dict[str, pathlib.Path]
) -> None:
    folder = model_folders[family]
    affine = load_preparer(resolve_model(str(folder), None)).affine
    assert affine is not None
    model = transformers.AutoModelForImageClassification.from_pretrained(folder).eval()
    size_px = 64 if family in ("convnext", "resnet") else 32
    batch = draw(3, size_px)
    scale, shift = (np.asarray(each, np.float32) for each in (affine.scale, affine.shift))
    values = np.stack(batch).astype(np.float32) * scale + shift
    ready = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
    with torch.inference_mode():
        expected = model(pixel_values=torch.from_numpy(ready)).logits.numpy()
    assert np.ptp(expected) > 0.1
    for found in (
        load(folder, size_px, affine=affine).classify([{"pixel_values": each} for each in batch]),
        load(folder, size_px, affine=None).classify([{"pixel_values": each} for each in ready]),
    ):
        assert found.logits.dtype == np.float32
        np.testing.assert_allclose(found.logits, expected, atol=1e-5)


def test_a_model_of_half_precision_answers_in_float32(vit_folder: pathlib.Path) -> None:
    batch = [{"pixel_values": each} for each in draw(4)]
    exact = load(vit_folder).classify(batch).logits
    rough = load(vit_folder, dtype="bfloat16!").classify(batch).logits
    assert rough.dtype == np.float32
    assert not np.array_equal(rough, exact)
    np.testing.assert_allclose(rough, exact, atol=0.1 * float(np.abs(exact).max()))


def test_a_process_holds_one_of_a_model_and_as_many_copies_as_are_asked_for(
    vit_folder: pathlib.Path,
) -> None:
    source = resolve_model(str(vit_folder), None)
    spec = ClassifierSpec(source, AFFINE)
    one, other = load_classifier(spec, probe_levels()), load_classifier(spec, probe_levels())
    copies = [load_classifier(spec, probe_levels(), is_copy=True) for _ in range(2)]
    assert one is other
    assert len({id(each) for each in (one, *copies)}) == 3
    batch = [{"pixel_values": each} for each in draw(3)]
    for copy in copies:
        assert np.array_equal(copy.classify(batch).logits, one.classify(batch).logits)
    assert load_classifier(spec, probe_levels()) is one


class WatchedTurn:
    """Lets one pass in, and says when so many threads stand before it."""

    def __init__(self, threads: int) -> None:
        self._lock = threading.Lock()
        self.everybody_waits = threading.Barrier(threads + 1)

    def __enter__(self) -> None:
        self.everybody_waits.wait(timeout=60)
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_a_pass_takes_the_time_inside_the_model_and_not_the_wait_for_it(
    vit_folder: pathlib.Path,
) -> None:
    """Eight threads, one model whose pass takes 200 ms of a clock that nothing else moves."""
    passes: list[int] = []
    spec = ClassifierSpec(resolve_model(str(vit_folder), None), AFFINE, "cpu", engine="torch")
    classifier = HuggingFaceClassifier(spec, probe_levels(), lambda: 0.2 * len(passes))
    classifier._runner.model.register_forward_pre_hook(lambda *_: passes.append(1))
    classifier._passes = turn = WatchedTurn(8)  # type: ignore[assignment]
    batch = [{"pixel_values": each} for each in draw(2)]
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(classifier.classify, batch) for _ in range(8)]
        turn.everybody_waits.wait(timeout=60)
        found = [each.result() for each in asked]
    assert [each.elapsed_ms for each in found] == pytest.approx([200.0] * 8)
    assert len(passes) == 8
