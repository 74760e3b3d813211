import dataclasses
import datetime
import re

import pytest

from imgcls_beam.scoring import make_model_key
from imgcls_beam.sinks.run_paths import PREDICTIONS, RUNS, RunPaths, locate_record, slug_model
from imgcls_beam.stores import open_folder, open_store

REVISION = "3f49326eb077187dfe1c2a2bb15fbd74e6ab91e3"
KEY = "google/vit-base-patch16-224@3f49326eb077"
PATHS = RunPaths(
    run_id="r1",
    run_date=datetime.date(2026, 11, 23),
    session_id="ab" * 16,
)
FOLDER = "predictions/run_date=2026-11-23/model=google--vit-base-patch16-224@3f49326eb077/run_id=r1"

ODD_IDS = [
    "/home/me/models/vit",
    "/home/you/models/vit",
    "./vit",
    "../vit",
    "..",
    ".",
    "/",
    "a--b",
    "a/b/c",
    "name=value",
    "50%",
    "model with spaces",
    "modèle",
    "模型",
    "tab\there",
    "C:\\models\\vit",
    "café\udce9",
    "x" * 500,
    "y/" + "x" * 500,
    "*?[a]",
    "-rf",
]


def test_a_file_lies_where_the_contract_says() -> None:
    assert PATHS.locate_file(KEY, 0, 4) == f"{FOLDER}/part-00000-of-00004.parquet"


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (PATHS.run_folder(KEY), FOLDER),
        (PATHS.record, "runs/r1.json"),
        (PATHS.failed_record, f"runs/failed/r1-{'ab' * 16}.json"),
        (PATHS.staging, f"_staging/r1-{'ab' * 16}"),
        (locate_record("out", "r2"), "out/runs/r2.json"),
    ],
)
def test_every_other_place_is_where_the_contract_says(place: str, expected: str) -> None:
    assert place == expected


@pytest.mark.parametrize(
    ("output", "record"),
    [
        ("out", "out/runs/r1.json"),
        ("out/", "out/runs/r1.json"),
        ("/data//", "/data/runs/r1.json"),
        ("/", "/runs/r1.json"),
        ("memory://", "memory://runs/r1.json"),
        ("memory://x/", "memory://x/runs/r1.json"),
        ("file:///", "file:///runs/r1.json"),
        ("s3://bucket/", "s3://bucket/runs/r1.json"),
    ],
)
def test_slashes_at_the_end_of_the_output_do_not_matter(output: str, record: str) -> None:
    assert locate_record(output, "r1") == record
    if not output.startswith("s3:"):
        folder = open_folder("output", output)
        assert folder.url_of(PATHS.record) == record
        assert folder.path_of(PATHS.record) == open_store("output", record)[1]


@pytest.mark.parametrize(
    ("model_id", "slug"),
    [
        ("google/vit-base-patch16-224", "google--vit-base-patch16-224"),
        ("Falconsai/nsfw_image_detection", "Falconsai--nsfw_image_detection"),
        ("resnet-50", "resnet-50"),
    ],
)
def test_a_hub_id_can_be_read_in_its_slug(model_id: str, slug: str) -> None:
    assert slug_model(f"{model_id}@{REVISION}") == f"{slug}@3f49326eb077"


@pytest.mark.parametrize("model_id", ODD_IDS)
@pytest.mark.parametrize("revision", [REVISION, "main", "", "a/b=c%d", "é"])
def test_a_slug_is_fit_for_a_path_whatever_the_model_is_called(
    model_id: str, revision: str
) -> None:
    slug = slug_model(f"{model_id}@{revision}")
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,96}@[A-Za-z0-9._-]{1,12}", slug, re.ASCII)


def test_two_models_do_not_share_a_slug() -> None:
    ids = [*ODD_IDS, "a/b", "name/value", "name-value", "vit", "model", "me/vit", "b", "c"]
    assert len({slug_model(f"{model_id}@{REVISION}") for model_id in ids}) == len(ids)


def test_a_folder_lies_under_its_content_however_it_is_spelled() -> None:
    keys = {make_model_key(model_id, "ab" * 32) for model_id in ODD_IDS}
    assert set(map(slug_model, keys)) == {"folder@abababababab"}


def test_a_slug_tells_revisions_apart() -> None:
    assert slug_model("a/b@" + "1" * 40) != slug_model("a/b@" + "2" * 40)


def test_sessions_stage_apart_and_publish_in_one_place() -> None:
    other = dataclasses.replace(PATHS, session_id="cd" * 16)
    assert other.staging != PATHS.staging
    assert other.run_folder(KEY) == PATHS.run_folder(KEY)


def test_staging_lies_outside_what_readers_read() -> None:
    assert not PATHS.staging.startswith(PREDICTIONS)
    assert not PATHS.staging.startswith(RUNS)
