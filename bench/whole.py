"""One way as a process of its own: what `whole` rates and peak memory are taken of.

::

    python -m bench.whole PEAK_FILE job ARGUMENTS-OF-IMGCLS…
    python -m bench.whole PEAK_FILE pipeline FOLDER MODEL LIMIT BATCH_SIZE OUTPUT
"""

import pathlib
import sys
from collections.abc import Sequence

from bench.measuring import write_peak


def main(argv: Sequence[str]) -> int:
    """Runs one way, then writes the peak memory of this process; returns the exit code."""
    peak_file, way, *arguments = argv
    code = _run_job(arguments) if way == "job" else _run_pipeline(arguments)
    write_peak(pathlib.Path(peak_file))
    return code


def _run_job(arguments: Sequence[str]) -> int:
    from pipelines.__main__ import main as run

    return run(arguments)


def _run_pipeline(arguments: Sequence[str]) -> int:
    from bench.peers import run_pipeline

    folder, model, limit, batch_size, output = arguments
    paths = sorted(pathlib.Path(folder).iterdir())[: int(limit)]
    size = None if batch_size == "single" else int(batch_size)
    run_pipeline(paths, pathlib.Path(model), size, pathlib.Path(output))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
