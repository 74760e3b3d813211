"""A geometry that was kept is the one that was read."""

import dataclasses
import json
import pathlib
import typing
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imgcls_beam.models import resolve_model
from imgcls_beam.preparing import geometry, load_preparer, processors, sizes
from imgcls_beam.preparing.known_geometry import decode, encode
from imgcls_beam.scoring import ChannelAffine
from tests.models import FAMILIES
from tests.scenes import draw_photo

BICUBIC = Image.Resampling.BICUBIC
RULES = [
    *(sizes.Warp((3, 4)), sizes.ShortestEdge(5, 32), sizes.BothEdges(5, 9), sizes.Within((3, 4))),
    *(sizes.Thumbnail((3, 4)), sizes.KeepRatio((3, 4), 0.5)),
]
STEPS: list[Any] = [
    *(geometry.Resize(rule, BICUBIC, (2, 2)) for rule in RULES),
    geometry.Resize(RULES[0], BICUBIC, None, 7, sizes.centre_even, (1, 2, 3)),
    *(geometry.CenterCrop((3, 4), sizes.centre_even), geometry.CenterShare((0.5, 0.25))),
    *(geometry.PadAround((3, 4)), geometry.TurnLong((3, 4)), geometry.Keep()),
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path / "cache"))
    processors.load_preparer.cache_clear()


def test_every_step_and_rule_comes_back_as_it_was_through_json() -> None:
    whole = geometry.Geometry(tuple(STEPS), is_bgr=True)
    assert decode(json.loads(json.dumps(encode(whole)))) == whole
    affine = ChannelAffine((0.1, 1 / 3, 1e-9), (-1.0, 0.0, 2.5))
    assert decode(json.loads(json.dumps(encode(affine)))) == affine
    assert decode({"is": "os.system", "value": 1}) is None


def test_the_steps_and_rules_above_are_all_that_there_are() -> None:
    assert {type(each) for each in STEPS} == set(typing.get_args(geometry.Step))
    rules = {
        each
        for each in vars(sizes).values()
        if dataclasses.is_dataclass(each) and "__call__" in vars(each)
    }
    assert {type(each) for each in RULES} == rules


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_that_was_prepared_for_before_needs_no_processor(
    family: str, model_folders: dict[str, pathlib.Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = resolve_model(str(model_folders[family]), None)
    first = load_preparer(source)
    monkeypatch.setattr(processors, "load_processor", None)  # would raise
    processors.load_preparer.cache_clear()
    again = load_preparer(source)
    assert again is not first
    assert (again.identity, again.affine, again.way) == (first.identity, first.affine, first.way)
    assert again.processor_name == first.processor_name
    photo = draw_photo(5, (90, 70))
    found, expected = (each.prepare(photo)["pixel_values"] for each in (again, first))
    assert np.array_equal(found, expected)


def test_a_file_that_is_damaged_is_read_from_the_processor_again(
    vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    source = resolve_model(str(vit_folder), None)
    first = load_preparer(source)
    (facts,) = (tmp_path / "cache").glob("geometry-*/facts.json")
    facts.write_text(facts.read_text().replace("32", "33"))
    processors.load_preparer.cache_clear()
    assert load_preparer(source).geometry == first.geometry
