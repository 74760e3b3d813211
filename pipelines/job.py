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
    PipelineOptions,
    PrismRunnerOptions,
    StandardOptions,
)

from imgcls_beam.classifying import resolve_model
from imgcls_beam.elements import ModelSource
from imgcls_beam.errors import ConfigError, PublishError
from imgcls_beam.listing import check_inputs
from imgcls_beam.options import JobOptions, ModelOptions
from imgcls_beam.rows import RunContext
from imgcls_beam.sinks import (
    Layout,
    RunRecord,
    WriteParquet,
    check_output_writable,
    check_run_free,
    clear_attempt,
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
) -> RunRecord | None:
    """Checks everything that can be checked before the first image, then runs the pipeline.

    Returns:
        The published record; None where the runner works on without this program.

    Raises:
        ImgclsError: in one sentence, what is wrong; nothing was published.
    """
    options = _to_beam_options(beam_arguments)
    check_inputs(job.input)
    source = resolve_model(job.model.model, job.model.revision)
    context = make_context(job, source)
    layout = Layout.of_run(job.output, context)
    check_output_writable(layout)
    check_run_free(job.output.output, job.output.run_id)
    pipeline = build(beam.Pipeline(options=options), job, context, source, started_at)
    if options.view_as(StandardOptions).runner not in _LOCAL_RUNNERS:
        pipeline.run()
        return None
    with _loaded_model(job, source), _discard_on_failure(layout), display.show_progress():
        _run_to_end(pipeline)
    return read_record(layout.record)


def build(
    pipeline: beam.Pipeline,
    job: JobOptions,
    context: RunContext,
    source: ModelSource,
    started_at: datetime.datetime,
) -> beam.Pipeline:
    """Builds the graph: list, read, prepare, predict, row, sink, publish."""
    refs = pipeline | "ListImages" >> ListImages(job.input)
    listed = refs | "CountListed" >> beam.combiners.Count.Globally()
    model = {name: getattr(job.model, name) for name in _names_of(job.model)}
    classify = ClassifyImages(**model, source=source, read=job.read, decode=job.decode)
    configuration = json.dumps(describe_job(job), sort_keys=True)
    write = WriteParquet(context, job.output, listed, configuration, started_at)
    (refs | "ClassifyImages" >> classify).outcomes | "WriteParquet" >> write
    return pipeline


def make_context(job: JobOptions, source: ModelSource) -> RunContext:
    """What all rows of the run share."""
    return RunContext(
        run_id=job.output.run_id,
        run_date=job.output.run_date,
        model_id=source.model_id,
        model_revision=source.revision,
        library_versions=json.dumps(_find_versions(), sort_keys=True),
        top_k=job.model.top_k,
        function_to_apply=job.model.function_to_apply,
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


def _find_versions() -> dict[str, str]:
    """Versions of what has a say in a score; a launcher need not have all of it."""
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
def _discard_on_failure(layout: Layout) -> Iterator[None]:
    """Removes what a failed run staged."""
    try:
        yield
    except BaseException:
        clear_attempt(layout)
        raise


def _run_to_end(pipeline: beam.Pipeline) -> None:
    """Runs on a local runner, which has logged the traceback of whatever it raises.

    Raises:
        PublishError: the run failed.
    """
    try:
        pipeline.run().wait_until_finish()
    except Exception as error:  # the program's edge: a defect is told in one sentence too
        reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
        problem = f"{type(error).__name__}: {reason}"
        raise PublishError(f"the run failed and nothing was published ({problem})") from error
