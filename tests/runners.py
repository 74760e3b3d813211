"""Runners that a job has to give the same result on, as Beam's flags.

`DEFAULT` is the runner of tests that are about something else. `make test-prism` makes it Prism.
"""

import os
import pathlib
import shutil

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

_SERVERS = pathlib.Path(__file__).parents[1] / ".servers" / "bin"

RUNNER = os.environ.get("IMGCLS_TEST_RUNNER", "FnApiRunner")
PRISM = shutil.which("prism", path=f"{_SERVERS}{os.pathsep}{os.environ.get('PATH', '')}")
"""That of `make servers`, or one on the PATH; nothing here downloads it."""
if RUNNER == "PrismRunner" and PRISM is None:
    raise FileNotFoundError("there is no Prism; `make servers` builds it")

# DirectRunner would first look for Prism on the network; FnApiRunner never does.
IN_MEMORY = ["--runner=FnApiRunner"]
ON_PRISM = ["--runner=PrismRunner", f"--prism_location={PRISM}"]
DEFAULT = ON_PRISM if RUNNER == "PrismRunner" else [f"--runner={RUNNER}"]
REPEATED = [*IN_MEMORY, "--direct_runner_bundle_repeat=2"]
TWO_PROCESSES = [
    "--runner=DirectRunner",
    "--prism_location=/nonexistent",
    "--direct_running_mode=multi_processing",
    "--direct_num_workers=2",
]
TWO_THREADS = [
    "--runner=DirectRunner",
    "--prism_location=/nonexistent",
    "--direct_running_mode=multi_threading",
    "--direct_num_workers=2",
]


def make_pipeline() -> beam.Pipeline:
    """A pipeline on the default runner."""
    return beam.Pipeline(options=PipelineOptions(list(DEFAULT)))
