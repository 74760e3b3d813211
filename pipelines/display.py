"""What a person sees of a run at its end: rows and counts, and where they are."""

import itertools
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from apache_beam.runners.runner import PipelineResult

from imgcls_beam.metrics import RunCounts
from imgcls_beam.options import OutputOptions
from imgcls_beam.passed_over import PassedOver
from imgcls_beam.sinks import RunRecord
from imgcls_beam.stores import open_store

from .terminal import escape

_SHOWN_OK, _SHOWN_ERRORS = 7, 3
_SHOWN_CHARS = 44
_CONSOLE = "https://console.cloud.google.com/dataflow/jobs"
_COLUMNS = ("image_uri", "status", "top_label", "top_score", "error")


def describe_submitted(result: PipelineResult, options: PipelineOptions) -> str:
    """Where a job is that goes on without this program."""
    cloud = options.view_as(GoogleCloudOptions)
    if cloud.template_location is not None:
        return f"template: {cloud.template_location}\n"
    if not getattr(result, "has_job", False):
        return ""
    job_id = result.job_id()
    text = f"submitted: {job_id}\n"
    if cloud.project and cloud.region:
        text += f"{_CONSOLE}/{cloud.region}/{job_id}?project={cloud.project}\n"
    return text


def describe_end(ended: RunRecord | RunCounts, output: OutputOptions) -> str:
    """The end of a run: rows and counts, and where they are."""
    text = ""
    if isinstance(ended, RunRecord):
        text = describe_run(ended, output.output)
    else:
        counted = f"{ended.ok:,} ok, {ended.error:,} error of {ended.listed:,} listed"
        text = f"{counted}{_describe_equal(ended.duplicates)}\n"
        text += f"passed over: {ended.passed_over:,} files\n" if ended.passed_over else ""
    if output.table is not None:
        text += f"table:  {escape(output.table)}\n"
    if output.jsonl is not None:
        text += f"responses: {escape(output.jsonl)}\n"
    return text


def describe_run(record: RunRecord, output: str | None) -> str:
    """The end of a run: some rows, the counts, and where the rows are; None where in no folder."""
    counts, beside = record.counts, PassedOver.from_json(record.passed_over).describe()
    lines = [
        *([] if output is None else [*_make_table(_read_some_rows(record, output)), ""]),
        f"{counts['ok']:,} ok, {counts['error']:,} error"
        + (f", {counts['skipped']:,} skipped" if counts["skipped"] else "")
        + f" of {counts['listed']:,} listed"
        + _describe_equal(record.summary["duplicates"], record.summary["shared"])
        + f" · {record.images_per_s:.1f} img/s with start-up"
        + f" · model {', '.join(model.display_name for model in record.models)}"
        + _describe_engines(record),
        *(f"  {each['count']:,} × {each['stage']}: {each['code']}" for each in _errors(record)),
        *([f"passed over: {beside}"] if beside else []),
        *([] if output is None else _describe_places(record, output.rstrip("/"))),
    ]
    return escape("\n".join(lines), keep="\n") + "\n"


def _describe_engines(record: RunRecord) -> str:
    """What ran the models."""
    names = sorted({each.engine for each in record.engines})
    return f" on {' and '.join(names)}" if names else ""


def _describe_equal(duplicates: int, shared: int = 0) -> str:
    """How many references were equal to others, and how many rows have the scores of others."""
    counts = {
        f"duplicate{'s' * (duplicates != 1)}": duplicates,
        "scored with an equal image": shared,
    }
    return "".join(f" · {count:,} {what}" for what, count in counts.items() if count)


def _describe_places(record: RunRecord, output: str) -> list[str]:
    return [
        f"rows:   {output}/predictions  ({len(record.files)} file(s))",
        f"record: {output}/runs/{record.run_id}.json",
    ]


def _errors(record: RunRecord) -> Sequence[dict[str, str | int]]:
    errors: Sequence[dict[str, str | int]] = record.summary["errors"]
    return errors


def _read_some_rows(record: RunRecord, output: str) -> list[dict[str, object]]:
    """Some of the first rows of the first file: good ones, then failures."""
    if not record.files:
        return []
    store, path = open_store("output", f"{output.rstrip('/')}/{record.files[0].path}")
    with store.open(path, "rb") as file:
        first = next(pq.ParquetFile(file).iter_batches(1024, columns=list(_COLUMNS)))
    rows = pa.Table.from_batches([first]).to_pylist()
    good = [row for row in rows if row["status"] == "ok"]
    bad = [row for row in rows if row["status"] == "error"]
    return [*_spread(good, _SHOWN_OK), *_spread(bad, _SHOWN_ERRORS)]


def _spread(rows: Sequence[dict[str, object]], count: int) -> Sequence[dict[str, object]]:
    """So many rows from all over a list."""
    return rows[:: max(1, -(-len(rows) // count))]


def _make_table(rows: Sequence[dict[str, object]]) -> list[str]:
    if not rows:
        return []
    uris = [str(row["image_uri"]) for row in rows]
    folder = _find_common_folder(uris)
    images = [_shorten(escape(uri.removeprefix(f"{folder}/"))) for uri in uris]
    head = ("image", "status", "label or reason", "score")
    cells = [head, *(_to_cells(*pair) for pair in zip(images, rows, strict=True))]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = [
        "  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    rule = "  ".join("─" * width for width in widths)
    return [f"some of the rows, below {folder}/", "", lines[0], rule, *lines[1:]]


def _find_common_folder(uris: Sequence[str]) -> str:
    folders = [uri.split("/")[:-1] for uri in uris]
    levels = itertools.takewhile(_are_equal, zip(*folders, strict=False))
    return "/".join(names[0] for names in levels)


def _are_equal(names: Sequence[str]) -> bool:
    return len(set(names)) == 1


def _to_cells(image: str, row: dict[str, object]) -> tuple[str, str, str, str]:
    error = row["error"]
    if isinstance(error, dict):
        return image, "error", f"{error['stage']}: {error['code']}", ""
    label = _shorten(escape(str(row["top_label"])))
    return image, str(row["status"]), label, f"{row['top_score']:.4f}"


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"…{text[1 - _SHOWN_CHARS :]}"
