"""The runner of a job: which one, and what it can do."""

from collections.abc import Sequence

from apache_beam.options.pipeline_options import (
    DirectOptions,
    PipelineOptions,
    PrismRunnerOptions,
    StandardOptions,
)

from imgcls_beam.errors import ConfigError

_LOCAL_RUNNERS = ("FnApiRunner", "DirectRunner", "BundleBasedDirectRunner", "SwitchingDirectRunner")
_NO_PRISM = "/nonexistent/prism"
"""DirectRunner first tries to download Prism; a file that is not there keeps it off the network."""
_GOES_ON_ALONE = "DataflowRunner"
"""A Flex Template's launcher must not wait for its job; all other runners are waited for."""


def to_beam_options(arguments: Sequence[str]) -> PipelineOptions:
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


def is_local(options: PipelineOptions) -> bool:
    """Whether the runner works on this machine, and ends before this program does."""
    return options.view_as(StandardOptions).runner in _LOCAL_RUNNERS


def is_spread(options: PipelineOptions) -> bool:
    """Whether more than one worker reads: a local runner has one, unless it was asked for more."""
    return not is_local(options) or options.view_as(DirectOptions).direct_num_workers != 1


def goes_on_alone(options: PipelineOptions) -> bool:
    """Whether the job runs after this program has ended."""
    return bool(options.view_as(StandardOptions).runner == _GOES_ON_ALONE)
