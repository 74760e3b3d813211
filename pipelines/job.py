"""The job behind `classify`: checks at the edge, the graph, and its run."""

import contextlib
import dataclasses
import datetime
import importlib.metadata
import json
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    DirectOptions,
    PipelineOptions,
    PrismRunnerOptions,
    StandardOptions,
)

from imgcls_beam.elements import ModelSource
from imgcls_beam.errors import ConfigError, PublishError
from imgcls_beam.listing import check_inputs
from imgcls_beam.metrics import RunCounts, read_counts
from imgcls_beam.models import resolve_model
from imgcls_beam.options import JobOptions, ModelOptions, OutputOptions
from imgcls_beam.rows import RunContext
from imgcls_beam.sinks import (
    Layout,
    RunRecord,
    WriteJsonl,
    WriteParquet,
    check_jsonl_free,
    check_output_writable,
    check_run_free,
    clear_attempt,
    clear_jsonl,
    read_record,
)
from imgcls_beam.transforms import ClassifyImages, ListImages

from . import display

_LIBRARIES = ("apache-beam", "imgcls_beam", "numpy", "pillow", "pyarrow", "torch", "transformers")

_LOCAL_RUNNERS = ("FnApiRunner", "DirectRunner", "BundleBasedDirectRunner", "SwitchingDirectRunner")
_NO_PRISM = "/nonexistent/prism"
"""DirectRunner first tries to download Prism; a file that is not there keeps it off the network."""


def run(
    job: JobOptions, beam_arguments: Sequence[str], started_at: datetime.datetime
) -> RunRecord | RunCounts | None:
    """Checks everything that can be checked before the first image, then runs the pipeline.

    Returns:
        The published record, or the counts where no rows were asked for; None where the runner
        works on without this program.

    Raises:
        ImgclsError: in one sentence, what is wrong; nothing was published.
    """
    options = _to_beam_options(beam_arguments)
    check_inputs(job.input)
    source = resolve_model(job.model.model, job.model.revision)
    context = make_context(job, source)
    layout = _check_output(job.output, context)
    pipeline = build(beam.Pipeline(options=options), job, context, source, started_at)
    if options.view_as(StandardOptions).runner not in _LOCAL_RUNNERS:
        pipeline.run()
        return None
    discard = _discard_on_failure(layout, job.output)
    with _loaded_model(job, source), discard, display.show_progress():
        counts = _run_to_end(pipeline, layout)
    return counts if layout is None else read_record(layout.record)


def build(
    pipeline: beam.Pipeline,
    job: JobOptions,
    context: RunContext,
    source: ModelSource,
    started_at: datetime.datetime,
) -> beam.Pipeline:
    """Builds the graph: list, read, prepare, predict, row, sink, publish."""
    refs = pipeline | "ListImages" >> ListImages(job.input, is_spread(pipeline.options))
    listed = refs | "CountListed" >> beam.combiners.Count.Globally()
    model = {name: getattr(job.model, name) for name in _names_of(job.model)}
    classify = ClassifyImages(**model, source=source, read=job.read, decode=job.decode)
    outcomes = (refs | "ClassifyImages" >> classify).outcomes
    record = None
    if job.output.output is not None:
        configuration = json.dumps(describe_job(job), sort_keys=True)
        write = WriteParquet(context, job.output, listed, configuration, started_at)
        record = outcomes | "WriteParquet" >> write
    if job.output.jsonl is not None:
        write_lines = WriteJsonl(job.output.jsonl, listed, record, job.output.attempt)
        _ = outcomes | "WriteJsonl" >> write_lines
    return pipeline


def is_spread(options: PipelineOptions) -> bool:
    """Whether more than one worker reads: a local runner has one, unless it was asked for more."""
    is_local = options.view_as(StandardOptions).runner in _LOCAL_RUNNERS
    return not is_local or options.view_as(DirectOptions).direct_num_workers != 1


def _check_output(output: OutputOptions, context: RunContext) -> Layout | None:
    if output.jsonl is not None:
        check_jsonl_free(output.jsonl)
    if output.output is None:
        return None
    layout = Layout.of_run(output, context)
    check_output_writable(layout)
    check_run_free(output.output, output.run_id)
    return layout


def make_context(job: JobOptions, source: ModelSource) -> RunContext:
    """What all rows of the run share."""
    return RunContext(
        run_id=job.output.run_id,
        run_date=job.output.run_date,
        model_id=source.model_id,
        model_revision=source.revision,
        library_versions=json.dumps(find_versions(), sort_keys=True),
        top_k=job.model.top_k,
        function_to_apply=job.model.function_to_apply,
        model_weights=source.weights,
    )


def describe_job(job: JobOptions) -> dict[str, Any]:
    """The configuration as it stands in the run record: what decides over the rows.

    Two jobs of equal configuration are one job at two times: neither the run's name nor its start
    is in it.
    """
    described = dataclasses.asdict(job)
    del described["output"]
    return described


def _names_of(options: ModelOptions) -> list[str]:
    return [field.name for field in dataclasses.fields(options)]


def find_versions() -> dict[str, str]:
    """Versions by name of what has a say in a score; a launcher need not have all of it."""
    versions = {}
    for name in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def _to_beam_options(arguments: Sequence[str]) -> PipelineOptions:
    """Beam's options; without a runner, the local one that never touches the network."""
    options = PipelineOptions(list(arguments))
    standard = options.view_as(StandardOptions)
    if standard.runner is None:
        standard.runner = "FnApiRunner"
    if standard.runner == "DaskRunner":
        raise ConfigError("runner", "DaskRunner", "it runs the last sink only and says DONE")
    prism = options.view_as(PrismRunnerOptions)
    if standard.runner in _LOCAL_RUNNERS and prism.prism_location is None:
        prism.prism_location = _NO_PRISM
    return options


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


@contextlib.contextmanager
def _discard_on_failure(layout: Layout | None, output: OutputOptions) -> Iterator[None]:
    """Removes what a failed run staged."""
    try:
        yield
    except BaseException:
        if layout is not None:
            clear_attempt(layout)
        if output.jsonl is not None:
            clear_jsonl(output.jsonl, output.attempt)
        raise


def _run_to_end(pipeline: beam.Pipeline, layout: Layout | None) -> RunCounts:
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
        what = "the rows were published, but not the responses"
        if not _is_published(layout):
            what = "the run failed and nothing was published"
        raise PublishError(f"{what} ({problem})") from error


def _is_published(layout: Layout | None) -> bool:
    """Whether this very start of the program has committed its rows."""
    with contextlib.suppress(OSError, ValueError):
        return layout is not None and read_record(layout.record).attempt == layout.attempt
    return False
