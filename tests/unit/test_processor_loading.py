"""A model's files → its image processor, however old or new they are."""

import importlib.util
import json
import pathlib
from typing import Any

import pytest
from PIL import Image
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from imgcls_beam.errors import ModelError
from imgcls_beam.models.model_files import hash_files
from imgcls_beam.preparing import load_preparer
from imgcls_beam.scoring import ModelSource

SIZE = {"height": 32, "width": 32}
IMAGE = Image.new("RGB", (96, 64))


def pin(folder: pathlib.Path) -> ModelSource:
    """As `resolve_model` does it, but of a folder that need not hold a whole model."""
    revision = hash_files(folder, [path.name for path in folder.iterdir()])
    return ModelSource(str(folder), revision, str(folder))


def write(folder: pathlib.Path, **files: Any) -> ModelSource:
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return pin(folder)


VIT = {"model_type": "vit"}
OLD_VIT = {"do_normalize": True, "do_resize": True, "image_mean": [0.5] * 3, "size": 224}
CONVNEXT = {"size": 224, "crop_pct": 0.875, "resample": 3, "image_std": [0.229, 0.224, 0.225]}
DEIT = {"size": 256, "do_center_crop": True, "crop_size": 224, "resample": 3}


@pytest.mark.parametrize(
    ("config", "model_type", "name"),
    [
        (OLD_VIT, "vit", "ViT"),
        (OLD_VIT, "swin", "ViT"),
        ({**OLD_VIT, "image_processor_type": "ViTFeatureExtractor"}, "vit", "ViT"),
        ({**OLD_VIT, "image_processor_type": "ViTImageProcessor"}, "vit", "ViT"),
        ({**OLD_VIT, "image_processor_type": "ViTImageProcessorFast"}, "vit", "ViT"),
        ({**OLD_VIT, "feature_extractor_type": "ViTFeatureExtractor"}, "vit", "ViT"),
        ({**DEIT, "feature_extractor_type": "DeiTFeatureExtractor"}, "deit", "DeiT"),
        ({**DEIT, "image_processor_type": "DeiTFeatureExtractor"}, "vit", "DeiT"),
        ({**CONVNEXT, "feature_extractor_type": "ConvNextFeatureExtractor"}, "vit", "ConvNext"),
        ({**CONVNEXT, "image_processor_type": "ConvNextFeatureExtractor"}, "resnet", "ConvNext"),
        (CONVNEXT, "regnet", "ConvNext"),
        ({"image_processor_type": "BitImageProcessor"}, "dinov2_with_registers", "Bit"),
        ({"image_processor_type": "CLIPImageProcessorFast", "size": 224}, "clip", "CLIP"),
    ],
)
@pytest.mark.parametrize("place", ["preprocessor_config", "processor_config"])
def test_a_config_of_any_age_and_place_is_found(
    tmp_path: pathlib.Path, config: dict[str, Any], model_type: str, name: str, place: str
) -> None:
    content = {"image_processor": config} if place == "processor_config" else config
    preparer = load_preparer(write(tmp_path, config={"model_type": model_type}, **{place: content}))
    assert preparer.processor_name == f"{name}ImageProcessorPil"
    assert preparer.way == "geometry"
    assert preparer.prepare(IMAGE)["pixel_values"].shape == (224, 224, 3)


@pytest.mark.parametrize("nested", [True, False])
def test_of_two_configs_the_nested_one_is_taken_as_the_reference_does(
    tmp_path: pathlib.Path, nested: bool
) -> None:
    newer = {"image_processor_type": "ViTFeatureExtractor", "size": 16}
    source = write(
        tmp_path,
        config=VIT,
        processor_config={"image_processor": newer} if nested else {"processor_class": "X"},
        preprocessor_config={"size": 40},
    )
    edge_px = 16 if nested else 40
    assert load_preparer(source).prepare(IMAGE)["pixel_values"].shape == (edge_px, edge_px, 3)


@pytest.mark.parametrize(
    ("files", "package"),
    [
        (
            {
                "config": {"model_type": "pp_lcnet"},
                "preprocessor_config": {"image_processor_type": "PPLCNetImageProcessor"},
            },
            "torchvision",
        ),
        ({"config": {"architecture": "resnet18", "pretrained_cfg": {}}}, "timm, torchvision"),
        (
            {"config": {"model_type": "timm_wrapper", "pretrained_cfg": {"num_classes": 3}}},
            "timm, torchvision",
        ),
    ],
)
def test_a_processor_that_needs_a_package_names_it(
    tmp_path: pathlib.Path, files: dict[str, Any], package: str
) -> None:
    missing = [name for name in package.split(", ") if not _is_installed(name)]
    if not missing:
        pytest.skip(f"{package}: installed here")
    with pytest.raises(ModelError) as caught:
        load_preparer(write(tmp_path, **files))
    expected = f"its image processor needs {', '.join(missing)}, which is not installed here"
    expected += "; pip install timm torchvision"
    assert str(caught.value) == f"{tmp_path}: {expected}"


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


NO_MAP = {"model_type": "dinov2_with_registers"}


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"config": VIT}, "has no config: neither preprocessor_config.json nor processor_"),
        ({}, "has no config: neither"),
        ({"config": NO_MAP, "preprocessor_config": {"size": 3}}, "cannot be loaded (Unrecognized"),
        (
            {"config": NO_MAP, "preprocessor_config": {"auto_map": {"AutoImageProcessor": "a.B"}}},
            "is code of the model's own, which is never run here",
        ),
        (
            {"config": {"model_type": "imagegpt"}, "preprocessor_config": {"size": 32}},
            "fails (Clusters must be provided",
        ),
        ({"preprocessor_config": {"size": 32}}, "cannot be loaded ("),
    ],
    ids=str,
)
def test_a_model_without_a_processor_that_runs_is_refused_with_the_reason(
    tmp_path: pathlib.Path,
    files: dict[str, Any],
    reason: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ModelError) as caught:
        load_preparer(write(tmp_path, **files))
    assert str(caught.value).startswith(f"{tmp_path}: its image processor {reason}")
    assert len(str(caught.value)) < 400
    assert capfd.readouterr().out == ""  # nobody is asked whether to trust


def write_config(folder: pathlib.Path, text: str | None, **changes: Any) -> ModelSource:
    """A folder with a processor's config as it is published, but for the changes."""
    ViTImageProcessorPil(size=SIZE).save_pretrained(folder)
    path = folder / "preprocessor_config.json"
    path.write_text(
        text if text is not None else json.dumps(json.loads(path.read_text()) | changes)
    )
    (folder / "config.json").write_text('{"model_type": "vit"}')
    return pin(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"resample": 9},
        {"resample": None},
        {"size": {}},
        {"size": "big"},
        {"size": {"height": 0, "width": 0}},
        {"image_mean": [0.5]},
        {"image_mean": "grey"},
        {"image_std": [0, 0, 0]},
        {"rescale_factor": "x"},
        {"do_center_crop": True},
        {"image_processor_type": "UnheardOfImageProcessor"},
    ],
    ids=str,
)
def test_a_config_that_makes_no_sense_stops_the_job_with_the_models_name(
    tmp_path: pathlib.Path, changes: dict[str, Any]
) -> None:
    source = write_config(tmp_path, None, **changes)
    with pytest.raises(ModelError, match=f"^{tmp_path}: its image processor ") as caught:
        load_preparer(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "null", "nonsense", "\xff"])
def test_a_config_that_is_none_stops_the_job_too(tmp_path: pathlib.Path, text: str) -> None:
    source = write_config(tmp_path, text)
    with pytest.raises(ModelError, match="image processor cannot be loaded"):
        load_preparer(source)


def test_a_processor_is_loaded_once_for_each_content_of_a_model(tmp_path: pathlib.Path) -> None:
    write_config(tmp_path, None)
    first = load_preparer(pin(tmp_path))
    assert load_preparer(pin(tmp_path)) is first
    write_config(tmp_path, None, size={"height": 16, "width": 16})
    second = load_preparer(pin(tmp_path))
    shapes = [each.prepare(IMAGE)["pixel_values"].shape for each in (first, second)]
    assert shapes == [(32, 32, 3), (16, 16, 3)]
