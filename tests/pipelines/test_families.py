"""Every family that transformers maps for the task, score for score against its pipeline."""

import json
import pathlib
import re
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import save_file
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES as MAPPED,
)

from imgcls_beam.elements import ImageRef
from imgcls_beam.errors import ModelError
from imgcls_beam.listing import list_images
from imgcls_beam.model_checks import check_model
from imgcls_beam.model_options import ModelOptions
from imgcls_beam.models import resolve_model
from imgcls_beam.options import DecodeOptions, InputOptions, ReadOptions
from imgcls_beam.parity import TOLERANCE, compare_with_reference
from pipelines.__main__ import main
from tests.families.comparing import compare_family, compare_folder, write_images
from tests.families.making import make_family
from tests.families.page import PAGE, TAIL, describe_way, read_rows
from tests.families.table import FAMILIES, Family
from tests.models import make_model
from tests.pipelines.test_classify import read_rows as read_output

pytestmark = pytest.mark.slow

LOADABLE = [each for each in FAMILIES if each.missing is None]
MISSING = [each for each in FAMILIES if each.missing is not None]
QUICK = {"ViTForImageClassification", "Siglip2ForImageClassification"}
FIRST = [*{each.processor: each for each in reversed(LOADABLE)}.values()]
"""Of each processor's families the first: the others go through it with the same steps."""
ROWS = read_rows(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return write_images(tmp_path_factory.mktemp("images"))


def name_of(family: Family) -> str:
    return family.model_class


def test_the_table_holds_every_class_that_the_library_maps() -> None:
    mapped = {
        (model_type, name)
        for model_type, names in MAPPED.items()
        for name in ([names] if isinstance(names, str) else names)
    }
    assert {(each.model_type, each.model_class) for each in FAMILIES} == mapped
    assert (len(MAPPED), len(FAMILIES), len(LOADABLE)) == (42, 46, 42)


def test_the_page_has_a_row_for_each_class_and_no_figure_above_the_tolerance() -> None:
    assert list(ROWS) == [each.model_class for each in FAMILIES]
    assert PAGE.read_text(encoding="utf-8").endswith(TAIL)
    for family in FAMILIES:
        cells = ROWS[family.model_class]
        assert cells[0] == f"`{family.model_type}`"
        if family.missing is None:
            difference, _, rounding = cells[4].partition(", its own rounding ")
            assert float(difference) <= max(TOLERANCE, float(rounding or 0))
        else:
            assert cells[4] == f"not loaded: {family.missing}"


@pytest.mark.parametrize(
    "family",
    [pytest.param(each, marks=() if each in FIRST else pytest.mark.long) for each in LOADABLE],
    ids=name_of,
)
def test_scores_equal_the_references_for_every_label_of_every_image(
    family: Family, images: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    result = compare_family(family, images, tmp_path)
    assert len(result.comparisons) == 29
    assert all(each.difference is not None for each in result.comparisons)
    assert result.find_different() == []
    assert ROWS[family.model_class][2:4] == describe_way(result)
    check_model(resolve_model(str(tmp_path / family.model_class), None))  # where it is launched
    # Equal scores of images that all look alike to the model would show nothing.
    reference = transformers.pipeline(
        "image-classification", model=str(tmp_path / family.model_class), device="cpu"
    )
    best = [reference(str(path), top_k=1)[0] for path in sorted(images.iterdir())[:12]]
    assert len({round(each["score"], 4) for each in best}) >= 10
    assert len({each["label"] for each in best}) >= 2


def mark_openvino(family: Family) -> Any:
    """Those that it refuses, and the quick ones; the rest is long."""
    is_short = family.openvino != "runs" or family.model_class in QUICK
    return pytest.param(family, marks=() if is_short else pytest.mark.long)


@pytest.mark.parametrize("family", [*map(mark_openvino, LOADABLE)], ids=name_of)
def test_openvino_gives_the_references_scores_or_a_refusal(
    family: Family, images: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    folder = make_family(tmp_path / family.model_class, family)
    try:
        different = compare_folder(folder, images, "openvino").find_different()
    except ModelError as error:
        assert family.openvino != "runs"
        assert re.search(r"OpenVINO.*; give --engine=torch", str(error))
    else:
        assert family.openvino != "refused"
        assert different == []


def write_hollow(folder: pathlib.Path, family: Family) -> pathlib.Path:
    """A folder as a repository of this family would look, with no weights worth the name."""
    folder.mkdir()
    processor = {"image_processor_type": family.processor}
    config: dict[str, Any] = {"model_type": family.model_type}
    if family.model_type == "timm_wrapper":
        processor = {}
        config |= {"architecture": "resnet18", "pretrained_cfg": {"input_size": [3, 224, 224]}}
    (folder / "config.json").write_text(json.dumps(config))
    if processor:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    save_file({"nothing": torch.zeros(1)}, folder / "model.safetensors", {"format": "pt"})
    return folder


WORDS = {
    "dinat": "natten",
    "pp_lcnet": "torchvision",
    "timm_wrapper": "timm",
    "shieldgemma2": "text",
}


@pytest.mark.parametrize("family", MISSING, ids=name_of)
def test_a_family_that_cannot_be_had_is_refused_by_what_it_lacks(
    family: Family,
    images: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = write_hollow(tmp_path / "model", family)
    flags = [f"--input={images}", f"--output={tmp_path / 'out'}", f"--model={folder}"]
    assert main(["classify", *flags]) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith(f"imgcls classify: {folder}: ")
    assert WORDS[family.model_type] in message
    assert family.missing is not None
    assert WORDS[family.model_type] in family.missing
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "model_class",
    [
        *("Siglip2ForImageClassification", "TextNetForImageClassification"),
        *("ImageGPTForImageClassification", "MobileViTForImageClassification"),
    ],
)
def test_the_whole_job_takes_masks_varying_shapes_clusters_and_turned_channels(
    model_class: str, images: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (family,) = [each for each in FAMILIES if each.model_class == model_class]
    folder = make_family(tmp_path / "model", family)
    flags = [f"--input={images}", f"--output={tmp_path / 'out'}", f"--model={folder}"]
    assert main(["classify", *flags, "--top_k=all"]) == 0
    reference = transformers.pipeline("image-classification", model=str(folder), device="cpu")
    rows = read_output(tmp_path / "out")
    assert len(rows) == 29
    for row in rows:
        expected = reference(row["image_uri"].removeprefix("file://"), top_k=11)
        scores = {each["label"]: each["score"] for each in expected}
        assert len(row["predictions"]) == 11
        for each in row["predictions"]:
            assert abs(each["score"] - scores[each["label"]]) <= TOLERANCE


@pytest.mark.parametrize(
    "config",
    [
        {"problem_type": "regression"},
        {"problem_type": "regression", "num_labels": 1},
        {"problem_type": "multi_label_classification"},
        {"problem_type": "single_label_classification"},
        {"num_labels": 1},
        {"num_labels": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_problem_types_and_half_checkpoints_equal_the_reference_in_float32(
    config: dict[str, Any], dtype: str, images: pathlib.Path, tmp_path: pathlib.Path
) -> None:

    folder = make_model(tmp_path / "model", **config)
    if dtype != "float32":
        model = transformers.AutoModelForImageClassification.from_pretrained(folder)
        model.to(getattr(torch, dtype)).save_pretrained(folder)
        assert json.loads((folder / "config.json").read_text())["dtype"] == dtype
    refs = list(list_images(InputOptions((str(images),), limit=6)))
    assert all(isinstance(ref, ImageRef) for ref in refs)
    found = compare_with_reference(
        *(refs, ModelOptions(str(folder)), resolve_model(str(folder), None)),
        *(ReadOptions(), DecodeOptions()),
    )
    assert [each.uri for each in found if not each.is_equal] == []
    assert max(each.difference or 0.0 for each in found) <= TOLERANCE
