"""Small runs of a job whose rows go into a folder that is gone at once: how long the job takes.

A start is measured by starting: a process of its own, with the job's own flags, classifies one
image. The pace is the difference between a run of some images and a run of one, in this process.
"""

import dataclasses
import datetime
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

import apache_beam as beam

from imgcls_beam.elements import ImageRef
from imgcls_beam.errors import PublishError
from imgcls_beam.options import JobOptions, OutputOptions
from imgcls_beam.planning import Listing, Pace, Probe
from imgcls_beam.planning.estimating import find_image_s
from imgcls_beam.scoring import Scoring
from imgcls_beam.sinks import WriteParquet, begin_session
from imgcls_beam.transforms import ClassifyImages

from .runners import to_beam_options

_BUDGET_S = 2.0
"""For the images of a small run."""
_LEAST_IMAGES, _MOST_IMAGES = 24, 1024
_MOST_BYTES = 64 << 20
"""Of the images of a small run: they are read again from their store."""
_DONE = (0, 3)


def measure_pace(job: JobOptions, scoring: Scoring, listing: Listing, probe: Probe) -> Pace:
    """The pace of a job on this machine; its start is not looked at.

    Args:
        job: what is to be run; its model is held by this process meanwhile.
        scoring: its model, and what is asked of it.
        listing: what it would list; it has images.
        probe: of the images that were drawn.
    """
    alone = dataclasses.replace(job, read=dataclasses.replace(job.read, dedupe="off"))
    count, drawn = _choose_count(probe), listing.drawn
    _time_run(drawn[:1], alone, scoring)  # what is done once in a process is a part of the start
    one_s = _time_run(drawn[:1], alone, scoring)
    image_s = find_image_s(probe)
    if count >= _LEAST_IMAGES:
        many = tuple(itertools.islice(itertools.cycle(drawn), count))
        image_s = _divide(_time_run(many, alone, scoring) - one_s, count - 1) or image_s
    reference_s = 0.0
    if listing.references > listing.images and job.read.dedupe == "on":
        same = drawn[:1] * _MOST_IMAGES
        reference_s = _divide(_time_run(same, job, scoring) - one_s, len(same) - 1)
    elif listing.references > listing.images:
        reference_s = image_s
    return Pace(0.0, image_s, reference_s)


def time_start(words: Sequence[str]) -> float:
    """Seconds of a run of one image in a process of its own, from its start to its end.

    Args:
        words: the flags that say which images and which model.

    Raises:
        PublishError: it fails, as the job would.
    """
    with tempfile.TemporaryDirectory(prefix="imgcls-", ignore_cleanup_errors=True) as folder:
        own = ("--limit=1", f"--output={folder}/out", "--max_error_ratio=1")
        command = [sys.executable, "-m", str(__package__), "classify", *words, *own]
        start_s = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        elapsed_s = time.perf_counter() - start_s
    if done.returncode not in _DONE:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise PublishError(f"a run of one image failed ({reason})")
    return elapsed_s


def _choose_count(probe: Probe) -> int:
    """Images of a small run: as many as are likely to be done in its time."""
    count = min(_MOST_IMAGES, int(_BUDGET_S / max(probe.elapsed_s / probe.images, 1e-6)))
    if probe.size_bytes is not None:
        count = min(count, max(_LEAST_IMAGES, _MOST_BYTES // max(1, probe.size_bytes.median)))
    return count


def _time_run(refs: Sequence[ImageRef], job: JobOptions, scoring: Scoring) -> float:
    """Seconds of the graph over some references, from its building to the commit of its rows."""
    with tempfile.TemporaryDirectory(prefix="imgcls-", ignore_cleanup_errors=True) as folder:
        start_s = time.perf_counter()
        now = datetime.datetime.now(datetime.UTC)
        session = begin_session(OutputOptions(f"{folder}/out"), [scoring], now)
        pipeline = beam.Pipeline(options=to_beam_options(()))
        given = pipeline | "Refs" >> beam.Create([tuple(refs)]) | "Each" >> beam.FlatMap(list)
        classify = ClassifyImages(job.model, source=scoring.model, read=job.read, decode=job.decode)
        outcomes = (given | "ClassifyImages" >> classify).outcomes
        _ = outcomes | "WriteParquet" >> WriteParquet(session)
        pipeline.run().wait_until_finish()
        return time.perf_counter() - start_s


def _divide(elapsed_s: float, count: int) -> float:
    """Seconds each; 0.0 where the clock says nothing."""
    return max(0.0, elapsed_s) / count
