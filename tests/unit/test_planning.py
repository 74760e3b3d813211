"""What `imgcls plan` counts, draws, measures and works out."""

import collections
import dataclasses
import itertools
import pathlib

import pytest
from PIL import Image

from imgcls_beam.accelerators import ACCELERATORS
from imgcls_beam.classifying.workload import count_work_gflop, estimate_passes
from imgcls_beam.elements import ImageRef
from imgcls_beam.errors import Stage
from imgcls_beam.model_options import ModelOptions
from imgcls_beam.models import find_licence, resolve_model
from imgcls_beam.options import InputOptions, JobOptions, ManifestOptions, OutputOptions
from imgcls_beam.passed_over import PassedOver
from imgcls_beam.planning import (
    Listing,
    Pace,
    Probe,
    Spread,
    StageRate,
    count_listing,
    estimate_gpu,
    estimate_machines,
    find_slowest_alone,
)
from imgcls_beam.planning.estimating import find_image_s
from imgcls_beam.planning.listed_counts import Reservoir
from imgcls_beam.preparing import read_mode
from imgcls_beam.scoring import ModelSource
from tests.scenes import encode, write_photos
from tests.staged import SCORING

LISTING = Listing(
    references=1001,
    images=1001,
    failures={},
    scored=None,
    skipped=0,
    duplicates=0,
    suffixes={},
    passed_over=PassedOver(),
    drawn=(),
    elapsed_s=3.0,
)
PROBE = Probe(
    images=32,
    ok=32,
    width_px=None,
    height_px=None,
    size_bytes=None,
    formats={},
    modes={},
    errors={},
    first_errors={},
    rates=(
        StageRate(Stage.READ, 1000.0),
        StageRate(Stage.PREPARE, 100.0),
        StageRate(Stage.PREDICT, 25.0),
    ),
    elapsed_s=1.6,
    is_on_cpu=True,
    input_px=(224, 224),
)


def make_job(tmp_path: pathlib.Path, **images: object) -> JobOptions:
    listed = InputOptions(**images)  # type: ignore[arg-type]
    return JobOptions(listed, ModelOptions(), OutputOptions(str(tmp_path / "out")))


def draw(size: int, count: int, seed: int = 0) -> list[str]:
    reservoir = Reservoir(size, seed)
    for index in range(count):
        reservoir.add(ImageRef(f"file:///{index}.jpg"))
    return [ref.uri for ref in reservoir]


def test_a_reservoir_has_all_of_few_and_keeps_their_order() -> None:
    assert draw(32, 3) == [f"file:///{index}.jpg" for index in range(3)]
    assert draw(32, 0) == []


def test_a_reservoir_draws_the_same_each_time_and_each_with_the_same_chance() -> None:
    assert draw(10, 500) == draw(10, 500)
    drawn = collections.Counter(
        itertools.chain.from_iterable(draw(10, 40, seed) for seed in range(400))
    )
    assert len(drawn) == 40
    assert all(60 <= count <= 140 for count in drawn.values())  # of 100 in the mean, 8.7 each way


def test_a_reservoir_of_many_comes_from_all_over_in_their_order() -> None:
    numbers = [int(uri[8:-4]) for uri in draw(32, 10_000)]
    assert numbers == sorted(numbers)
    assert len({number // 2500 for number in numbers}) == 4


def test_a_listing_is_counted_by_suffix_with_what_it_passes_over(tmp_path: pathlib.Path) -> None:
    paths = write_photos(tmp_path / "photos", 12)
    (tmp_path / "photos" / "notes.txt").write_text("none")
    (tmp_path / "photos" / "SHOUTED.JPG").write_bytes(paths[0].read_bytes())
    found = count_listing(make_job(tmp_path, inputs=(str(tmp_path / "photos"),)), SCORING, drawn=5)
    assert (found.references, found.images, found.duplicates, found.unsized) == (13, 13, 0, 0)
    assert {name: each.images for name, each in found.suffixes.items()} == {
        **{".jpg": 4, ".png": 3, ".bmp": 2, ".gif": 2, ".webp": 2}
    }
    size_bytes = sum(path.stat().st_size for path in paths) + paths[0].stat().st_size
    assert found.size_bytes == size_bytes
    assert found.passed_over.describe() == "1 .txt"
    assert len(found.drawn) == 5


def test_lines_that_are_equal_other_or_none_are_told_apart(tmp_path: pathlib.Path) -> None:
    lines = ["uri,shelf", "a.jpg,1", "b.jpg,1", "a.jpg,1", "a.jpg,2", ",3", "c.jpg,1", "c.jpg,1"]
    manifest = tmp_path / "lines.csv"
    manifest.write_text("\n".join(lines))
    options = ManifestOptions(str(manifest), "uri", carry_columns=("shelf",))
    found = count_listing(make_job(tmp_path, manifest=options), SCORING)
    assert (found.references, found.images, found.duplicates) == (5, 3, 2)
    assert found.failures == {"list: invalid_reference": 1}
    assert [ref.uri.rpartition("/")[2] for ref in found.drawn] == ["a.jpg", "b.jpg", "c.jpg"]
    assert (found.unsized, found.scored) == (3, None)


def test_earlier_rows_are_not_looked_for_under_a_limit(tmp_path: pathlib.Path) -> None:
    write_photos(tmp_path, 3)
    job = make_job(tmp_path, inputs=(str(tmp_path),))
    assert count_listing(job, SCORING).scored == 0
    limited = dataclasses.replace(job, input=dataclasses.replace(job.input, limit=2))
    found = count_listing(limited, SCORING)
    assert (found.images, found.scored) == (2, None)


def test_a_start_a_listing_and_a_pace_add_up() -> None:
    pace = Pace(start_s=5.0, image_s=0.1)
    here = estimate_machines(LISTING, pace, 1, price_per_hour=3.6)
    assert here.total_s == pytest.approx((108.0, 108.0))
    assert here.images_per_s == pytest.approx((10.01, 10.01))
    assert here.cost == pytest.approx((0.108, 0.108))
    four = estimate_machines(LISTING, pace, 4, price_per_hour=3.6)
    assert four.total_s == pytest.approx((33.0, 33.0))
    assert four.cost == pytest.approx((0.132, 0.132))
    assert "start of the machines is not in it" in four.basis


def test_references_to_one_image_cost_their_rows_alone() -> None:
    many = dataclasses.replace(LISTING, references=3001)
    pace = Pace(start_s=0.0, image_s=0.1, reference_s=0.01)
    assert estimate_machines(many, pace, 1).steady_s == pytest.approx((120.0, 120.0))


@pytest.mark.parametrize("images", [0, 1])
def test_what_is_done_with_the_start_takes_no_longer(images: int) -> None:
    few = dataclasses.replace(LISTING, references=images, images=images)
    found = estimate_machines(few, Pace(5.0, 0.1), 1, 1.0)
    assert found.total_s == (8.0, 8.0)
    assert found.images_per_s is None


def test_stages_on_the_cpu_share_its_cores_and_a_gpu_goes_on_meanwhile() -> None:
    assert find_image_s(PROBE) == pytest.approx(0.05)
    assert find_image_s(dataclasses.replace(PROBE, is_on_cpu=False)) == pytest.approx(0.04)
    slow = (StageRate(Stage.READ, 2.0), *PROBE.rates[1:])
    assert find_image_s(dataclasses.replace(PROBE, rates=slow)) == pytest.approx(0.5)
    assert find_image_s(dataclasses.replace(PROBE, rates=PROBE.rates[:1])) == pytest.approx(0.001)


def test_the_slowest_stage_by_itself_is_that_of_the_least_pace() -> None:
    found = find_slowest_alone(PROBE)
    assert found is not None
    assert (found.stage, round(found.share, 3)) == (Stage.PREDICT, 0.784)
    assert find_slowest_alone(dataclasses.replace(PROBE, rates=())) is None


def test_a_gpu_predicts_as_the_docs_say_and_no_faster_than_its_cores_prepare() -> None:
    low, high = estimate_passes(ACCELERATORS["l4"], 35, is_half=True)
    assert (round(low, -2), round(high, -2)) == (1000, 2100)
    low, high = estimate_passes(ACCELERATORS["t4"], 35, is_half=False)
    assert (round(low, -1), round(high, -1)) == (140, 180)
    pace = Pace(0.0, 1.0)
    free = estimate_gpu(LISTING, pace, "l4", "bfloat16", 35.0, None)
    assert free.images_per_s == pytest.approx((1038, 2076), rel=0.01)
    bound = estimate_gpu(LISTING, pace, "l4", "bfloat16", 35.0, 330.0)
    assert bound.images_per_s == pytest.approx((1038, 1321), rel=0.01)
    assert "4 cores prepare at most 1,320" in bound.basis
    assert "121 TFLOP/s" in bound.basis
    single = estimate_gpu(LISTING, pace, "l4", "auto", 35.0, None)
    assert "30 TFLOP/s" in single.basis
    assert single.steady_s[1] > free.steady_s[1]


def test_the_work_of_a_model_is_counted_without_its_weights(
    vit_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    found = count_work_gflop(vit_folder, (32, 32))
    tokens, hidden, inner = 17, 24, 48
    layer = tokens * (4 * hidden * hidden + 2 * hidden * inner) + 2 * tokens * tokens * hidden
    patches = 16 * 8 * 8 * 3 * hidden
    assert found == pytest.approx(2 * (2 * layer + patches + hidden * 11) / 1e9, rel=0.01)
    (tmp_path / "config.json").write_text('{"model_type": "no such"}')
    assert count_work_gflop(tmp_path, (32, 32)) is None


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: apache-2.0\n---\n# A model", "apache-2.0"),
        ('---\nlanguage: en\nlicense:  "mit"\n---\n', "mit"),
        ("---\r\nlicense: cc-by-4.0\r\n---\r\n", "cc-by-4.0"),
        ("---\nlanguage: en\n---\nlicense: mit\n", None),
        ("# A model\n\nlicense: mit\n", None),
        ("---\nlicense:\n- mit\n---\n", None),
        ("---\nlicense: \x1b[31mred\n---\n", None),
        ("", None),
    ],
)
def test_the_licence_is_what_the_head_of_a_card_says(
    tmp_path: pathlib.Path, card: str, licence: str | None
) -> None:
    (tmp_path / "README.md").write_bytes(card.encode() + b"\xff\xfe")
    assert find_licence(ModelSource("m", "0" * 64, str(tmp_path))) == licence


def test_a_model_without_a_card_has_no_licence(vit_folder: pathlib.Path) -> None:
    assert find_licence(resolve_model(str(vit_folder), None)) is None


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "CMYK", "RGBA", "LA", "I;16", "1"])
def test_the_mode_of_an_image_is_that_of_its_file(mode: str) -> None:
    kind = "TIFF" if mode in ("CMYK", "I;16") else "PNG"
    assert read_mode(encode(Image.new(mode, (9, 7)), kind)) == mode


@pytest.mark.parametrize("data", [b"", b"no image"])
def test_what_is_no_image_has_no_mode(data: bytes) -> None:
    assert read_mode(data) is None


def test_a_spread_is_of_what_is_known() -> None:
    assert Spread.of([3, None, 1, 8]) == Spread(1, 3, 8)
    assert Spread.of([None]) is None
