"""The head of a report, and the list of facts at its end, from the run record."""

from collections.abc import Iterator

from imgcls_beam.analysis.report_page.page_facts import RunFacts
from imgcls_beam.analysis.report_page.page_text import spell_bytes, spell_duration, spell_time
from imgcls_beam.analysis.report_page.row_tally import Tally
from imgcls_beam.analysis.run_rows import RunRows
from imgcls_beam.passed_over import PassedOver
from imgcls_beam.sinks import RecordedModel, RunRecord

_STATUSES = ("ok", "error", "skipped")
_SHOWN_VERSIONS = ("imgcls_beam", "apache-beam", "transformers", "torch", "openvino", "pillow")


def describe_run(rows: RunRows, model: RecordedModel, tally: Tally) -> RunFacts:
    """The head of the report of a model's rows in a run."""
    record = rows.record
    is_alone = len(record.models) < 2
    return RunFacts(
        run_id=record.run_id,
        run_date=record.run_date,
        started_at=record.started_at,
        finished_at=record.finished_at,
        models=(model.display_name,),
        counts={name: tally.statuses[name] for name in _STATUSES} | {"listed": tally.rows},
        images_per_s=record.images_per_s if is_alone else None,
        details=tuple(list_details(record, rows.place, model)),
    )


def list_details(record: RunRecord, place: str, model: RecordedModel) -> Iterator[tuple[str, str]]:
    """Names and values of what is known of a model's rows in a run."""
    return (pair for pair in _list_all(record, place, model) if pair[1])


def _list_all(record: RunRecord, place: str, model: RecordedModel) -> Iterator[tuple[str, str]]:
    yield "Rows", place
    yield "Model", model.id
    yield "Revision", model.revision
    yield "Weights", model.weights or ""
    yield "Labels a row", "all" if model.top_k is None else f"{model.top_k:,}"
    yield "Function", model.function_to_apply or "the model's own"
    yield "Preparation", model.preprocess
    yield from _list_engines(record, model.key)
    yield "Started", spell_time(record.started_at)
    yield "Finished", spell_time(record.finished_at)
    yield "Ran for", spell_duration(record.duration_s)
    times = len(record.publications)
    yield "Published", f"{times:,} times" if times > 1 else ""
    if len(record.models) < 2:
        yield from _list_sums(record)
    yield "Passed over", PassedOver.from_json(record.passed_over).describe()
    yield "Versions", _list_versions(record)


def _list_engines(record: RunRecord, model_key: str) -> Iterator[tuple[str, str]]:
    for each in record.engines:
        if each.model_key == model_key:
            yield "Engine", f"{each.engine}: {each.why}" if each.why else each.engine


def _list_sums(record: RunRecord) -> Iterator[tuple[str, str]]:
    """Sums over all rows of a run, which of several models are not those of one."""
    summary = record.summary
    done = max(summary["counts"]["ok"], 1)
    yield "Bytes read", spell_bytes(summary["bytes_read"])
    yield "Preparation per image", f"{summary['preprocess_ms'] / done:,.1f} ms"
    yield "Inference per image", f"{summary['inference_ms'] / done:,.1f} ms"
    yield "Duplicates", f"{summary['duplicates']:,}" if summary["duplicates"] else ""
    yield "Scored with an equal image", f"{summary['shared']:,}" if summary["shared"] else ""


def _list_versions(record: RunRecord) -> str:
    versions = record.library_versions
    known = (name for name in _SHOWN_VERSIONS if name in versions)
    return ", ".join(f"{name} {versions[name]}" for name in known)
