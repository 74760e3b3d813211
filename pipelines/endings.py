"""What is known of a run that has ended: for `--json`, and for the words that are shown."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from imgcls_beam.board import BOARD
from imgcls_beam.errors import FailureCode
from imgcls_beam.metrics import RunCounts
from imgcls_beam.options import OutputOptions
from imgcls_beam.sinks import RunRecord
from imgcls_beam.slowest import find_slowest

from . import samples

_MAY_PASS = (FailureCode.UNAVAILABLE, FailureCode.CHANGED, FailureCode.OUT_OF_MEMORY)
_COUNT_LABELS = "select top_label, count(*) as images from predictions_latest group by all"
_SHOW_ERRORS = "select image_uri, error.message from prediction_errors"


def to_fields(
    ended: RunRecord | RunCounts, output: OutputOptions, report: str | None = None
) -> dict[str, Any]:
    """A run that has ended: `run`, `places`, `sample` and `next`, values of JSON.

    `run` has the same names whatever was written; what is not known is null.

    Args:
        ended: the run.
        output: of the job.
        report: where its report is; None where there is none, or none yet.
    """
    run = _describe_record(ended) if isinstance(ended, RunRecord) else _describe_counts(ended)
    is_folder = isinstance(ended, RunRecord) and output.output is not None and not output.is_scratch
    first: Mapping[samples.StageAndCode, str] = {}
    rows: list[dict[str, Any]] = []
    if isinstance(ended, RunRecord) and output.output is not None and not output.is_scratch:
        first = samples.find_first_errors(ended, output.output)
        rows = samples.read_some_rows(ended, output.output)
    for each in run["errors"] or ():
        each["first_image_uri"] = first.get((each["stage"], each["code"]))
    return {
        "run": run | _describe_pace(),
        "places": _describe_places(ended, output, is_folder=is_folder) | {"report": report},
        "sample": rows,
        "next": _list_next(run, output, _list_keys(ended)) if is_folder else [],
    }


def _describe_record(record: RunRecord) -> dict[str, Any]:
    return {
        "run_id": record.run_id,
        "run_date": record.run_date.isoformat(),
        "counts": dict(record.counts),
        "duplicates": record.summary["duplicates"],
        "shared": record.summary["shared"],
        "passed_over": [dict(each) for each in record.passed_over],
        "errors": [dict(each) for each in record.summary["errors"]],
        "error_ratio": record.error_ratio,
        "retried": _describe_retry(record),
        "models": [model.display_name for model in record.models],
        "engines": sorted({each.engine for each in record.engines}),
        "duration_s": record.duration_s,
        "images_per_s_with_start_up": record.images_per_s,
    }


def _describe_retry(record: RunRecord) -> dict[str, int] | None:
    """What trying again has changed; None where that was not what was done last."""
    tried, good_now = record.publications[-1].rows, record.recovered
    if not tried or good_now is None:
        return None
    return {"tried": tried, "good_now": good_now, "still_failing": record.counts["error"]}


def _describe_counts(counted: RunCounts) -> dict[str, Any]:
    counts = {"listed": counted.listed, "ok": counted.ok, "error": counted.error, "skipped": 0}
    known = {"counts": counts, "duplicates": counted.duplicates, "error_ratio": counted.error_ratio}
    unknown = (
        *("run_id", "run_date", "shared", "retried", "passed_over", "errors", "models", "engines"),
        *("duration_s", "images_per_s_with_start_up"),
    )
    return dict.fromkeys(unknown) | known


def _describe_pace() -> dict[str, Any]:
    """How fast images were classified here, and what held that up; null where little is known.

    Of the images that this program has looked at: a run that was tried again or added to has more
    rows, and one of two models has two for each image.
    """
    seen = BOARD.read()
    seconds = seen.classified_s
    slowest = find_slowest(seen)
    return {
        "images_per_s": seen.done / seconds if seen.done and seconds > 0 else None,
        "slowest_stage": None if slowest is None else str(slowest.stage),
        "slowest_share": None if slowest is None else slowest.share,
    }


def _describe_places(
    ended: RunRecord | RunCounts, output: OutputOptions, *, is_folder: bool
) -> dict[str, Any]:
    rows = record = None
    if is_folder and isinstance(ended, RunRecord):
        root = str(output.output).rstrip("/")
        rows, record = f"{root}/predictions", f"{root}/runs/{ended.run_id}.json"
    return {"rows": rows, "record": record, "table": output.table, "responses": output.jsonl}


def _list_keys(ended: RunRecord | RunCounts) -> list[str]:
    """The models of a run."""
    return [each.key for each in ended.models] if isinstance(ended, RunRecord) else []


def _list_next(run: Mapping[str, Any], output: OutputOptions, models: Sequence[str]) -> list[str]:
    """Commands that are likely to be wanted now."""
    place = f"--output={output.output}"
    commands: list[tuple[str, ...]] = [("imgcls", "sql", place, _COUNT_LABELS)]
    if len(models) == 2:
        both = (f"--model={models[0]}", f"--with_model={models[1]}")
        commands.append(("imgcls", "compare", place, f"--run_id={run['run_id']}", *both))
    elif not output.report:
        commands.append(("imgcls", "report", place, f"--run_id={run['run_id']}"))
    if run["errors"]:
        commands.append(("imgcls", "sql", place, _SHOW_ERRORS))
    if any(each["code"] in _MAY_PASS for each in run["errors"]):
        commands.append(("imgcls", "retry", place, f"--run_id={run['run_id']}"))
    return [shlex.join(command) for command in commands]
