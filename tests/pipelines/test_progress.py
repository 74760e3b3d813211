"""Progress of a run: what is shown, and which stage is said to be the slowest."""

import argparse
import io
import pathlib
import re
import time
from typing import Any

import apache_beam as beam
import fsspec
import pytest

from imgcls_beam import ClassifyImages, ListImages, WriteParquet, prefetch
from imgcls_beam.board import BOARD, Progress
from imgcls_beam.errors import Stage
from imgcls_beam.model_options import ModelOptions
from imgcls_beam.options import InputOptions, JobOptions, OutputOptions, ReadOptions
from imgcls_beam.slowest import Cause, Slowest, find_slowest
from pipelines import far_progress, progress
from pipelines.advice import advise
from pipelines.flags import make_parser
from tests.flaky import FlakyStore, empty, put
from tests.scenes import draw_photo, encode

IMAGES = 24
SLOW_S = 1.2


class ThrottledStore(FlakyStore):
    """A store whose every answer takes as long as it is told."""

    protocol = "throttled"
    seconds = 0.0

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return FlakyStore._strip_protocol(path.removeprefix("throttled://"))

    def cat_file(self, path: str, start: Any = None, end: Any = None, **kwargs: Any) -> bytes:
        time.sleep(ThrottledStore.seconds)
        return super().cat_file(path, start, end, **kwargs)


fsspec.register_implementation("throttled", ThrottledStore, clobber=True)


def _slow_store(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ThrottledStore, "seconds", SLOW_S / IMAGES)


def _slow_decode(patch: pytest.MonkeyPatch) -> None:
    _delay(patch, prefetch, "prepare_in_box", SLOW_S / 4)


def _slow_model(patch: pytest.MonkeyPatch) -> None:
    from imgcls_beam import handler

    _delay(patch, handler, "predict_begun", SLOW_S)


def _slow_sink(patch: pytest.MonkeyPatch) -> None:
    from imgcls_beam.sinks import parquet

    _delay(patch, parquet, "merge_all", SLOW_S)


def _one_huge_image(patch: pytest.MonkeyPatch) -> None:
    whole = prefetch.prepare_in_box

    def prepare(image: Any, *rest: Any) -> Any:
        time.sleep(SLOW_S if image.ref.uri.endswith("/003.jpg") else 0)
        return whole(image, *rest)

    patch.setattr(prefetch, "prepare_in_box", prepare)


def _many_errors(patch: pytest.MonkeyPatch) -> None:
    for index in range(IMAGES // 2 + 2):
        FlakyStore.faults[f"/{index:03}.jpg"] = iter([ConnectionError("busy")] * 4)


def _delay(patch: pytest.MonkeyPatch, module: Any, name: str, seconds: float) -> None:
    real = getattr(module, name)

    def delayed(*arguments: Any, **keywords: Any) -> Any:
        time.sleep(seconds)
        return real(*arguments, **keywords)

    patch.setattr(module, name, delayed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("set_up", "stage", "cause"),
    [
        (_slow_store, Stage.READ, Cause.STAGE),
        (_slow_decode, Stage.PREPARE, Cause.STAGE),
        (_slow_model, Stage.PREDICT, Cause.STAGE),
        (_slow_sink, Stage.SINK, Cause.STAGE),
        (_one_huge_image, Stage.PREPARE, Cause.ONE_IMAGE),
        (_many_errors, Stage.READ, Cause.ERRORS),
    ],
)
def test_the_slowest_stage_is_right_in_staged_set_ups(
    set_up: Any,
    stage: Stage,
    cause: Cause,
    vit_folder: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    empty()
    for index in range(IMAGES):
        put(f"{index:03}.jpg", data=encode(draw_photo(index, (32, 32))))
    set_up(monkeypatch)
    BOARD.reset()
    schemes = ("throttled",)
    images = InputOptions(inputs=("throttled:///",), allow_schemes=schemes)
    read = ReadOptions(first_wait_s=0.25, tries=4, allow_schemes=schemes)
    with beam.Pipeline("FnApiRunner") as pipeline:
        refs = pipeline | ListImages(images, is_spread=False)
        outcomes = (refs | ClassifyImages(str(vit_folder), read=read, engine="torch")).outcomes
        _ = outcomes | WriteParquet(str(tmp_path / "out"))
    seen = BOARD.read()
    found = find_slowest(seen)
    assert (seen.listed, seen.done) == (IMAGES, IMAGES)
    assert found is not None, seen
    assert (found.stage, found.cause) == (stage, cause), seen


JOB = JobOptions(InputOptions(inputs=("gs://b/in",)), ModelOptions(), OutputOptions("gs://b/out"))


@pytest.mark.parametrize("cause", Cause)
@pytest.mark.parametrize("stage", [each for each in Stage if each not in ("row", "publish")])
def test_advice_names_a_flag_that_there_is(stage: Stage, cause: Cause) -> None:
    text = advise(Slowest(stage, 0.5, cause, 12.3), JOB)
    (flag,) = re.findall(r"--\w+", text)
    assert flag in make_parser().format_help()


def test_progress_says_how_many_of_how_many_and_how_long() -> None:
    now_s, seen = [100.0], [Progress()]
    follow = progress.make_follow(lambda: seen[0], lambda: now_s[0])
    assert progress.describe_progress(follow(), JOB).endswith(" · listing")
    seen[0] = Progress(listed=1_000)
    assert progress.describe_progress(follow(), JOB).endswith(" · starting")
    now_s[0], seen[0] = 105.0, Progress(1_000, 49, 1)
    follow()
    now_s[0] = 115.0
    held_s = {"read": 8.0, "predict": 2.0}
    seen[0] = Progress(1_000, 190, 10, 7, 3, held_s=held_s)
    assert progress.describe_progress(follow(), JOB) == (
        "200 of 1,000 images · 190 ok · 10 errors · 7 skipped · 3 duplicates"
        " · 15.0 images/s now, 13.3 in the mean · 53 s left"
        " · slowest: read, 80% of the time; try --read_concurrency=128, or a place nearer to the"
        " store"
    )


def test_when_all_images_are_done_it_says_how_far_publishing_is() -> None:
    now_s, seen = [0.0], [Progress(240, 240)]
    follow = progress.make_follow(lambda: seen[0], lambda: now_s[0])
    now_s[0] = 20.0
    assert progress.describe_pace(follow()).endswith("12.0 in the mean")
    seen[0] = Progress(240, 240, to_publish=1_024, published=32)
    assert progress.describe_pace(follow()) == "publishing: 32 of 1,024 files"


def test_a_run_that_stands_still_says_so_and_goes_by_its_mean() -> None:
    now_s, seen = [0.0], [Progress(100, 50)]
    follow = progress.make_follow(lambda: seen[0], lambda: now_s[0])
    for at_s in (10.0, 20.0, 30.0):
        now_s[0] = at_s
        found = follow()
    assert (found.now, found.mean, found.left_s) == (0.0, 50 / 30, 30.0)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_500, "2 h 05 min")]
)
def test_the_time_left_is_told_as_people_do(seconds: float, text: str) -> None:
    assert progress._describe_time(seconds) == text


def test_a_terminal_is_drawn_on_and_quiet_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for is_quiet, count in ((False, 1), (True, 0)):
        terminal = io.StringIO()
        monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
        monkeypatch.setattr("sys.stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "120")
        with progress.show_progress(JOB, is_quiet=is_quiet):
            BOARD.add(listed=4, ok=3, error=1)
        shown = terminal.getvalue()
        assert min(1, shown.count("4 of 4 images · 3 ok · 1 error")) == count
        assert bool(shown) is not is_quiet


def test_elsewhere_a_line_comes_now_and_then(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "_LOG_S", 0.01)
    caplog.set_level("INFO", "imgcls")
    with progress.show_progress(JOB):
        BOARD.add(listed=4, ok=3)
        while not caplog.records:
            time.sleep(0.01)
    assert "3 of 4 images" in caplog.text


def test_a_job_elsewhere_is_told_by_its_state_then_by_its_engines_counters() -> None:
    now_s, far = [0.0], argparse.Namespace(state=None, counted=Progress())
    follow = progress.make_follow(Progress, lambda: now_s[0], far)
    assert progress.describe_pace(follow()) == "listing"
    far.state, now_s[0] = "RUNNING", 30.0
    assert progress.describe_pace(follow()) == "job running · 30 s"
    far.counted, now_s[0] = Progress(listed=100, ok=40, error=10), 50.0
    said = progress.describe_progress(follow(), JOB)
    assert said.startswith("50 of 100 images · 40 ok · 10 errors · ")
    assert said.endswith(" left")


class FarJob:
    """A job of a service that does not count; its client keeps what it was told last."""

    _job_id = "job-7"
    told = ""

    @property
    def state(self) -> str:
        self.told = "RUNNING"
        return self.told

    def metrics(self) -> None:
        raise NotImplementedError


def test_a_job_elsewhere_is_followed_and_who_waits_for_it_is_not_disturbed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "_LOG_S", 0.01)
    monkeypatch.setattr(far_progress, "_ASK_S", 0.01)
    caplog.set_level("INFO", "imgcls")
    job: Any = FarJob()
    with progress.show_progress(JOB) as watch:
        watch(job)
        for _ in range(6000):
            if "job running" in caplog.text:
                break
            time.sleep(0.01)
    assert "job running" in caplog.text
    assert job.told == ""
