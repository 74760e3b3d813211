"""Beam's portable job service with several workers of a pool for each job; Beam's own gives it one.

::

    python -m bench.peers.job_service WORKERS --port=8099
"""

import sys
from typing import Any

from apache_beam.runners.portability import local_job_service_main
from apache_beam.runners.portability.fn_api_runner import fn_runner


class _SpreadRunner(fn_runner.FnApiRunner):
    """Runs each stage on so many workers."""

    workers = 1

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  Beam's own
        super().__init__(**options)
        self._num_workers = self.workers


if __name__ == "__main__":
    _SpreadRunner.workers = int(sys.argv[1])
    fn_runner.FnApiRunner = _SpreadRunner
    local_job_service_main.run(sys.argv[2:])
