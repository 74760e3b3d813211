"""timm's models, score for score against transformers' pipeline."""

import json
import pathlib
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

from imgcls_beam.errors import ModelError
from imgcls_beam.model_options import ModelOptions
from imgcls_beam.models import resolve_model
from imgcls_beam.outcome_handler import OutcomeHandler
from imgcls_beam.parity import TOLERANCE
from imgcls_beam.preparing import load_preparer, upright_rgb
from pipelines.__main__ import main
from tests.families.comparing import compare_folder, write_images
from tests.families.making import fit_model
from tests.timm_models.making import CASES, make_timm


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return write_images(tmp_path_factory.mktemp("images"))


@pytest.mark.parametrize("architecture", CASES)
def test_scores_equal_the_references_for_every_label_of_every_image(
    architecture: str, images: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    folder = make_timm(tmp_path / architecture, architecture, **CASES[architecture])
    result = compare_folder(folder, images)
    assert result.way == "geometry"
    assert all(each.difference is not None for each in result.comparisons)
    assert result.find_different() == []
    # Equal scores of images that all look alike to the model would show nothing.
    reference = transformers.pipeline("image-classification", model=str(folder), device="cpu")
    best = [reference(str(path), top_k=1)[0] for path in sorted(images.iterdir())[:12]]
    assert len({round(each["score"], 4) for each in best}) >= 8


def test_the_architectures_differ_in_all_that_a_config_can_say() -> None:
    for name, least in (("crop_pct", 6), ("crop_mode", 2), ("interpolation", 5), ("mean", 3)):
        assert len({str(each[name]) for each in CASES.values() if name in each}) >= least
    for name, least in (("input_size", 5), ("test_input_size", 2)):
        assert len({str(each[name]) for each in CASES.values() if name in each}) >= least
    assert len(CASES) >= 12


def test_the_whole_job_runs_and_names_the_labels(
    images: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    folder = make_timm(tmp_path / "model", "resnet10t")
    rows = classify(images, folder, tmp_path / "out")
    reference = transformers.pipeline("image-classification", model=str(folder), device="cpu")
    assert len(rows) == 29
    for uri, predictions in rows.items():
        expected = reference(uri.removeprefix("file://"), top_k=11)
        scores = {each["label"]: each["score"] for each in expected}
        assert {each["label"] for each in predictions} == set(scores)
        assert all(abs(each["score"] - scores[each["label"]]) <= TOLERANCE for each in predictions)


@pytest.mark.parametrize("architecture", ["resnet10t", "mobilenetv3_small_050"])
def test_counters_may_be_missing_and_the_statistics_of_a_norm_may_not(
    architecture: str, tmp_path: pathlib.Path
) -> None:
    folder = make_timm(tmp_path / "model", architecture)
    path = folder / "model.safetensors"
    weights = load_file(path)
    save_file({name: weights[name] for name in weights if "num_batches" not in name}, path)
    assert OutcomeHandler(ModelOptions(str(folder))).load_model().describe().labels
    save_file({name: weights[name] for name in weights if "running_mean" not in name}, path)
    with pytest.raises(ModelError, match="lacks or misshapes weights that a prediction reads"):
        OutcomeHandler(ModelOptions(str(folder))).load_model()


def test_labels_of_imagenet_come_from_timm_where_the_config_names_none(
    tmp_path: pathlib.Path,
) -> None:
    folder = make_timm(tmp_path / "model", "resnet10t")
    config = json.loads((folder / "config.json").read_text())
    del config["label_names"]
    (folder / "config.json").write_text(json.dumps(config))
    labels = OutcomeHandler(ModelOptions(str(folder))).load_model().describe().labels
    assert labels == tuple(f"LABEL_{index}" for index in range(11))


def test_an_architecture_that_timm_does_not_have_is_a_sentence(tmp_path: pathlib.Path) -> None:
    folder = make_timm(tmp_path / "model", "resnet10t")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architecture": "resnet10zz"}))
    with pytest.raises(ModelError, match="resnet10zz") as caught:
        OutcomeHandler(ModelOptions(str(folder))).load_model()
    assert "\n" not in str(caught.value)


def test_pp_lcnet_gives_the_scores_of_its_own_class(
    images: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """The reference cannot run it: its class calls the logits `last_hidden_state`."""
    names = {index: f"label {index}" for index in range(11)}
    config = transformers.PPLCNetConfig(id2label=names)
    processor = transformers.PPLCNetImageProcessor()
    model = fit_model(lambda: transformers.PPLCNetForImageClassification(config), processor)
    folder = tmp_path / "model"
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    assert load_preparer(resolve_model(str(folder), None)).way == "processor"
    rows = classify(images, folder, tmp_path / "out")
    best = set()
    for uri, predictions in rows.items():
        image = upright_rgb(Image.open(uri.removeprefix("file://")))
        with torch.inference_mode():
            inputs = processor(images=image, return_tensors="pt")
            scores = model(**inputs).last_hidden_state.softmax(dim=1)[0]
        best.add(round(float(scores.max()), 4))
        for each in predictions:
            index = int(each["label"].removeprefix("label "))
            assert abs(each["score"] - float(scores[index])) <= TOLERANCE
    assert len(rows) == 29
    assert len(best) >= 15


def classify(
    images: pathlib.Path, model: pathlib.Path, out: pathlib.Path
) -> dict[str, list[dict[str, Any]]]:
    """The predictions of each image."""
    flags = [f"--input={images}", f"--output={out}", f"--model={model}", "--top_k=all"]
    assert main(["classify", *flags]) == 0
    files = sorted(out.glob("predictions/**/*.parquet"))
    rows = [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]
    return {row["image_uri"]: row["predictions"] for row in rows}
