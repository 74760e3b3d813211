"""What a run's sink can take: outcomes that come to an end."""

from collections.abc import Mapping

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

from imgcls_beam.errors import ConfigError


def in_one_window(staged: object) -> WindowedValue:
    """What a finished bundle gives, in the window of `require_bounded`."""
    window = GlobalWindow()
    return WindowedValue(staged, window.max_timestamp(), [window])


def require_bounded(outcomes: beam.PCollection, hints: Mapping[str, str]) -> beam.PCollection:
    """The outcomes of a run, in the one window in which it is committed.

    Args:
        outcomes: of any windows.
        hints: resource hints of the stage that takes them.

    Raises:
        ConfigError: the input never ends, so the run would never be committed.
    """
    if not outcomes.is_bounded:
        problem = "a run is published when it ends, which this input never does; see docs/plugin.md"
        raise ConfigError("outcomes", "unbounded", f"{problem} for sinks of a stream")
    if outcomes.windowing.is_default():
        return outcomes
    window = beam.WindowInto(GlobalWindows())
    return outcomes | "OneWindow" >> window.with_resource_hints(**hints)
