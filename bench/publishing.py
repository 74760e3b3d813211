"""What publishing takes: from a store that is 20 ms away, and in memory.

::

    python -m bench.publishing --parts=10000     # reads back, copies, commits: time and requests
    python -m bench.publishing --records=1000000 # peak memory of each step, by metadata alone

The steps whose memory is measured see all files of a run at once; each is a process of its own.
"""

import argparse
import contextlib
import datetime
import hashlib
import http.client
import io
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bench import far_bucket
from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.errors import FailureCode, Stage
from imgcls_beam.options import OutputOptions
from imgcls_beam.rows import to_record_batch
from imgcls_beam.scoring import ModelSource, Scoring
from imgcls_beam.sinks import RunRecord, Session, begin_session
from imgcls_beam.sinks.commit import commit_session
from imgcls_beam.sinks.merging import merge_all, plan_merges
from imgcls_beam.sinks.parquet import MERGES
from imgcls_beam.sinks.record import DONE, encode_record
from imgcls_beam.sinks.record_parts import RecordedFile, RecordedModel, RecordedPublication
from imgcls_beam.sinks.staged_files import StagedFiles, merge_staged
from imgcls_beam.summary import Summary

_SCORING = Scoring(ModelSource("owner/model", "a" * 40, "owner/model", "a" * 40), 5)
_NOW = datetime.datetime(2026, 11, 26, tzinfo=datetime.UTC)
_FILL = 2_000


def main() -> None:
    """Measures what is asked for, and prints a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=int, default=0)
    parser.add_argument("--records", type=int, default=0)
    flags = parser.parse_args()
    if flags.parts:
        publish_far(flags.parts)
    if flags.records:
        for step in (collect, plan, encode, parse):
            weigh(step, flags.records)


def publish_far(parts: int) -> None:
    """Publishes so many small files, each as it is, to the bucket that is far away."""
    with _serve() as port:
        session = begin_session(
            OutputOptions(f"s3://{far_bucket.BUCKET}/out", "r1", _NOW.date()), [_SCORING], _NOW
        )
        staged = _fill(port, session, parts)
        merges = plan_merges(staged.files, 1)
        _tell(port, "GET", "/-/asked")
        cpu_s, start_s = time.process_time(), time.perf_counter()
        chunks = [merges[i : i + MERGES] for i in range(0, parts, MERGES)]
        folder, staging = session.folder, session.paths.staging
        merged = [each for chunk in chunks for each in merge_all(chunk, folder, staging)]
        read_s = time.perf_counter() - start_s
        commit_session(merged, staged, parts, session)
        all_s, cpu_s = time.perf_counter() - start_s, time.process_time() - cpu_s
        said = _tell(port, "GET", "/-/asked")
    _say(
        f"{parts:,} files, {far_bucket.DELAY_S * 1e3:.0f} ms away: {all_s:.1f} s, of which "
        f"{read_s:.1f} s read back; {cpu_s:.1f} s of this process's processor; "
        f"{sum(said['asked'].values()):,} requests {said['asked']}, "
        f"{said['most_in_flight']} at most in flight"
    )


@contextlib.contextmanager
def _serve() -> Iterator[int]:
    command = [sys.executable, "-m", "bench.far_bucket"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        os.environ |= {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        try:
            yield port
        finally:
            process.kill()


def _fill(port: int, session: Session, parts: int) -> StagedFiles:
    """Staged files of one row each: what matters here is that they are there."""
    target = io.BytesIO()
    gone = Failure(
        ImageRef("gs://b/0"),
        Stage.READ,
        FailureCode.NOT_FOUND,
        "gone",
        failed_at=_NOW,
        scoring=_SCORING,
    )
    pq.write_table(pa.Table.from_batches([to_record_batch([gone], "{}")]), target)
    data = target.getvalue()
    digest, staging = hashlib.sha256(data).hexdigest(), session.paths.staging
    files = tuple(
        RecordedFile(f"{staging}/staged-{i:08d}.parquet", 1, len(data), digest, _SCORING.model.key)
        for i in range(parts)
    )
    for start in range(0, parts, _FILL):
        keys = [f"out/{file.path}" for file in files[start : start + _FILL]]
        _tell(port, "POST", "/-/fill", {"keys": keys, "content": data.hex()})
    return StagedFiles(files, Summary({"error": parts}), (_SCORING,))


def _tell(port: int, method: str, path: str, given: object = None) -> Any:  # noqa: ANN401
    connection = http.client.HTTPConnection("127.0.0.1", port)
    with contextlib.closing(connection):
        connection.request(method, path, json.dumps(given))
        return json.loads(connection.getresponse().read() or b"{}")


def weigh(step: Callable[[int], Callable[[], object]], count: int) -> None:
    """Prints the peak memory of a step, and what was there before it, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        before, after, said = pool.apply(_weigh, (step, count))
    _say(f"{step.__name__}, {count:,}: {before:,} MB before, {after:,} MB at most; {said}")


def _weigh(step: Callable[[int], Callable[[], object]], count: int) -> tuple[int, int, str]:
    run = step(count)
    before, start_s = _find_peak_mb(), time.perf_counter()
    result = run()
    size = f"{len(result) / 1e6:,.0f} MB of text, " if isinstance(result, bytes) else ""
    return before, _find_peak_mb(), f"{size}{time.perf_counter() - start_s:.1f} s"


def _find_peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _make_files(count: int) -> list[RecordedFile]:
    key, size_bytes = _SCORING.model.key, 1 << 20
    staging = f"_staging/r1-{'0' * 32}"
    return [
        RecordedFile(f"{staging}/staged-{i:032x}.parquet", 10_000, size_bytes, f"{i:064x}", key)
        for i in range(count)
    ]


def collect(count: int) -> Callable[[], object]:
    """What bundles staged, one file each, added up: `Collect` of `WriteParquet`."""
    each = Summary({"ok": 10_000}, {}, {"cat": 10_000})
    staged = [StagedFiles((file,), each, (_SCORING,)) for file in _make_files(count)]
    return lambda: merge_staged(staged)


def plan(count: int) -> Callable[[], object]:
    """Staged files grouped into published ones."""
    files = _make_files(count)
    return lambda: plan_merges(files)


def encode(count: int) -> Callable[[], object]:
    """The record of so many published files, as text."""
    record = _make_record(count)
    return lambda: encode_record(record)


def parse(count: int) -> Callable[[], object]:
    """That text, read."""
    text = encode_record(_make_record(count))
    return lambda: RunRecord.from_json(text)


def _make_record(count: int) -> RunRecord:
    publication = RecordedPublication("0" * 32, "new", _NOW, _NOW, 1)
    models = RecordedModel.of_scorings([_SCORING])
    return RunRecord(
        "r1",
        _NOW.date(),
        "0" * 32,
        DONE,
        models,
        1,
        Summary().to_json(),
        (publication,),
        tuple(_make_files(count)),
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
