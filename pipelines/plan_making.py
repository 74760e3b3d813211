"""The steps of `plan`, in the order of the job's own."""

import argparse
import dataclasses
from collections.abc import Iterator

from imgcls_beam.errors import Stage
from imgcls_beam.listing import check_inputs
from imgcls_beam.models import fetch_model, resolve_model
from imgcls_beam.options import JobOptions
from imgcls_beam.planning import (
    Estimate,
    Listing,
    Pace,
    Plan,
    Probe,
    ScoreShift,
    count_listing,
    describe_model,
    estimate_gpu,
    estimate_machines,
    find_slowest_alone,
    is_form_kept,
    probe_images,
)
from imgcls_beam.preparing import load_preparer
from imgcls_beam.scoring import ModelSource, Scoring
from imgcls_beam.sinks import check_allowed, check_jsonl_new, list_own
from imgcls_beam.transforms import to_scoring

from . import pilot, preflight, startup
from .advice import advise


def make_plan(asked: argparse.Namespace) -> Plan:
    """Checks what the job would check, lists, probes, and estimates; writes nothing.

    Args:
        asked: what `plan_flags.parse_flags` gives.

    Raises:
        ImgclsError: in one sentence, why the job could not be run.
    """
    job: JobOptions = asked.job
    preflight.check_stores(job.input, job.output if asked.has_output else None, job.model)
    own = list_own(job.output) if asked.has_output else ()
    job = dataclasses.replace(job, input=dataclasses.replace(job.input, own_output=own))
    check_inputs(job.input)
    source = resolve_model(job.model.model, job.model.revision, job.model.weights)
    scoring = to_scoring(job.model, source, job.decode)
    if asked.has_output:
        _check_output(job, scoring)
    listing = count_listing(job, scoring)
    plan = _look_at_model(job, scoring, listing)
    pace = dataclasses.replace(plan.pace, start_s=pilot.time_start(asked.start_flags))
    estimates = tuple(_estimate(asked, source, listing, plan.probe, pace))
    return dataclasses.replace(plan, pace=pace, estimates=estimates)


def _check_output(job: JobOptions, scoring: Scoring) -> None:
    """Refuses what the job would find there, as far as reading tells."""
    if job.output.output is not None:
        check_allowed(job.output, [scoring])
    if job.output.jsonl is not None:
        check_jsonl_new(job.output.jsonl)
    if job.output.table is not None:
        from imgcls_beam.bigquery import connect, parse_table

        connect("output_table", parse_table(job.output.table))


def _look_at_model(job: JobOptions, scoring: Scoring, listing: Listing) -> Plan:
    """What asks the loaded model, which is let go at the end: all but a start and the estimates."""
    with startup.pause_collector():
        from imgcls_beam.outcome_handler import OutcomeHandler

    source = scoring.model
    preparer = load_preparer(source)
    was_kept = is_form_kept(job.model, source, preparer)
    alone = dataclasses.replace(job.read, dedupe="off")
    handler = OutcomeHandler(job.model, source=source, read=alone, decode=job.decode)
    classifier = handler.load_model()
    batch_size = handler.batch_elements_kwargs()["max_batch_size"]
    kept = was_kept or (False if is_form_kept(job.model, source, preparer) else None)
    facts = describe_model(job, source, classifier.describe(), preparer, batch_size, kept)
    if not listing.drawn:
        return Plan(listing, facts)
    probe = probe_images(listing.drawn, job, preparer, handler, classifier)
    pace, slowest = pilot.measure_pace(job, scoring, listing, probe), find_slowest_alone(probe)
    advice = "" if slowest is None else advise(slowest, job)
    shift = _find_shift(job, source, listing)
    return Plan(listing, facts, probe, shift, pace, slowest=slowest, advice=advice)


def _find_shift(job: JobOptions, source: ModelSource, listing: Listing) -> ScoreShift | None:
    """How far fast preparation moves the scores of the images that were drawn."""
    if job.decode.preprocess != "fast":
        return None
    from imgcls_beam.parity import compare_fast

    shifts = compare_fast(listing.drawn, job.model, source, job.read, job.decode)
    return ScoreShift.of(shifts)


def _estimate(
    asked: argparse.Namespace,
    source: ModelSource,
    listing: Listing,
    probe: Probe | None,
    pace: Pace,
) -> Iterator[Estimate]:
    price = asked.price_per_hour
    yield estimate_machines(listing, pace, 1, price)
    workers = asked.num_workers or 1
    if workers > 1:
        yield estimate_machines(listing, pace, workers, price)
    if asked.gpu is None or probe is None or probe.input_px is None:
        return
    from imgcls_beam.classifying.workload import count_work_gflop
    from imgcls_beam.cores import count_cores

    work_gflop = count_work_gflop(fetch_model(source), probe.input_px)
    rates = {each.stage: each.images_per_s for each in probe.rates}
    prepares = rates[Stage.PREPARE] / count_cores() if Stage.PREPARE in rates else None
    if work_gflop is not None:
        dtype = asked.job.model.dtype
        yield estimate_gpu(listing, pace, asked.gpu, dtype, work_gflop, prepares, workers, price)
