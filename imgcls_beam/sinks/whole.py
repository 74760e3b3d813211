"""What a run's sink can take: outcomes that come to an end."""

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindows

from imgcls_beam.errors import ConfigError


def take_whole(outcomes: beam.PCollection) -> beam.PCollection:
    """The outcomes of a run, in the one window in which it is published.

    Raises:
        ConfigError: the input never ends, so the run would never be published.
    """
    if not outcomes.is_bounded:
        problem = "a run is published when it ends, which this input never does; see docs/plugin.md"
        raise ConfigError("outcomes", "unbounded", f"{problem} for sinks of a stream")
    if outcomes.windowing.is_default():
        return outcomes
    return outcomes | "OneWindow" >> beam.WindowInto(GlobalWindows())
