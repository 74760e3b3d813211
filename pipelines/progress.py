"""Progress of a run while it runs: drawn on a terminal, a log line now and then elsewhere."""

import argparse
import collections
import contextlib
import functools
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from imgcls_beam.board import Progress, follow_boards
from imgcls_beam.options import JobOptions
from imgcls_beam.slowest import find_slowest

from .advice import describe_slowest
from .far_jobs import Watch
from .far_progress import follow_job

if TYPE_CHECKING:
    from rich.console import RenderableType

_LOG = logging.getLogger("imgcls")

_LOG_S, _DRAWN_A_SECOND = 30.0, 4
_NOW_S = 10.0
"""The pace "now" is that of so many seconds."""
_LONG_S = 120

Follow = Callable[[], argparse.Namespace]
"""Gives `progress`, `now` and `mean` in images/s, `left_s`, None where nobody knows, `elapsed_s`,
and `state`, None for a job that no service runs."""


@contextlib.contextmanager
def show_progress(
    job: JobOptions, *, several: bool = False, is_quiet: bool = False
) -> Iterator[Watch]:
    """Shows how far a run is; gives what is to be told of the job once it has begun.

    Args:
        job: what is run; advice depends on its flags.
        several: whether processes that are started meanwhile work for it.
        is_quiet: show nothing.
    """
    far = argparse.Namespace(state=None, counted=Progress())
    with (
        follow_boards(several=several) as read,
        follow_job(far) as watch,
        contextlib.ExitStack() as shown,
    ):
        if not is_quiet:
            follow = make_follow(read, time.monotonic, far)
            describe = functools.partial(_draw if sys.stderr.isatty() else _log, follow, job)
            shown.enter_context(describe())
        yield watch


def make_follow(
    read: Callable[[], Progress],
    clock: Callable[[], float],
    far: argparse.Namespace | None = None,
) -> Follow:
    """What tells the pace of a run that begins now, each time that it is called.

    Args:
        read: what boards say.
        clock: seconds.
        far: `state` and `counted` of a job that a service runs; taken where boards say nothing.
    """
    far = far or argparse.Namespace(state=None, counted=Progress())
    start_s = clock()
    seen = collections.deque([(start_s, 0)])

    def follow() -> argparse.Namespace:
        boards, at_s = read(), clock()
        progress = boards if boards.listed or boards.done else far.counted
        seen.append((at_s, progress.done))
        while len(seen) > 2 and at_s - seen[1][0] >= _NOW_S:
            seen.popleft()
        mean = _divide(progress.done, at_s - start_s)
        now = _divide(progress.done - seen[0][1], at_s - seen[0][0])
        pace = now or mean
        left_s = (progress.listed - progress.done) / pace if pace else None
        told = {"state": far.state, "elapsed_s": at_s - start_s}
        return argparse.Namespace(progress=progress, now=now, mean=mean, left_s=left_s, **told)

    return follow


def describe_counts(progress: Progress) -> str:
    """Images done of listed, and what became of them."""
    others = {"skipped": progress.skipped, "duplicates": progress.duplicates}
    return (
        f"{progress.done:,} of {progress.listed:,} images"
        f" · {progress.ok:,} ok · {progress.error:,} error{'s' * (progress.error != 1)}"
        + "".join(f" · {count:,} {what}" for what, count in others.items() if count)
    )


def describe_pace(seen: argparse.Namespace) -> str:
    """Images per second, and the time left; or how far publishing is, which comes after that."""
    if seen.progress.to_publish:
        return f"publishing: {seen.progress.published:,} of {seen.progress.to_publish:,} files"
    if not seen.progress.done and seen.state is not None:
        return f"job {seen.state.lower()} · {_describe_time(seen.elapsed_s)}"
    if not seen.progress.done:
        return "starting" if seen.progress.listed else "listing"
    pace = f"{seen.now:,.1f} images/s now, {seen.mean:,.1f} in the mean"
    return pace if not seen.left_s else f"{pace} · {_describe_time(seen.left_s)} left"


def describe_progress(seen: argparse.Namespace, job: JobOptions) -> str:
    """All of it in one line."""
    slowest = find_slowest(seen.progress)
    parts = [describe_counts(seen.progress), describe_pace(seen)]
    parts += [] if slowest is None else [describe_slowest(slowest, job)]
    return " · ".join(parts)


def _divide(count: int, elapsed_s: float) -> float:
    return count / elapsed_s if elapsed_s > 0 else 0.0


def _describe_time(seconds: float) -> str:
    if seconds < _LONG_S:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < _LONG_S else f"{minutes // 60} h {minutes % 60:02} min"


@contextlib.contextmanager
def _log(follow: Follow, job: JobOptions) -> Iterator[None]:
    is_done = threading.Event()

    def tell() -> None:
        while not is_done.wait(_LOG_S):
            _LOG.info("%s", describe_progress(follow(), job))

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_done.set()
        thread.join()


@contextlib.contextmanager
def _draw(follow: Follow, job: JobOptions) -> Iterator[None]:
    from rich.console import Console  # only where there is a terminal: it takes a tenth of a second
    from rich.live import Live

    console = Console(stderr=True)
    draw = functools.partial(_draw_once, follow, job)
    with Live(
        console=console, get_renderable=draw, refresh_per_second=_DRAWN_A_SECOND, transient=True
    ):
        yield


def _draw_once(follow: Follow, job: JobOptions) -> "RenderableType":
    from rich.console import Group
    from rich.padding import Padding
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    seen = follow()
    listed: Any = seen.progress.listed or None
    slowest = find_slowest(seen.progress)
    return Group(
        Padding(ProgressBar(total=listed, completed=seen.progress.done)),  # which ends its line
        Text(describe_counts(seen.progress)),
        Text(describe_pace(seen), style="bold"),
        Text("" if slowest is None else describe_slowest(slowest, job), style="dim"),
    )
