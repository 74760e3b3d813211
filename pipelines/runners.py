"""The runner of a job: which one, and what it can do.

What is asked of flags alone does not import Beam.
"""

import difflib
import importlib
import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING

from imgcls_beam.errors import ConfigError

from .beam_flags import list_runners

if TYPE_CHECKING:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

DEFAULT_RUNNER = "FnApiRunner"
"""The local one that never touches the network."""
LOCAL_RUNNERS = (
    DEFAULT_RUNNER,
    "DirectRunner",
    "BundleBasedDirectRunner",
    "SwitchingDirectRunner",
)
PRISM_RUNNER = "PrismRunner"
PORTABLE_RUNNERS = ("PortableRunner", PRISM_RUNNER, "FlinkRunner", "SparkRunner")
"""Those whose jobs a service runs."""
LOOPBACK, EMBEDDED_SERVICE = "LOOPBACK", "embed"
"""Beam's words: workers are threads of the program itself; so is the job service."""
_SIMILAR_RATIO = 0.6
_NO_PRISM = "/nonexistent/prism"
"""DirectRunner first tries to download Prism; a file that is not there keeps it off the network."""
_APART = "disable_prism_server_singleton"
"""Beam's experiment without which a process keeps the first Prism that it was told of."""
_JOB_S = 10 * 365 * 24 * 3600
"""With `--job_server_timeout`, of five minutes, Beam limits the watching of a job, too."""
_GOES_ON_ALONE = "DataflowRunner"
"""A Flex Template's launcher must not wait for its job; all other runners are waited for."""


def to_beam_options(arguments: Sequence[str]) -> "PipelineOptions":
    """Beam's options; without a runner, the local one that never touches the network.

    Prism is the one that is given, else the one on the PATH; else Beam downloads it.

    Raises:
        ConfigError: there is no such runner, or it loses rows.
    """
    from apache_beam.options.pipeline_options import (
        DebugOptions,
        PipelineOptions,
        PortableOptions,
        PrismRunnerOptions,
        StandardOptions,
    )

    options = PipelineOptions(list(arguments))
    standard = options.view_as(StandardOptions)
    standard.runner = find_runner(standard.runner)
    prism = options.view_as(PrismRunnerOptions)
    if standard.runner in LOCAL_RUNNERS:
        prism.prism_location = prism.prism_location or _NO_PRISM
        options.view_as(DebugOptions).add_experiment(_APART)
    elif standard.runner == PRISM_RUNNER:
        prism.prism_location = prism.prism_location or shutil.which("prism")
    portable = options.view_as(PortableOptions)
    is_plain = portable.job_server_timeout == PortableOptions([]).job_server_timeout
    if standard.runner in PORTABLE_RUNNERS and is_plain:
        portable.job_server_timeout = _JOB_S
    return options


def make_pipeline(options: "PipelineOptions") -> "beam.Pipeline":
    """An empty pipeline; Beam checks its options.

    Raises:
        ConfigError: it refuses them.
    """
    import apache_beam as beam

    try:
        return beam.Pipeline(options=options)
    except ValueError as error:
        problem = " ".join(str(error).split())
        raise ConfigError("flag", "of Beam", problem) from error


def find_runner(name: str | None) -> str:
    """A runner's own name, however it is spelled; a path of a class that is not Beam's stays.

    Raises:
        ConfigError: there is no such runner, or it loses rows.
    """
    if name is None:
        return DEFAULT_RUNNER
    if name.lower().endswith(("daskrunner", "dask")):
        raise ConfigError("runner", name, "it runs the last sink only and says DONE")
    known = {path.rpartition(".")[2]: path for path in list_runners()}
    spelled: dict[str, str] = {each.lower(): each for each in known}
    spelled |= {short.removesuffix("runner"): each for short, each in spelled.items()}
    if name.lower() in spelled:
        return spelled[name.lower()]
    if name in known.values():
        return name.rpartition(".")[2]
    if _is_class(name):
        return name
    near = difflib.get_close_matches(name.lower(), spelled, 1, _SIMILAR_RATIO)
    advice = f"did you mean {spelled[near[0]]}?" if near else f"there are {', '.join(known)}"
    raise ConfigError("runner", name, f"there is no such runner; {advice}")


def _is_class(path: str) -> bool:
    module, _, name = path.rpartition(".")
    try:
        return _is_module(module) and hasattr(importlib.import_module(module), name)
    except (ImportError, ValueError):
        return False


def _is_module(path: str) -> bool:
    """Whether there is such a module; nothing is imported to find that there is none."""
    top, *rest = path.split(".")
    spec = importlib.util.find_spec(top) if top else None
    for index in range(len(rest)):
        if spec is None or spec.submodule_search_locations is None:
            return False
        name = ".".join((top, *rest[: index + 1]))
        places = list(spec.submodule_search_locations)
        spec = importlib.machinery.PathFinder.find_spec(name, places)
    return spec is not None


def find_default_region() -> str | None:
    """The region that Dataflow takes where none is given: gcloud's own setting."""
    region = os.environ.get("CLOUDSDK_COMPUTE_REGION")
    if region is None and shutil.which("gcloud"):
        command = ["gcloud", "config", "get-value", "compute/region"]
        region = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return region or None


def is_local(options: "PipelineOptions") -> bool:
    """Whether the runner works on this machine, and ends before this program does."""
    from apache_beam.options.pipeline_options import StandardOptions

    return options.view_as(StandardOptions).runner in LOCAL_RUNNERS


def is_spread(options: "PipelineOptions") -> bool:
    """Whether more than one worker reads: a local runner has one, unless it was asked for more."""
    from apache_beam.options.pipeline_options import DirectOptions

    return not is_local(options) or options.view_as(DirectOptions).direct_num_workers != 1


def goes_on_alone(name: str | None) -> bool:
    """Whether a job runs after this program has ended, on the runner of this name.

    Raises:
        ConfigError: there is no such runner, or it loses rows.
    """
    return find_runner(name) == _GOES_ON_ALONE
