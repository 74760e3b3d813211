"""The job behind `classify`: checks at the edge, the graph, and its run."""

import contextlib
import dataclasses
import datetime
import importlib.metadata
import json
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from imgcls_beam.elements import ModelSource, Scoring
from imgcls_beam.errors import PublishError
from imgcls_beam.listing import check_inputs
from imgcls_beam.metrics import RunCounts, read_counts
from imgcls_beam.models import resolve_model
from imgcls_beam.options import JobOptions, OutputOptions
from imgcls_beam.rows import RunContext
from imgcls_beam.selecting import SelectImages
from imgcls_beam.sinks import (
    Layout,
    RunRecord,
    Selection,
    WriteJsonl,
    WriteParquet,
    begin_attempt,
    check_attempt,
    check_jsonl_free,
    clear_attempt,
    clear_jsonl,
    find_standing,
    read_record,
)
from imgcls_beam.transforms import ClassifyImages, ListImages
from imgcls_beam.warehouse import WriteTable

from . import display, table_output
from .runners import goes_on_alone, is_local, is_spread, to_beam_options

_LIBRARIES = ("apache-beam", "imgcls_beam", "numpy", "pillow", "pyarrow", "torch", "transformers")


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
    with table_output.scratch_output(job.output, options, is_local(options)) as output:
        current = table_output.begin_table(output)
        finished = table_output.finish_load(output, current)
        if finished is not None:
            return finished
        write_table = table_output.make_writer(output, current, is_local(options))
        job = dataclasses.replace(job, output=output)
        return _run_checked(job, options, started_at, write_table)


def _run_checked(
    job: JobOptions,
    options: PipelineOptions,
    started_at: datetime.datetime,
    write_table: WriteTable | None,
) -> RunRecord | RunCounts | None:
    source = resolve_model(job.model.model, job.model.revision)
    context = make_context(job, source)
    layout = _check_output(job.output, context)
    pipeline = build(beam.Pipeline(options=options), job, context, source, started_at, write_table)
    if goes_on_alone(options):
        with _attempted(job.output, context, layout):
            display.say_submitted(pipeline.run(), options)
        return None
    with (
        _loaded_model(job, source) if is_local(options) else contextlib.nullcontext(),
        _attempted(job.output, context, layout),
        display.show_progress(),
    ):
        counts = _run_to_end(pipeline, layout, job.output)
    return counts if layout is None else read_record(layout.record)


def build(
    pipeline: beam.Pipeline,
    job: JobOptions,
    context: RunContext,
    source: ModelSource,
    started_at: datetime.datetime,
    write_table: WriteTable | None = None,
) -> beam.Pipeline:
    """Builds the graph: list, read, prepare, predict, row, sink, publish."""
    refs, skipped = _list_images(pipeline, job, _make_scoring(job, source))
    wanted = refs | "CountWanted" >> beam.combiners.Count.Globally()
    hints = {} if job.accelerator is None else {"accelerator": job.accelerator}
    classify = ClassifyImages(job.model, source=source, read=job.read, decode=job.decode)
    classify = classify.with_resource_hints(**hints)
    outcomes = (refs | "ClassifyImages" >> classify).outcomes
    record = None
    if job.output.output is not None:
        configuration = json.dumps(describe_job(job), sort_keys=True)
        listed = _count_listed(wanted, skipped)
        write = WriteParquet(
            *(context, job.output, listed, configuration, started_at, skipped, hints)
        )
        record = outcomes | "WriteParquet" >> write
        if write_table is not None:
            _ = record | "WriteTable" >> write_table
    if job.output.jsonl is not None:
        write_lines = WriteJsonl(job.output.jsonl, wanted, record, job.output.attempt, hints)
        _ = outcomes | "WriteJsonl" >> write_lines
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


def _check_output(output: OutputOptions, context: RunContext) -> Layout | None:
    if output.jsonl is not None:
        check_jsonl_free(output.jsonl)
    if output.output is None:
        return None
    return check_attempt(output, context)


def make_context(job: JobOptions, source: ModelSource) -> RunContext:
    """What all rows of the run share; a run that is tried again keeps its day."""
    standing = None
    if job.output.only == "errors" and job.output.output is not None:
        standing = find_standing(job.output.output, job.output.run_id)
    return RunContext(
        run_id=job.output.run_id,
        run_date=standing.record.run_date if standing else job.output.run_date,
        model_id=source.model_id,
        model_revision=source.revision,
        library_versions=json.dumps(find_versions(), sort_keys=True),
        top_k=job.model.top_k,
        function_to_apply=job.model.function_to_apply,
        model_weights=source.weights,
    )


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


def find_versions() -> dict[str, str]:
    """Versions by name of what has a say in a score; a launcher need not have all of it."""
    versions = {}
    for name in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


@contextlib.contextmanager
def _loaded_model(job: JobOptions, source: ModelSource) -> Iterator[None]:
    """Loads the model before anything is read; stages of this process find it loaded.

    Raises:
        ModelError: it cannot be loaded, or would predict at random.
    """
    from imgcls_beam.handler import OutcomeHandler

    display.quiet_transformers()
    classifier = OutcomeHandler(job.model, source=source).load_model()
    yield
    del classifier


@contextlib.contextmanager
def _attempted(output: OutputOptions, context: RunContext, layout: Layout | None) -> Iterator[None]:
    """Leaves the attempt's note; removes all that it staged where it fails."""
    made: list[str] = []
    try:
        if layout is not None:
            made = begin_attempt(output, context)
        yield
    except BaseException:
        if layout is not None:
            clear_attempt(layout, made)
        if output.jsonl is not None:
            clear_jsonl(output.jsonl, output.attempt)
        raise


def _run_to_end(pipeline: beam.Pipeline, layout: Layout | None, output: OutputOptions) -> RunCounts:
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
        if not _is_published(layout) or output.is_scratch:
            what = "the run failed and nothing was published"
        raise PublishError(f"{what} ({problem})") from error


def _is_published(layout: Layout | None) -> bool:
    """Whether this very start of the program has committed its rows."""
    with contextlib.suppress(OSError, ValueError):
        return layout is not None and read_record(layout.record).attempt == layout.attempt
    return False
