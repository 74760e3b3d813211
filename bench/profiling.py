"""Where the job's time goes, and who waits for whom: the job itself, with clocks around its stages.

::

    python -m bench.profiling OUTPUT.json classify --input=… --output=…

The clocks are put in as the modules are imported, so that the start is the job's own; each costs a
microsecond, around things that take a millisecond.
"""

import dataclasses
import functools
import importlib.abc
import importlib.machinery
import json
import pathlib
import sys
import threading
import time
import types
from collections.abc import Callable, Sequence
from typing import Any

_CLOCKED = {
    "imgcls_beam.transforms.list_images": {"list_images": "list", "list_distinct": "list"},
    "imgcls_beam.reading.bounded_reads": {"begin_or_give_up": "read"},
    "imgcls_beam.prefetch": {"prepare_in_box": "prepare"},
    "imgcls_beam.async_handler": {},
    "imgcls_beam.handler": {"load_classifier": "load", "predict_begun": "predict"},
    "imgcls_beam.asked_images": {"_try_classify": "forward"},
    "imgcls_beam.sinks.parquet": {"to_record_batch": "row"},
    "imgcls_beam.sinks.commit": {"commit_session": "publish"},
    "pipelines.job": {"run": "job"},
}
"""Functions by the module that calls them, and the stage that each is."""
_WAITS = {
    "imgcls_beam.reading.bounded_reads": ("BoundedReads", "_wait_for", "wait for read"),
    "imgcls_beam.prefetch": ("PrefetchQueue", "_wait", "wait for prepare"),
    "imgcls_beam.async_handler": ("PendingOutcome", "_wait", "wait for predict"),
}
"""The method by which a thread waits for a stage. A queue of reads gives at once what is waited for
later."""


@dataclasses.dataclass(frozen=True, slots=True)
class Span:
    """One call.

    Attributes:
        stage: what it belongs to.
        thread: which ran it.
        start_s: since 1970.
        end_s: the same.
    """

    stage: str
    thread: int
    start_s: float
    end_s: float


@dataclasses.dataclass(slots=True)
class Profile:
    """The calls of a run, in the order of their ends.

    Attributes:
        spans: all of them.
    """

    spans: list[Span] = dataclasses.field(default_factory=list)

    def clock(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, with a clock around it."""

        @functools.wraps(function)
        def clocked(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  of any function
            start_s = time.time()
            try:
                return function(*args, **kwargs)
            finally:
                self.spans.append(Span(stage, threading.get_ident(), start_s, time.time()))

        return clocked


class Clocks(importlib.abc.MetaPathFinder):
    """Finds the modules that hold a stage, and puts clocks into them once they are run."""

    def __init__(self, profile: Profile) -> None:
        """Takes what notes the calls."""
        self._profile = profile

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module as it is, but for its loader; None for every other module."""
        if fullname not in _CLOCKED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module
            setattr(spec.loader, "exec_module", functools.partial(self._run, run))  # noqa: B010
        return spec

    def _run(self, run: Callable[[types.ModuleType], None], module: types.ModuleType) -> None:
        run(module)
        for name, stage in _CLOCKED[module.__name__].items():
            setattr(module, name, self._profile.clock(stage, getattr(module, name)))
        if module.__name__ in _WAITS:
            holder, method, stage = _WAITS[module.__name__]
            waiting = getattr(module, holder)
            setattr(waiting, method, self._profile.clock(stage, getattr(waiting, method)))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a program of the package, and writes its spans; returns its exit code."""
    output, *arguments = sys.argv[1:] if argv is None else argv
    profile, started_at = Profile(), _find_start()
    sys.meta_path.insert(0, Clocks(profile))
    from pipelines.__main__ import main as run

    code = run(arguments)
    ended_at = time.time()
    spans = [dataclasses.astuple(span) for span in profile.spans]
    text = json.dumps({"started_at": started_at, "ended_at": ended_at, "spans": spans})
    pathlib.Path(output).write_text(text, encoding="utf-8")
    return code


def _find_start() -> float:
    """When this process began, by the kernel's count of ticks since the machine's start."""
    import os

    stat = pathlib.Path("/proc/self/stat")
    if not stat.exists():
        return time.time()
    ticks = int(stat.read_text(encoding="utf-8").rpartition(")")[2].split()[19])
    up_s = float(pathlib.Path("/proc/uptime").read_text(encoding="utf-8").split()[0])
    return time.time() - up_s + ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
