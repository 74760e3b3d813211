"""Several models over one reading and decoding of each image."""

import collections
import pathlib
import pickle
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from PIL import Image

from imgcls_beam import ClassifyImages, ClassifyImagesByModel, ConfigError, ModelOptions, prefetch
from imgcls_beam.classifying import huggingface
from imgcls_beam.elements import EncodedImage, Failure, Outcome, Prediction
from imgcls_beam.metrics import NAMESPACE
from imgcls_beam.transforms import Classified
from tests.models import make_model
from tests.runners import DEFAULT, REPEATED, TWO_PROCESSES, make_pipeline
from tests.scenes import write_broken, write_photos

pytestmark = pytest.mark.usefixtures("forked_workers")


@pytest.fixture
def uris(tmp_path: pathlib.Path) -> list[str]:
    """30 good images, 5 bad ones, and one that not every processor can take."""
    write_photos(tmp_path / "photos", 30)
    write_broken(tmp_path / "photos", 5)
    Image.new("RGB", (1, 65_500), (9, 99, 199)).save(tmp_path / "photos" / "thread.jpg")
    return [str(path) for path in sorted((tmp_path / "photos").iterdir())]


def keep(classified: Classified, folder: pathlib.Path, name: str) -> None:
    """Has the pipeline write what it gives, where another process can do it."""
    for part in Classified._fields:
        path = folder / f"{name}-{part}.pickle"
        gathered = getattr(classified, part) | f"{name}-{part}" >> beam.combiners.ToList()
        _ = gathered | f"{name}-{part}-kept" >> beam.Map(_write, path)


def _write(elements: list[Any], path: pathlib.Path) -> None:
    path.write_bytes(pickle.dumps(elements))


def load(folder: pathlib.Path, name: str, part: str = "outcomes") -> dict[str, Outcome]:
    outcomes: list[Outcome] = pickle.loads((folder / f"{name}-{part}.pickle").read_bytes())
    by_uri = {each.ref.uri: each for each in outcomes}
    assert len(by_uri) == len(outcomes)
    return by_uri


def classify_together(
    uris: list[str],
    models: list[ModelOptions],
    folder: pathlib.Path,
    arguments: tuple[str, ...] = DEFAULT,
) -> dict[str, int]:
    """Runs all models at once, kept as `0`, `1`, …; gives the counters."""
    pipeline = beam.Pipeline(options=PipelineOptions(list(arguments)))
    both = pipeline | beam.Create(uris) | ClassifyImagesByModel(models)
    assert isinstance(both, tuple)
    for index, classified in enumerate(both):
        keep(classified, folder, str(index))
    result = pipeline.run()
    result.wait_until_finish()
    counters = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]
    found: collections.Counter[str] = collections.Counter()
    for each in counters:  # there is one for each step that counts under the name
        found[each.key.metric.name] += each.committed
    return found


def classify_alone(uris: list[str], models: list[ModelOptions], folder: pathlib.Path) -> None:
    with make_pipeline() as pipeline:
        listed = pipeline | beam.Create(uris)
        for index, each in enumerate(models):
            classify = ClassifyImages(each.model, top_k=each.top_k, batch_size=each.batch_size)
            keep(listed | f"Alone{index}" >> classify, folder, f"alone{index}")


def assert_equal(one: Outcome, other: Outcome) -> None:
    assert type(one) is type(other)
    assert one.ref == other.ref
    assert one.facts == other.facts
    if isinstance(one, Failure) and isinstance(other, Failure):
        assert (one.stage, one.code, one.message) == (other.stage, other.code, other.message)
    if isinstance(one, Prediction) and isinstance(other, Prediction):
        assert [each.label for each in one.labels] == [each.label for each in other.labels]
        for mine, theirs in zip(one.labels, other.labels, strict=True):
            assert mine.score == pytest.approx(theirs.score, abs=1e-6)
        assert one.applied == other.applied


@pytest.mark.parametrize(
    "arguments",
    [
        *(DEFAULT, REPEATED),
        pytest.param(TWO_PROCESSES, marks=pytest.mark.long),
    ],
)
@pytest.mark.slow
def test_each_model_says_what_it_says_alone(
    arguments: tuple[str, ...],
    uris: list[str],
    model_folders: dict[str, pathlib.Path],
    tmp_path: pathlib.Path,
) -> None:
    models = [
        ModelOptions(str(model_folders["vit"]), top_k=3, batch_size=7),
        ModelOptions(str(model_folders["convnext"]), top_k=None, batch_size=4),
        ModelOptions(str(model_folders["deit"]), top_k=1),
    ]
    classify_together(uris, models, tmp_path, arguments)
    classify_alone(uris, models, tmp_path)
    for index in range(len(models)):
        together, alone = load(tmp_path, str(index)), load(tmp_path, f"alone{index}")
        assert together.keys() == alone.keys() == set(uris)
        for uri in uris:
            assert_equal(together[uri], alone[uri])
        for part, kind in (("predictions", Prediction), ("failures", Failure)):
            expected = {uri for uri, each in together.items() if isinstance(each, kind)}
            assert load(tmp_path, str(index), part).keys() == expected
    convnext, vit = load(tmp_path, "1"), load(tmp_path, "0")
    only_convnext = [
        uri for uri in uris if isinstance(convnext[uri], Failure) > isinstance(vit[uri], Failure)
    ]
    assert [pathlib.Path(uri).name for uri in only_convnext] == ["thread.jpg"]


def test_an_image_is_read_and_decoded_once(
    uris: list[str],
    model_folders: dict[str, pathlib.Path],
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoded: collections.Counter[bytes] = collections.Counter()
    prepare = prefetch.prepare_in_box

    def count(image: EncodedImage, *rest: Any) -> Any:
        decoded[image.data] += 1
        return prepare(image, *rest)

    monkeypatch.setattr(prefetch, "prepare_in_box", count)
    models = [ModelOptions(str(model_folders[name])) for name in ("vit", "convnext")]
    counters = classify_together(uris, models, tmp_path)
    contents = collections.Counter(pathlib.Path(uri).read_bytes() for uri in uris)
    # The empty file ends in the read stage.
    assert decoded == {data: count for data, count in contents.items() if data}
    expected = {"read_ok": 35, "read_error": 1, "prepare_ok": 30 + 31, "prepare_error": 5 + 4}
    assert {name: counters[name] for name in expected} == expected
    assert counters["predict_ok"] == 61


def test_the_same_model_twice_is_loaded_once(
    uris: list[str], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No other test may have left it loaded, or found out that OpenVINO runs it faster.
    folder = make_model(tmp_path / "model", seed=173)
    loads = []
    initialise = huggingface.HuggingFaceClassifier.__init__

    def count(self: Any, spec: Any, *given: Any) -> None:
        loads.append(spec)
        initialise(self, spec, *given)

    monkeypatch.setattr(huggingface.HuggingFaceClassifier, "__init__", count)
    models = [
        ModelOptions(str(folder), function_to_apply="softmax"),
        ModelOptions(str(folder), function_to_apply="sigmoid"),
    ]
    classify_together(uris, models, tmp_path)
    assert len(loads) == 1
    softmax, sigmoid = load(tmp_path, "0", "predictions"), load(tmp_path, "1", "predictions")
    assert len(softmax) == len(sigmoid) == 31
    for uri, each in softmax.items():
        other = sigmoid[uri]
        assert isinstance(each, Prediction)
        assert isinstance(other, Prediction)
        assert other.applied.function_to_apply == "sigmoid"
        assert other.labels[0].label == each.labels[0].label
        assert other.labels[0].score != each.labels[0].score


@pytest.mark.parametrize("models", [(), ("google/vit-base-patch16-224",), (None,)])
def test_models_are_options(models: Any) -> None:
    with pytest.raises(ConfigError, match="at least one ModelOptions"):
        ClassifyImagesByModel(models)
