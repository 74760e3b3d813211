"""The job behind `classify`: checks at the edge, the graph, and its run."""

import contextlib
import dataclasses
import datetime
import functools
import json
import logging
from collections.abc import Iterator, Mapping, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    StandardOptions,
)

from imgcls_beam.errors import RunExistsError
from imgcls_beam.listing import check_inputs
from imgcls_beam.metrics import RunCounts, SubmittedJob
from imgcls_beam.model_checks import check_model
from imgcls_beam.models import resolve_model
from imgcls_beam.options import InputOptions, JobOptions, OutputOptions
from imgcls_beam.scoring import ModelSource, Scoring
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
    abandon_output,
    begin_jsonl,
    begin_session,
    find_missing_folders,
    list_own,
)
from imgcls_beam.stores import FaultKind, ask, kind_of, share_haste
from imgcls_beam.transforms import (
    ClassifyImages,
    ClassifyImagesByModel,
    ListImages,
    to_scoring,
)
from imgcls_beam.warehouse import CurrentRun, WriteTable

from . import (
    job_services,
    noise,
    preflight,
    progress,
    run_failures,
    startup,
    table_output,
    worker_watch,
)
from .job_description import describe_job
from .runners import goes_on_alone, is_local, is_spread, make_pipeline, to_beam_options

_LOG = logging.getLogger("imgcls")
_CONSOLE = "https://console.cloud.google.com/dataflow/jobs"


def run(
    job: JobOptions,
    beam_arguments: Sequence[str],
    started_at: datetime.datetime,
    *,
    is_quiet: bool = False,
) -> RunRecord | RunCounts | SubmittedJob:
    """Checks everything that can be checked before the first image, then runs the pipeline.

    Args:
        job: what to do.
        beam_arguments: Beam's flags.
        started_at: when the program was started, UTC.
        is_quiet: no progress is shown.

    Returns:
        The published record, or the counts where no rows were asked for; or the job that goes on
        without this program, on Dataflow.

    Raises:
        ImgclsError: in one sentence, what is wrong; nothing was published.
    """
    options = to_beam_options(beam_arguments)
    pipeline = make_pipeline(options)
    job_services.ask_service(options)
    if goes_on_alone(options.view_as(StandardOptions).runner):
        noise.show_all()  # a service's log is what is read there
    elif is_local(options):
        preflight.check_sandbox(job)
    preflight.check_stores(job.input, job.output, job.model)
    preflight.check_stores(model=job.compare_with)
    job = dataclasses.replace(job, input=_leave_out_own(job.input, job.output))
    check_inputs(job.input)
    with table_output.scratch_output(job.output, options, is_local(options)) as output:
        current = table_output.begin_table(output)
        job = dataclasses.replace(job, output=output)
        return _run_checked(job, pipeline, started_at, current, is_quiet)


def _leave_out_own(images: InputOptions, output: OutputOptions) -> InputOptions:
    """The inputs, without what this job and earlier ones wrote to the same place."""
    return dataclasses.replace(images, own_output=list_own(output))


def _run_checked(
    job: JobOptions,
    pipeline: beam.Pipeline,
    started_at: datetime.datetime,
    current: CurrentRun,
    is_quiet: bool,
) -> RunRecord | RunCounts | SubmittedJob:
    options = pipeline.options
    scorings = _find_scorings(job)
    if not is_local(options):  # here it is loaded before anything is read
        for each in scorings:
            check_model(each.model)
    with share_haste(), contextlib.ExitStack() as begun:
        try:
            rows = _begin_rows(begun, job.output, scorings, started_at)
        except RunExistsError:
            finished = table_output.finish_load(job.output, current)
            if finished is None:
                raise
            return finished
        lines = _begin_lines(begun, job.output)
        connect, heard = begun.enter_context(worker_watch.watch_workers(options))
        write_table = table_output.make_writer(job.output, current, is_local(options))
        build(pipeline, job, scorings, rows, lines, write_table, connect)
        if goes_on_alone(options.view_as(StandardOptions).runner):
            return _submit(pipeline, options)
        model = _loaded_models(job, scorings) if is_local(options) else contextlib.nullcontext()
        several = is_spread(options)
        with model, progress.show_progress(job, several=several, is_quiet=is_quiet) as watch:
            counts = run_failures.run_to_end(pipeline, rows, lines, job.output, (watch, heard))
    if rows is None:
        assert counts is not None  # only a run of rows ends without
        return counts
    return _read_back(rows, counts)


def _read_back(rows: Session, counts: RunCounts | None) -> RunRecord | RunCounts:
    """The record of a run that is published; its counts where the store does not give it now."""
    try:
        record = ask(rows.read_record)
    except KeyboardInterrupt:
        if counts is None:
            raise
        _LOG.warning("interrupted, but the rows were published before")
        return counts
    if not isinstance(record, Exception):
        return record
    if counts is None or kind_of(record) is FaultKind.OTHER:
        raise record
    place = rows.folder.url_of(rows.paths.record)
    _LOG.warning("the rows were published, but %s cannot be read now", place)
    return counts


def _find_scorings(job: JobOptions) -> list[Scoring]:
    """The models of a job, pinned, and what is asked of them."""
    return [
        to_scoring(model, resolve_model(model.model, model.revision, model.weights), job.decode)
        for model in job.models
    ]


def _submit(pipeline: beam.Pipeline, options: PipelineOptions) -> SubmittedJob:
    """Starts a job that goes on without this program."""
    result = pipeline.run()
    cloud = options.view_as(GoogleCloudOptions)
    if cloud.template_location is not None:
        return SubmittedJob(template=cloud.template_location)
    if not getattr(result, "has_job", False):
        return SubmittedJob()
    job_id, url = result.job_id(), None
    if cloud.project and cloud.region:
        url = f"{_CONSOLE}/{cloud.region}/{job_id}?project={cloud.project}"
    return SubmittedJob(job_id, url)


def _begin_rows(
    begun: contextlib.ExitStack,
    output: OutputOptions,
    scorings: Sequence[Scoring],
    started_at: datetime.datetime,
) -> Session | None:
    """Begins the session of the rows; it is abandoned where the job fails."""
    if output.output is None:
        return None
    made = find_missing_folders(output)
    # An interrupt may come at any moment, also before the session is known here.
    abandon = functools.partial(abandon_output, output, made)
    begun.enter_context(abandon_on_error(abandon))
    return begin_session(output, scorings, started_at)


def _begin_lines(begun: contextlib.ExitStack, output: OutputOptions) -> JsonlSession | None:
    """Begins the session of the responses; it is abandoned where the job fails."""
    if output.jsonl is None:
        return None
    session = begin_jsonl(output.jsonl, output.session_id)
    begun.enter_context(abandon_on_error(functools.partial(abandon_jsonl, session)))
    return session


def build(
    pipeline: beam.Pipeline,
    job: JobOptions,
    scorings: Sequence[Scoring],
    rows: Session | None,
    lines: JsonlSession | None,
    write_table: WriteTable | None = None,
    connect: beam.PTransform | None = None,
) -> beam.Pipeline:
    """Builds the graph: list, read, prepare, predict, row, sink, commit.

    `connect` is a step behind the list of images.
    """
    refs, skipped = _list_images(pipeline, job, scorings[0])
    if connect is not None:
        refs = refs | "ConnectWorker" >> connect
    hints = {} if job.accelerator is None else {"accelerator": job.accelerator}
    outcomes = _classify(refs, job, [each.model for each in scorings], hints)
    record = None
    if rows is not None:
        configuration = json.dumps(describe_job(job), sort_keys=True)
        write = WriteParquet(rows, skipped=skipped, configuration=configuration, hints=hints)
        record = outcomes | "WriteParquet" >> write
        if write_table is not None:
            _ = record | "WriteTable" >> write_table
    if lines is not None:
        _ = outcomes | "WriteJsonl" >> WriteJsonl(lines, after=record, hints=hints)
    return pipeline


def _classify(
    refs: beam.PCollection,
    job: JobOptions,
    sources: Sequence[ModelSource],
    hints: Mapping[str, str],
) -> beam.PCollection:
    """The outcomes of the job's models: of each image one for each."""
    if job.compare_with is None:
        one = ClassifyImages(job.model, source=sources[0], read=job.read, decode=job.decode)
        classified = refs | "ClassifyImages" >> one.with_resource_hints(**hints)
        return classified.outcomes
    both = ClassifyImagesByModel(job.models, job.read, job.decode, sources)
    found = refs | "ClassifyImages" >> both.with_resource_hints(**hints)
    return tuple(each.outcomes for each in found) | "BothModels" >> beam.Flatten()


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


@contextlib.contextmanager
def _loaded_models(job: JobOptions, scorings: Sequence[Scoring]) -> Iterator[None]:
    """Loads the models before anything is read; stages of this process find them loaded.

    Raises:
        ModelError: it cannot be loaded, or would predict at random.
    """
    with startup.pause_collector():
        from imgcls_beam.outcome_handler import OutcomeHandler

        pairs = zip(job.models, scorings, strict=True)
        loaded = [OutcomeHandler(model, source=each.model).load_model() for model, each in pairs]
        startup.keep_loaded()
    yield
    del loaded
