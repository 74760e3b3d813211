"""What a person sees of a run at its end: rows and counts, and where they are."""

import io
import itertools
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from imgcls_beam.metrics import RunCounts, SubmittedJob
from imgcls_beam.options import OutputOptions
from imgcls_beam.passed_over import PassedOver
from imgcls_beam.sinks import RunRecord

from . import endings
from .terminal import align, escape

_SHOWN_CHARS = 44
_HEAD = ("image", "status", "label or reason", "score")
_PLACES = {
    "rows": "rows:   ",
    "record": "record: ",
    "table": "table:  ",
    "responses": "responses: ",
}


def describe_submitted(job: SubmittedJob) -> str:
    """Where a job is that goes on without this program."""
    if job.template is not None:
        return f"template: {job.template}\n"
    if job.job_id is None:
        return ""
    return f"submitted: {job.job_id}\n" + (f"{job.url}\n" if job.url else "")


def describe_end(
    ended: RunRecord | RunCounts, output: OutputOptions, log: str | None = None
) -> str:
    """The end of a run: some rows, the counts, where everything is, and what to type next.

    Args:
        ended: the run.
        output: of the job.
        log: where what other libraries said is kept; None where they said nothing.
    """
    fields = endings.to_fields(ended, output)
    run = fields["run"]
    beside = _describe_passed_over(ended)
    lines = [
        *(_make_table(fields["sample"]) if fields["sample"] else []),
        *_describe_retry(run["retried"]),
        _describe_counts(run),
        *(_describe_errors(run["errors"] or ())),
        *([f"passed over: {beside}"] if beside else []),
        *_describe_pace(run),
        *(
            f"{name}{fields['places'][key]}"
            for key, name in _PLACES.items()
            if fields["places"][key]
        ),
        *([f"log of other libraries: {log}"] if log else []),
        *(f"next: {command}" for command in fields["next"]),
    ]
    return "\n".join(lines) + "\n"


def _describe_counts(run: Mapping[str, Any]) -> str:
    counts = run["counts"]
    others = {
        f"duplicate{'s' * (run['duplicates'] != 1)}": run["duplicates"],
        "scored with an equal image": run["shared"],
    }
    engines = f" on {' and '.join(run['engines'])}" if run["engines"] else ""
    text = (
        f"{counts['ok']:,} ok, {counts['error']:,} error"
        + (f", {counts['skipped']:,} skipped" if counts["skipped"] else "")
        + f" of {counts['listed']:,} listed"
        + "".join(f" · {count:,} {what}" for what, count in others.items() if count)
        + (f" · model {', '.join(run['models'])}{engines}" if run["models"] else "")
    )
    return escape(text)


def _describe_retry(retried: Mapping[str, int] | None) -> list[str]:
    if retried is None:
        return []
    still = f"{retried['still_failing']:,} of the run still failing"
    return [f"tried again: {retried['tried']:,}, good now: {retried['good_now']:,}, {still}"]


def _describe_errors(errors: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        escape(
            f"  {each['count']:,} × {each['stage']}: {each['code']}"
            + (f", first {each['first_image_uri']}" if each["first_image_uri"] else "")
        )
        for each in errors
    ]


def _describe_passed_over(ended: RunRecord | RunCounts) -> str:
    if isinstance(ended, RunRecord):
        return PassedOver.from_json(ended.passed_over).describe()
    return f"{ended.passed_over:,} files" if ended.passed_over else ""


def _describe_pace(run: Mapping[str, Any]) -> list[str]:
    """Images per second while they were classified; with start-up it is no measure of that."""
    if run["images_per_s"] is None:
        return []
    parts = [f"{run['images_per_s']:,.1f} images/s while they were classified"]
    if run["duration_s"] is not None:
        parts.append(f"{run['duration_s']:,.1f} s in all with start-up")
    lines = [" · ".join(parts)]
    if run["slowest_stage"] is not None:
        lines.append(f"slowest: {run['slowest_stage']}, {run['slowest_share']:.0%} of the time")
    return lines


def _make_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Some rows: drawn on a terminal, in columns elsewhere."""
    uris = [str(row["image_uri"]) for row in rows]
    folder = _find_common_folder(uris)
    images = [_shorten(escape(uri.removeprefix(f"{folder}/"))) for uri in uris]
    cells = [_to_cells(*pair) for pair in zip(images, rows, strict=True)]
    is_drawn = sys.stdout.isatty()
    table = _draw_table(cells) if is_drawn else align((_HEAD, *cells), len(_HEAD))
    return [escape(f"some of the rows, below {folder}/"), "", *table, ""]


def _draw_table(cells: Sequence[Sequence[str]]) -> list[str]:
    from rich.console import Console  # only where there is a terminal
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in _HEAD:
        table.add_column(name, justify="right" if name == "score" else "left", overflow="fold")
    for row in cells:
        style = "red" if row[1] == "error" else ""
        table.add_row(*(Text(cell, style=style) for cell in row))
    drawn = io.StringIO()
    width = Console(file=sys.stdout).width
    Console(file=drawn, force_terminal=True, width=width, legacy_windows=False).print(table)
    return [line.rstrip() for line in drawn.getvalue().splitlines()]


def _find_common_folder(uris: Sequence[str]) -> str:
    folders = [uri.split("/")[:-1] for uri in uris]
    levels = itertools.takewhile(_are_equal, zip(*folders, strict=False))
    return "/".join(names[0] for names in levels)


def _are_equal(names: Sequence[str]) -> bool:
    return len(set(names)) == 1


def _to_cells(image: str, row: Mapping[str, Any]) -> tuple[str, str, str, str]:
    error = row["error"]
    if isinstance(error, dict):
        return image, "error", f"{error['stage']}: {error['code']}", ""
    label = _shorten(escape(str(row["top_label"])))
    return image, str(row["status"]), label, f"{row['top_score']:.4f}"


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"…{text[1 - _SHOWN_CHARS :]}"
