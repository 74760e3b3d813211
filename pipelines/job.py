"""The job behind `classify`: checks at the edge, the graph, and its run."""

import contextlib
import dataclasses
import datetime
import functools
import json
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from imgcls_beam.elements import ModelSource, Scoring
from imgcls_beam.errors import PublishError, RunExistsError
from imgcls_beam.listing import check_inputs
from imgcls_beam.metrics import RunCounts, read_counts
from imgcls_beam.models import resolve_model
from imgcls_beam.options import JobOptions, ModelOptions, OutputOptions
from imgcls_beam.selecting import SelectImages
from imgcls_beam.sinks import (
    JsonlSession,
    RunRecord,
    Selection,
    Session,
    WriteJsonl,
    WriteParquet,
    abandon_jsonl,
    abandon_on_error,
    abandon_session,
    begin_jsonl,
    begin_session,
    read_record,
)
from imgcls_beam.transforms import ClassifyImages, ListImages

from . import display, tables
from .runners import goes_on_alone, is_local, is_spread, to_beam_options


def run(
    job: JobOptions, beam_arguments: Sequence[str], started_at: datetime.datetime
) -> RunRecord | RunCounts | None:
    """Checks everything that can be checked before the first image, then runs the pipeline.

    Returns:
        The published record, or the counts where no rows were asked for; None where the job goes on
        without this program, on Dataflow.

    Raises:
        ImgclsError: in one sentence, what is wrong; nothing was published.
    """
    options = to_beam_options(beam_arguments)
    check_inputs(job.input)
    with tables.scratch_output(job.output, options, is_local(options)) as output:
        tables.check_table(output)
        return _run_checked(dataclasses.replace(job, output=output), options, started_at)


def _run_checked(
    job: JobOptions, options: PipelineOptions, started_at: datetime.datetime
) -> RunRecord | RunCounts | None:
    source = resolve_model(job.model.model, job.model.revision)
    try:
        with begun(job, source, started_at) as (rows, lines):
            pipeline = build(beam.Pipeline(options=options), job, source, rows, lines)
            if goes_on_alone(options):
                display.say_submitted(pipeline.run(), options)
                return None
            model = _loaded_model(job, source) if is_local(options) else contextlib.nullcontext()
            with model, display.show_progress():
                counts = _run_to_end(pipeline, rows, job.output)
            return counts if rows is None else read_record(rows.paths.record)
    except RunExistsError:
        finished = tables.finish_load(job.output)
        if finished is None:
            raise
        return finished


@contextlib.contextmanager
def begun(
    job: JobOptions, source: ModelSource, started_at: datetime.datetime
) -> Iterator[tuple[Session | None, JsonlSession | None]]:
    """The sessions of the table and of the responses; abandoned where the block fails.

    Raises:
        ConfigError: an output that cannot be written, or may not be.
    """
    output, rows, lines = job.output, None, None
    with contextlib.ExitStack() as stack:
        if output.output is not None:
            rows = begin_session(output, [_make_scoring(job, source)], started_at)
            stack.enter_context(abandon_on_error(functools.partial(abandon_session, rows)))
        if output.jsonl is not None:
            lines = begin_jsonl(output.jsonl, output.session_id)
            stack.enter_context(abandon_on_error(functools.partial(abandon_jsonl, lines)))
        yield rows, lines


def build(
    pipeline: beam.Pipeline,
    job: JobOptions,
    source: ModelSource,
    rows: Session | None,
    lines: JsonlSession | None,
) -> beam.Pipeline:
    """Builds the graph: list, read, prepare, predict, row, sink, commit."""
    refs, skipped = _list_images(pipeline, job, _make_scoring(job, source))
    wanted = refs | "CountWanted" >> beam.combiners.Count.Globally()
    model = {name: getattr(job.model, name) for name in _names_of(job.model)}
    hints = {} if job.accelerator is None else {"accelerator": job.accelerator}
    classify = ClassifyImages(**model, source=source, read=job.read, decode=job.decode)
    classify = classify.with_resource_hints(**hints)
    outcomes = (refs | "ClassifyImages" >> classify).outcomes
    record = None
    if rows is not None:
        configuration = json.dumps(describe_job(job), sort_keys=True)
        listed = _count_listed(wanted, skipped)
        write = WriteParquet(
            rows, listed, skipped=skipped, configuration=configuration, hints=hints
        )
        record = outcomes | "WriteParquet" >> write
        write_table = tables.make_writer(job.output, is_local(pipeline.options))
        if write_table is not None:
            _ = record | "WriteTable" >> write_table
    if lines is not None:
        _ = outcomes | "WriteJsonl" >> WriteJsonl(lines, wanted, record, hints)
    return pipeline


def _list_images(
    pipeline: beam.Pipeline, job: JobOptions, scoring: Scoring
) -> tuple[beam.PCollection, beam.PCollection | None]:
    """What is to be classified, and what is not looked at; None where that is nothing."""
    selection = Selection.of_run(job.output, scoring)
    spread = is_spread(pipeline.options)
    if selection is None:
        return pipeline | "ListImages" >> ListImages(job.input, spread), None
    select = SelectImages(job.input, selection, job.read, spread)
    selected = pipeline | "SelectImages" >> select
    return selected.wanted, selected.skipped


def _count_listed(wanted: beam.PCollection, skipped: beam.PCollection | None) -> beam.PCollection:
    if skipped is None:
        return wanted
    counts = (wanted, skipped | "CountSkipped" >> beam.combiners.Count.Globally())
    return counts | "BothCounts" >> beam.Flatten() | "CountListed" >> beam.CombineGlobally(sum)


def _make_scoring(job: JobOptions, source: ModelSource) -> Scoring:
    return Scoring(source, job.model.top_k, job.model.function_to_apply)


def describe_job(job: JobOptions) -> dict[str, Any]:
    """The configuration as it stands in the run record: what decides over the rows.

    Two jobs of equal configuration are one job at two times: neither the run's name nor its start
    is in it, and not where it runs.
    """
    described = dataclasses.asdict(job)
    del described["output"], described["accelerator"]
    return described


def _names_of(options: ModelOptions) -> list[str]:
    return [field.name for field in dataclasses.fields(options)]


@contextlib.contextmanager
def _loaded_model(job: JobOptions, source: ModelSource) -> Iterator[None]:
    """Loads the model before anything is read; stages of this process find it loaded.

    Raises:
        ModelError: it cannot be loaded, or would predict at random.
    """
    from imgcls_beam.handler import make_outcome_handler

    display.quiet_transformers()
    classifier = make_outcome_handler(job.model, source).load_model()
    yield
    del classifier


def _run_to_end(
    pipeline: beam.Pipeline, session: Session | None, output: OutputOptions
) -> RunCounts:
    """Runs on a local runner, which has logged the traceback of whatever it raises.

    Raises:
        PublishError: the run failed.
    """
    try:
        result = pipeline.run()
        result.wait_until_finish()
        return read_counts(result)
    except Exception as error:  # the program's edge: a defect is told in one sentence too
        reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
        problem = f"{type(error).__name__}: {reason}"
        later = {"the table": output.table, "the responses": output.jsonl}
        missing = " or ".join(name for name, place in later.items() if place is not None)
        what = f"the rows were published, but not {missing}"
        if not _is_published(session) or output.is_scratch:
            what = "the run failed and nothing was published"
        raise PublishError(f"{what} ({problem})") from error


def _is_published(session: Session | None) -> bool:
    """Whether this very session has committed its rows."""
    with contextlib.suppress(OSError, ValueError):
        if session is not None:
            return read_record(session.paths.record).session_id == session.session_id
    return False
