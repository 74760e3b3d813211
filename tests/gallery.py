"""A small output folder of which every number is known: what the tests of SQL ask.

Ten images; two nightly runs with one model, and one run with another. Image 6 fails in the first
night and not in the second, image 7 in both, image 2 is another one in the second night, images 0
and 1 are skipped there. Beside them lie what must not be seen: the rows of a run that never ended,
and a file that a replaced run left.
"""

import datetime
import pathlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import apache_beam as beam
import duckdb
from apache_beam.options.pipeline_options import PipelineOptions

from imgcls_beam.elements import Failure, ImageFacts, ImageRef, Outcome, Prediction, Skipped
from imgcls_beam.errors import FailureCode, Stage
from imgcls_beam.options import IfExists, OutputOptions
from imgcls_beam.scoring import AppliedParameters, Execution, Scoring
from imgcls_beam.sinks import WriteParquet
from imgcls_beam.spec import LabelScore
from imgcls_beam.warehouse.views import render_duckdb
from tests.runners import IN_MEMORY
from tests.staged import Run, scoring_of

MODEL_A = ("google/vit-base-patch16-224", "3f49326eb077" + "0" * 28)
MODEL_B = ("facebook/convnext-large-224", "d5c4a1e77f02" + "0" * 28)
KEY_A = "google/vit-base-patch16-224@3f49326eb077"
KEY_B = "facebook/convnext-large-224@d5c4a1e77f02"
FIRST, SECOND, OTHER = "nightly-2026-11-21", "nightly-2026-11-22", "20261122"

Labels = Sequence[tuple[str, float]]
Said = Labels | FailureCode | None
"""What a run says of an image: labels, a failure, or None for skipped."""

FIRST_SAYS: Mapping[int, Said] = {
    0: [("cat", 0.9), ("dog", 0.08)],
    1: [("cat", 0.6), ("dog", 0.3)],
    2: [("dog", 0.55), ("cat", 0.44)],
    3: [("dog", 0.8), ("fox", 0.15)],
    4: [("fox", 0.7), ("cat", 0.2)],
    5: [("cat", 0.5), ("fox", 0.45)],
    6: FailureCode.NOT_FOUND,
    7: FailureCode.TRUNCATED,
}
SECOND_SAYS: Mapping[int, Said] = {
    0: None,
    1: None,
    2: [("cat", 0.7), ("dog", 0.2)],
    3: [("dog", 0.8), ("fox", 0.15)],
    4: [("fox", 0.7), ("cat", 0.2)],
    5: [("cat", 0.5), ("fox", 0.45)],
    6: [("dog", 0.95), ("cat", 0.03)],
    7: FailureCode.TRUNCATED,
    8: [("cat", 0.8), ("dog", 0.1)],
    9: [("fox", 0.52), ("dog", 0.46)],
}
OTHER_SAYS: Mapping[int, Said] = {
    0: [("cat", 0.8), ("dog", 0.1)],
    1: [("dog", 0.6), ("cat", 0.3)],
    2: [("cat", 0.9), ("dog", 0.05)],
    3: [("dog", 0.7), ("cat", 0.2)],
    4: [("cat", 0.51), ("fox", 0.4)],
    5: [("cat", 0.6), ("fox", 0.3)],
}


def make_uri(index: int) -> str:
    return f"gs://shop/{index}.jpg"


def make_run(run_id: str, day: int, model: tuple[str, str] = MODEL_A) -> Run:
    return Run(run_id, datetime.date(2026, 11, day), *model, '{"torch":"2.13"}', 2)


def make_outcomes(says: Mapping[int, Said], run: Run, hour: int = 2) -> list[Outcome | Skipped]:
    """Outcomes at the given hour of the run's day; image 2 has another content from the 22nd on."""
    at = datetime.datetime.combine(run.run_date, datetime.time(hour), datetime.UTC)
    return [_make_outcome(index, said, at, scoring_of(run)) for index, said in says.items()]


def _make_outcome(
    index: int, said: Said, at: datetime.datetime, scoring: Scoring
) -> Outcome | Skipped:
    content = 100 + index if index == 2 and at.day > 21 else index
    camera = {"camera": "front" if index % 2 else "back"}
    ref = ImageRef(make_uri(index), version=str(content), attributes=camera)
    if said is None:
        return Skipped(ref, scoring, at)
    if isinstance(said, FailureCode):
        stage = Stage.READ if said is FailureCode.NOT_FOUND else Stage.PREPARE
        return Failure(ref, stage, said, "a sentence", failed_at=at, scoring=scoring)
    return Prediction(
        ref=ref,
        labels=tuple(LabelScore(label, score) for label, score in said),
        margin=round(said[0][1] - said[1][1], 6) if len(said) > 1 else None,
        applied=AppliedParameters(2, "softmax", "model"),
        execution=Execution("cpu", "float32", 8, 2.0, at),
        scoring=scoring,
        facts=ImageFacts(1000, f"{content:064x}", 640, 480, "JPEG"),
        prepare_ms=1.0,
    )


def write_run(
    output: str,
    run: Run,
    outcomes: Sequence[Outcome | Skipped],
    if_exists: IfExists = "fail",
) -> None:
    """Publishes a run as a job does."""
    options = OutputOptions(output, run.run_id, run.run_date, if_exists)
    seen: list[Outcome] = [each for each in outcomes if not isinstance(each, Skipped)]
    unseen = [each for each in outcomes if isinstance(each, Skipped)]
    with beam.Pipeline(options=PipelineOptions(IN_MEMORY)) as pipeline:
        count = pipeline | "Count" >> beam.Create([len(outcomes)])
        skipped = pipeline | "Unseen" >> beam.Create(unseen).with_output_types(Skipped)
        rows = pipeline | "Seen" >> beam.Create(seen).with_output_types(Outcome)
        _ = rows | WriteParquet(options, count, skipped=skipped)


def hang_gallery(output: str) -> None:
    """Publishes the three runs, and puts beside them what must not be seen."""
    for says, run, hour in (
        (FIRST_SAYS, make_run(FIRST, 21), 2),
        (SECOND_SAYS, make_run(SECOND, 22), 2),
        (OTHER_SAYS, make_run(OTHER, 22, MODEL_B), 3),
    ):
        write_run(output, run, make_outcomes(says, run, hour))
    if "://" not in output:
        leave_leftovers(pathlib.Path(output))


def leave_leftovers(output: pathlib.Path) -> None:
    """Whole files that no record names: of a run that never ended, and of one that was replaced."""
    (published,) = output.glob(f"predictions/*/*/run_id={SECOND}/*.parquet")
    dead = published.parents[1] / "run_id=zz-dead"
    dead.mkdir()
    shutil.copy(published, dead / "part-00000-of-00001.parquet")
    shutil.copy(published, published.with_name("part-00000-of-00001-0ld0ld0l.parquet"))


Open = Callable[[str], duckdb.DuckDBPyConnection]


def open_views(output: str) -> duckdb.DuckDBPyConnection:
    """The views as they are printed, in a DuckDB that reads the folder itself."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(render_duckdb(output))
    return connection


def ask(connection: duckdb.DuckDBPyConnection, query: str) -> list[Any]:
    """The rows; of one column its values."""
    rows = connection.execute(query).fetchall()
    return [row[0] for row in rows] if rows and len(rows[0]) == 1 else rows


def make_small(folder: pathlib.Path, says: Any = None) -> str:
    """One run of two images."""
    run = make_run(FIRST, 21)
    write_run(str(folder), run, make_outcomes(says or {0: FIRST_SAYS[0], 6: FIRST_SAYS[6]}, run))
    return str(folder)
