"""The classifier on CUDA: skipped where torch finds none.

Needs torch, transformers, Pillow, NumPy and pytest, and neither Beam nor a network:
`python -m pytest tests/gpu`.
"""

import concurrent.futures
import functools
import gc
import pathlib
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from imgcls_beam.classifying import Classifier, ClassifierSpec, load_classifier
from imgcls_beam.elements import EncodedImage, ImageRef, ModelInputs, PixelArray, Prediction
from imgcls_beam.model_options import Device, Dtype
from imgcls_beam.models import resolve_model
from imgcls_beam.options import DecodeOptions
from imgcls_beam.predicting import predict_images
from imgcls_beam.preparing import draw_probes, load_preparer, prepare_image
from imgcls_beam.scoring import ModelSource, Scoring
from tests.models import FAMILIES, make_model
from tests.scenes import draw_photo, encode

SCORING = Scoring(ModelSource("wide", "a" * 64, "wide"), 3)

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device"),
    pytest.mark.slow,
]

IMAGES = 24
TOLERANCES: dict[Dtype, float] = {"float32": 1e-5, "float16": 2e-2, "bfloat16": 8e-2}
"""Of logits, times the largest of them: twice what these models lose on a CPU in float16 (8e-3) and
bfloat16 (4e-2). In float32 TF32, whose fraction has 10 bits, would show here."""


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small random model of one family."""
    family: str = request.param
    return str(make_model(tmp_path_factory.mktemp(family) / family, family))


@pytest.fixture
def wide(tmp_path: pathlib.Path) -> str:
    """A model whose forward pass takes memory."""
    return str(make_model(tmp_path / "wide", intermediate_size=4096))


@pytest.fixture
def freed() -> Iterator[None]:
    """Gives back what a test took of the device, and lifts its limit."""
    yield
    gc.collect()
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


def load(folder: str, device: Device = "cuda", dtype: Dtype = "float32") -> Classifier:
    source = resolve_model(folder, None)
    preparer = load_preparer(source)
    spec = ClassifierSpec(source, preparer.affine, device, dtype)
    return load_classifier(spec, functools.partial(draw_probes, preparer))


def prepare(folder: str, images: int = IMAGES) -> list[PixelArray]:
    preparer = load_preparer(resolve_model(folder, None))
    encoded = [
        EncodedImage(ImageRef(f"file:///{i}.jpg"), encode(draw_photo(i))) for i in range(images)
    ]
    prepared = [prepare_image(each, preparer, DecodeOptions()) for each in encoded]
    arrays = [each for each in prepared if isinstance(each, PixelArray)]
    assert len(arrays) == images
    return arrays


def inputs_of(images: list[PixelArray]) -> list[ModelInputs]:
    return [image.inputs for image in images]


@pytest.mark.parametrize("dtype", list(TOLERANCES))
def test_logits_are_those_of_the_cpu_within_what_the_dtype_rounds(
    folder: str, dtype: Dtype
) -> None:
    batch = inputs_of(prepare(folder))
    expected = load(folder, "cpu").classify(batch).logits
    found = load(folder, dtype=dtype).classify(batch).logits
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= TOLERANCES[dtype] * np.abs(expected).max()


def test_a_batch_gives_what_its_images_give_one_by_one(folder: str) -> None:
    batch, classifier = inputs_of(prepare(folder)), load(folder)
    alone = np.concatenate([classifier.classify([each]).logits for each in batch])
    assert np.abs(classifier.classify(batch).logits - alone).max() <= 1e-5 * np.abs(alone).max()


def test_the_model_says_where_it_runs(folder: str) -> None:
    card = load(folder, dtype="bfloat16").describe()
    assert (card.device, card.dtype) == (f"cuda:{torch.cuda.current_device()}", "bfloat16")


def test_many_threads_get_the_answers_of_one(folder: str) -> None:
    images, classifier = inputs_of(prepare(folder)), load(folder)
    batches = [images[i : i + 1 + i % 5] for i in range(IMAGES)] * 8
    expected = [classifier.classify(batch) for batch in batches]
    with concurrent.futures.ThreadPoolExecutor(16) as threads:
        found = list(threads.map(classifier.classify, batches))
    for one, many in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one.logits, many.logits)


@pytest.mark.usefixtures("freed")
def test_a_batch_that_does_not_fit_is_halved_until_it_does(wide: str) -> None:
    images, classifier = prepare(wide) * 40, load(wide)
    some_bytes = measure(classifier, images[:128])
    torch.cuda.empty_cache()
    limit = torch.cuda.memory_reserved() + 2 * some_bytes
    total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
    torch.cuda.set_per_process_memory_fraction(limit / total)
    with pytest.raises(torch.OutOfMemoryError):
        classifier.classify(inputs_of(images))
    outcomes = predict_images(images, classifier, SCORING, lambda: images[0].inputs)
    assert all(isinstance(outcome, Prediction) for outcome in outcomes)
    sizes = {each.execution.batch_size for each in outcomes if isinstance(each, Prediction)}
    assert max(sizes) < len(images)
    torch.cuda.set_per_process_memory_fraction(1.0)
    for outcome, alone in zip(outcomes[:IMAGES], predict_each(images, classifier), strict=True):
        assert isinstance(outcome, Prediction)
        assert [each.label for each in outcome.labels] == [each.label for each in alone.labels]


@pytest.mark.usefixtures("freed")
def test_a_model_that_nobody_holds_gives_its_memory_back(wide: str) -> None:
    gc.collect()
    before = torch.cuda.memory_allocated()
    classifier = load(wide)
    classifier.classify(inputs_of(prepare(wide, 2)))
    assert torch.cuda.memory_allocated() > before
    del classifier
    gc.collect()
    assert torch.cuda.memory_allocated() <= before


def measure(classifier: Classifier, images: list[PixelArray]) -> int:
    """Bytes of the device that a forward pass takes beside the model."""
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    classifier.classify(inputs_of(images))
    return torch.cuda.max_memory_allocated() - before


def predict_each(images: list[PixelArray], classifier: Classifier) -> list[Prediction]:
    outcomes = [
        predict_images([image], classifier, SCORING, lambda: images[0].inputs)[0]
        for image in images[:IMAGES]
    ]
    return [outcome for outcome in outcomes if isinstance(outcome, Prediction)]
