import math
import os
import pathlib
import subprocess
import sys
import types

import fsspec
import numpy as np
import pytest
from PIL import Image

from bench import __main__ as program
from bench import far_store, models, page, runs, tables, ways
from bench.answers import compare, read_rows
from bench.bars import find_bars
from bench.gallery import Gallery
from bench.peers import rows
from bench.process_tree import TreeWatch
from bench.profiling import Span
from bench.running import Bench, Result
from bench.runs import Run, find_steady
from bench.tables import Table, Trial
from bench.timeline import Timeline

ROOT = pathlib.Path(__file__).parents[2]
_PLACE = ways.Place("", pathlib.Path(), pathlib.Path(), 1, pathlib.Path())


def test_a_steady_rate_is_that_of_the_streams_whatever_their_batches() -> None:
    start = [0.0] * 16  # the first batch came late, or the process began earlier: no matter
    one_stream = [float(batch) for batch in range(8) for _ in range(16)]
    in_pairs = [batch + late for batch in range(8) for late in (0.0, 0.01) for _ in range(16)]
    assert find_steady(one_stream) == pytest.approx(16)
    assert find_steady(in_pairs) == pytest.approx(32, rel=0.02)
    assert find_steady([each / 3 for each in range(100)]) == pytest.approx(3)
    assert math.isnan(find_steady(start))


@pytest.mark.parametrize(
    ("others", "taken", "counts"),
    [([0.1], 1, 0.1), ([0.4, 0.1], 2, 0.1), ([0.9, 0.3, 0.4], 3, 0.3), ([math.nan], 1, math.nan)],
)
def test_a_run_beside_others_is_taken_again_and_the_calmest_counts(
    others: list[float],
    taken: int,
    counts: float,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
) -> None:
    left, said = [*others], list[str]()
    run = lambda *_: types.SimpleNamespace(others=left.pop(0))  # noqa: E731
    monkeypatch.setattr(Bench, "_take", run)
    bench = Bench(tmp_path, Gallery(tmp_path, 1, 1), said.append)
    found = bench._take_calm(Trial(ways.JOB, "photographs", 1), _PLACE)
    assert found.others == pytest.approx(counts, nan_ok=True)
    assert (len(others) - len(left), left) == (taken, [])
    assert len(said) == sum(each > 0.15 for each in others)


def test_a_slow_start_is_not_in_the_steady_rate() -> None:
    times = [0.0, *(100 + each / 5 for each in range(99))]
    assert find_steady(times) == pytest.approx(5)


def test_memory_and_time_of_a_tree_hold_those_of_its_children() -> None:
    child = "import sys; held = bytearray(200 << 20); print('held', flush=True); sys.stdin.read()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        watch = TreeWatch(process.pid)
        watch.look()
        process.communicate()
    assert 200 << 20 < watch.peak_bytes < 400 << 20
    assert watch.used_s > 0


def test_one_label_apart_counts_and_other_images_are_refused() -> None:
    one = {"a": [("cat", 0.5), ("dog", 0.3)]}
    assert compare(one, one).holds
    assert not compare(one, {"a": [("cat", 0.5), ("dog", 0.3001)]}).holds
    swapped = compare(one, {"a": [("dog", 0.5), ("cat", 0.3)]})
    assert (swapped.same_top, swapped.holds) == (0, False)
    assert compare(one, {"a": [("cat", 0.5), ("fox", 0.3)]}).holds  # either may be the last
    assert not compare(one, {"a": [("cat", 0.5), ("fox", 0.2)]}).holds
    with pytest.raises(ValueError, match="only one answer"):
        compare(one, {"b": one["a"]})


def test_rows_without_predictions_are_no_answer(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "rows.parquet"
    rows.write_rows([rows.make_row("a", [{"label": "x", "score": 1.0}])], path)
    assert [row.name for row in read_rows(path)] == ["a"]
    rows.write_rows([rows.make_row("a", [{"label": "x", "score": 1.0}]), _empty_row()], path)
    with pytest.raises(ValueError, match="1 of 2 rows have no predictions"):
        read_rows(path)


def _empty_row() -> rows.Row:
    return rows.make_row("b", [])


def test_a_way_that_fails_is_told_with_what_it_said(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such model')"]
    with pytest.raises(RuntimeError, match="no such model"):
        runs.run_way(command, tmp_path / "out", {})


def _make_run(steady: float, score: float = 0.5, wall_s: float = 10.0) -> Run:
    answers = {"a.jpg": [("cat", score), ("dog", 0.2)]}
    return Run(100, wall_s, 2.0, steady, 500.0, 8.0, 0.1, answers)


def _make_result(runs_of: dict[ways.Way, list[Run]], model: str = "vit-192") -> Result:
    trials = tuple(Trial(way, "photographs", 100) for way in runs_of)
    table = Table("first", "A table", model, trials, 2)
    return Result(table, 8, {way.name: found for way, found in runs_of.items()}, {}, {})


def test_the_job_is_held_to_the_best_of_each_kind_round_by_round() -> None:
    eager, packed, openvino = ways.STREAMS
    auto, torch, _ = ways.JOBS
    rounded, loop = ways.BFLOAT16
    result = _make_result(
        {
            auto: [_make_run(90), _make_run(45)],
            torch: [_make_run(80), _make_run(40)],
            ways.PIPELINE: [_make_run(60, wall_s=8), _make_run(30, wall_s=8)],
            eager: [_make_run(50), _make_run(25)],
            packed: [_make_run(100), _make_run(50)],
            openvino: [_make_run(200), _make_run(90)],
            rounded: [_make_run(300), _make_run(150)],
            loop: [_make_run(300), _make_run(300)],
        }
    )
    found = {bar.name: (round(bar.found.median, 3), bar.least) for bar in find_bars(result)}
    assert found == {
        f"steady: {torch.name} / {packed.name}": (0.8, 0.95),
        f"steady: {rounded.name} / {loop.name}": (0.75, 0.95),
        f"steady: job / {openvino.name}": (0.475, 0.95),
        f"steady: job / {ways.PIPELINE.name}": (1.5, 1.5),
        f"whole: job / {ways.PIPELINE.name}": (0.8, 1.3),
    }
    assert [bar.holds for bar in find_bars(result)] == [False, False, False, True, False]


@pytest.mark.parametrize(
    ("job", "is_right"), [(_make_run(9), True), (_make_run(9, score=0.5001), False)]
)
def test_other_scores_than_the_references_end_in_an_error(job: Run, is_right: bool) -> None:
    result = _make_result({ways.JOB: [job], ways.PIPELINE: [_make_run(9)]})
    assert program.is_right(result) is is_right
    assert ("1e-04" in "\n".join(page.describe_result(result))) is not is_right


def test_a_job_that_failed_ends_in_an_error_and_a_peer_that_did_is_named() -> None:
    result = _make_result({ways.JOB: [_make_run(9)], ways.PIPELINE: [_make_run(9)]})
    result.obstacles[ways.PIPELINE.name] = "failed: no memory"
    assert program.is_right(result)
    assert f"- {ways.PIPELINE.name}: failed: no memory" in page.describe_result(result)
    result.obstacles[ways.JOB.name] = "failed: a defect"
    assert not program.is_right(result)


def test_every_table_names_each_row_once_and_every_program_is_there() -> None:
    plan = tables.Plan(models.NAMES, tables.KINDS, 450, 32, (1000, 10_000), 3)
    made = tables.make_tables(plan)
    assert {table.kind for table in made} == set(tables.KINDS)
    of_models = [table.model for table in made if table.kind in ("first", "others")]
    assert of_models == list(models.NAMES)
    place = ways.Place("images", pathlib.Path("model"), pathlib.Path("inputs"), 8, ROOT)
    for table in made:
        titles = [trial.title for trial in table.trials]
        assert len(titles) == len(set(titles))
        for trial in table.trials:
            command = trial.way.make_command(place, pathlib.Path("out"))
            module = command[command.index("-m") + 1].replace(".", "/")
            assert (ROOT / f"{module}.py").is_file() or (ROOT / module / "__main__.py").is_file()


@pytest.mark.parametrize(
    ("others", "taken"),
    [
        ([0.02], 0.02),
        ([0.4, 0.15], 0.15),
        ([0.4, 0.2, 0.3], 0.2),
        ([float("nan")], float("nan")),
    ],
)
def test_a_run_that_others_disturbed_is_measured_again_twice_at_the_most(
    others: list[float], taken: float, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter(others)

    def take(*_: object) -> runs.Run:
        return runs.Run(1, 1.0, 1.0, 1.0, 1.0, 1.0, next(left), {}, None)

    monkeypatch.setattr(Bench, "_take", take)
    plan = tables.Plan(("demo",), ("start",), 450, 32, (1000,), 1)
    trial = tables.make_tables(plan)[0].trials[0]
    place = ways.Place("images", tmp_path, tmp_path, 8, tmp_path)
    bench = Bench(tmp_path, Gallery(tmp_path, 32, 32), lambda _: None)
    found = bench._take_calm(trial, place)
    assert found.others == pytest.approx(taken, nan_ok=True)
    assert list(left) == []


def test_a_peer_without_its_environment_is_told_and_what_makes_it() -> None:
    way = ways.Way("nobody", "peer", peer=("ray_data", "nobody"))
    assert way.find_obstacle() == "no .venv-peers-nobody: `make bench` makes it"
    assert ways.JOB.find_obstacle() is None
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for peer in ways.PEERS:
        assert f".venv-peers-{peer.peer[1]}" in makefile
        assert (ROOT / "bench" / f"{peer.peer[1]}.txt").is_file()


def test_shares_of_a_timeline_are_those_of_the_window_between_the_scores() -> None:
    spans = (
        *(Span("forward", 4, 0.0, 1.0), Span("predict", 4, 0.0, 1.0)),  # the window begins at 1
        *(Span("wait for prepare", 1, 1.0, 2.0), Span("prepare", 2, 0.0, 2.0)),
        *(Span("prepare", 3, 1.0, 3.0), Span("row", 1, 4.0, 5.0)),
        *(Span("forward", 4, 2.0, 5.0), Span("wait for predict", 1, 2.0, 4.0)),
    )
    timeline = Timeline(-1.0, 6.0, spans)
    assert timeline.window == (1.0, 5.0)
    shares = {stage: (mean, any_) for stage, mean, any_ in timeline.find_shares()}
    assert shares["prepare"] == (0.75, 0.5)
    waits = dict(timeline.find_beam_threads())
    assert waits["wait for predict"] == 0.5
    named = ("wait for prepare", "make rows", "wait for read", "Beam and the rest")
    assert [waits[name] for name in named] == [0.25, 0.25, 0, 0]


def test_many_pictures_are_as_many_files_of_other_bytes_and_the_same_pixels(
    tmp_path: pathlib.Path,
) -> None:
    gallery = Gallery(tmp_path, 3, 0)
    paths = sorted(gallery.find("many", 7).iterdir())
    assert len({path.read_bytes() for path in paths}) == len(paths) == 7
    first, again = (np.asarray(Image.open(paths[index])) for index in (0, 3))
    assert (first == again).all()


def test_the_far_store_lists_by_pages_and_gives_whole_objects_and_spans(
    tmp_path: pathlib.Path,
) -> None:
    objects = {f"{index:05d} & é.jpg": os.urandom(index % 7 + 1) for index in range(1001)}
    for name, data in objects.items():
        (tmp_path / name).write_bytes(data)
    with far_store.serve(tmp_path) as (url, environment):
        store = fsspec.filesystem(
            "s3",
            key=environment["AWS_ACCESS_KEY_ID"],
            secret=environment["AWS_SECRET_ACCESS_KEY"],
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            skip_instance_cache=True,
        )
        listed = store.ls(url)
        assert [pathlib.PurePath(each).name for each in listed] == sorted(objects)
        name = sorted(objects)[6]
        assert store.cat_file(f"{url}{name}") == objects[name]
        assert store.cat_file(f"{url}{name}", start=2, end=5) == objects[name][2:5]
        assert store.info(f"{url}{name}")["size"] == 7
        with pytest.raises(FileNotFoundError):
            store.cat_file(f"{url}none.jpg")
