"""How fast images come from a store that fails: three in ten requests, beside none.

::

    python -m bench.faults --images=2000 --rounds=3   # pairs of jobs: undisturbed, disturbed
    python -m bench.faults --stalled=20               # one of them never answers: the job's time

Whole jobs in one process, on the servers of the tests, which can be told to fail: 503, 429, 500,
an answer that is lost, a connection that breaks, half an answer, silence before and within one,
another last byte. Requests for images are disturbed; limits and waits are those that users have.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

from demo.draw import draw_numbered
from imgcls_beam.stores import RETRIES
from pipelines.__main__ import main as imgcls
from tests.scenes import encode
from tests.servers import Server, serve_gcs, serve_s3

_MODEL = pathlib.Path(__file__).parents[1] / "demo" / "model"
_FAULTS = ("503", "429", "500", "lose", "reset", "short", "stall", "stall_within", "damage")
_SLASHES = "/", "%2F"
"""As S3 and GCS have them in the path of a request."""
_SERVERS = {"GCS": serve_gcs, "S3": serve_s3}


def main() -> None:
    """Measures what is asked for on both stores, and prints a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--stalled", type=int, default=0)
    flags = parser.parse_args()
    for name, serve in _SERVERS.items():
        with serve() as server:
            if flags.images:
                _say(f"{name}: {measure_pairs(server, flags.images, flags.rounds)}")
            if flags.stalled:
                _say(f"{name}: {time_a_stall(server, flags.stalled)}")


def measure_pairs(server: Server, images: int, rounds: int) -> str:
    """Jobs over the same images in pairs; what became of their images is in the line, too."""
    _fill(server, images)
    _run(server, images)  # what is loaded once
    ratios, said = [], []
    for seed in range(rounds):
        calm_s, _ = _run(server, images)
        with server.disturbed(_FAULTS, rf"photos-{images}/\d+\.jpg", seed=seed):
            disturbed_s, told = _run(server, images)
        ratios.append(calm_s / disturbed_s)
        said.append(
            f"{images / calm_s:.0f} images/s, disturbed {images / disturbed_s:.0f} ({told})"
        )
    return f"{statistics.median(ratios):.2f} of the rate; " + "; ".join(said)


def time_a_stall(server: Server, images: int) -> str:
    """A job over so many images of which one never answers."""
    _fill(server, images)
    _run(server, images)
    server.spoil("stall", rf"photos-{images}/000000\.jpg", for_ever=True)
    took_s, told = _run(server, images)
    return f"one of {images} stalled: the job took {took_s:.1f} s ({told})"


def _fill(server: Server, images: int) -> None:
    kinds = [encode(draw_numbered(0, number)[1]) for number in range(50)]
    server.fill(
        # Bytes behind the end of a JPEG are passed over; so none is the same as another.
        {
            f"photos-{images}/{i:06d}.jpg": kinds[i % 50] + i.to_bytes(4, "big")
            for i in range(images)
        }
    )


def _run(server: Server, images: int) -> tuple[float, str]:
    """The seconds of a job, and what is told of its images and requests."""
    RETRIES.give_back(images)  # each job is a process's first
    with tempfile.TemporaryDirectory() as output, open(os.devnull, "w") as nowhere:
        places = [
            f"--input={server.root}/photos-{images}",
            f"--output={output}",
            f"--model={_MODEL}",
        ]
        began = time.perf_counter()
        with contextlib.redirect_stderr(nowhere), contextlib.redirect_stdout(nowhere):
            code = imgcls(["classify", *places, "--run_id=r", "--max_error_ratio=1"])
        took_s = time.perf_counter() - began
        record = pathlib.Path(output) / "runs" / "r.json"
        counts = json.loads(record.read_text())["counts"] if record.exists() else None
    asked = sum(
        f"photos-{images}{slash}" in each for each in server.take_asked() for slash in _SLASHES
    )
    became = f"{counts['listed'] - counts['ok']} lost" if counts else "nothing published"
    return took_s, f"code {code}, {asked / images:.2f} requests an image, {became}"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
