"""How far the runs of a program are, for people to look at: counts, and what workers wait for.

No local runner shows its counters before the end of a run. So the steps of a run write on the board
of their process, and the program that started the run reads it. Where Beam starts other processes,
each puts a copy of its board into a folder, whose name it finds in its environment.
"""

import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from imgcls_beam.errors import Stage

_FOLDER = "IMGCLS_PROGRESS"
_SEPARATOR = ":"
_WORD = ".word"
_COPY_S = 0.5
_COUNTS = ("listed", "ok", "error", "skipped", "duplicates", "to_publish", "published")


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """What boards say at one moment.

    Attributes:
        listed: references listed so far that are to be looked at; equal ones are taken off as
            they are found.
        ok: images predicted.
        error: images that failed, in whatever stage.
        skipped: images that an earlier run has scored.
        duplicates: references that were taken off.
        held_s: seconds for which a stage held workers up, by the stage's name: what they waited for
            it, or worked in it themselves.
        longest_s: the longest of those times, by the stage's name.
        first_s: when the first image was listed, on the machine's own clock; None before that.
        last_s: when the last image was done, on the same clock; None before that.
        to_publish: files that are being published; 0 before that begins.
        published: how many of them are in their places.
    """

    listed: int = 0
    ok: int = 0
    error: int = 0
    skipped: int = 0
    duplicates: int = 0
    held_s: Mapping[str, float] = dataclasses.field(default_factory=dict)
    longest_s: Mapping[str, float] = dataclasses.field(default_factory=dict)
    first_s: float | None = None
    last_s: float | None = None
    to_publish: int = 0
    published: int = 0

    @property
    def classified_s(self) -> float:
        """From the first image that was listed to the last that was done, without start and end."""
        if self.first_s is None or self.last_s is None:
            return 0.0
        return self.last_s - self.first_s

    @property
    def done(self) -> int:
        """Images that were looked at."""
        return self.ok + self.error


class Board:
    """The board of one process; its threads share it."""

    def __init__(self) -> None:
        """Begins with nothing."""
        self._lock = threading.Lock()
        self._copied_to: str | None = None
        self.reset()

    def reset(self) -> None:
        """Starts again from nothing."""
        with self._lock:
            self._counts = dict.fromkeys(_COUNTS, 0)
            self._held_s: dict[str, float] = {}
            self._longest_s: dict[str, float] = {}
            self._running: dict[int, tuple[str, float]] = {}
            self._first_s: float | None = None
            self._last_s: float | None = None

    def take_over(self, progress: Progress) -> None:
        """Says what other boards have said together."""
        with self._lock:
            self._counts = {name: getattr(progress, name) for name in _COUNTS}
            self._held_s, self._longest_s = dict(progress.held_s), dict(progress.longest_s)
            self._first_s, self._last_s = progress.first_s, progress.last_s

    def add(self, **counts: int) -> None:
        """Adds to the counts of these names, which are those of `Progress`."""
        with self._lock:
            for name, count in counts.items():
                self._counts[name] += count
            if self._first_s is None:
                self._first_s = time.monotonic()
            if "listed" not in counts:
                self._last_s = time.monotonic()
        if self._copied_to is None:
            self._begin_copies()

    def begin_to_publish(self, files: int) -> None:
        """The images are done; so many files are published now, none of which is in its place."""
        with self._lock:
            self._counts |= {"to_publish": files, "published": 0}

    def count_published(self) -> None:
        """One more of them is in its place."""
        with self._lock:
            self._counts["published"] += 1

    @contextlib.contextmanager
    def held(self, stage: Stage) -> Iterator[None]:
        """The time within is one for which a stage held this thread up."""
        thread = threading.get_ident()
        with self._lock:
            self._running[thread] = stage, time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                name, start_s = self._running.pop(thread, (stage, time.monotonic()))
                self._note(self._held_s, self._longest_s, name, time.monotonic() - start_s)

    def read(self) -> Progress:
        """What it says now; what holds a thread up now counts so far."""
        with self._lock:
            held_s, longest_s = dict(self._held_s), dict(self._longest_s)
            for name, start_s in self._running.values():
                self._note(held_s, longest_s, name, time.monotonic() - start_s)
            return Progress(
                **self._counts,
                held_s=held_s,
                longest_s=longest_s,
                first_s=self._first_s,
                last_s=self._last_s,
            )

    @staticmethod
    def _note(
        held_s: dict[str, float], longest_s: dict[str, float], name: str, elapsed_s: float
    ) -> None:
        held_s[name] = held_s.get(name, 0.0) + elapsed_s
        longest_s[name] = max(longest_s.get(name, 0.0), elapsed_s)

    def _begin_copies(self) -> None:
        """Copies the board for another process, where that asks for it."""
        folder = _find_folder()
        with self._lock:
            is_first, self._copied_to = self._copied_to is None, folder
        if folder and is_first:
            path = pathlib.Path(folder, f"{os.getpid()}.json")
            threading.Thread(target=self._copy_for_ever, args=(path,), daemon=True).start()

    def _copy_for_ever(self, path: pathlib.Path) -> None:
        with contextlib.suppress(OSError):  # the folder is gone: nobody reads any more
            while True:
                new = path.with_suffix(".new")
                new.write_text(json.dumps(dataclasses.asdict(self.read())), encoding="utf-8")
                new.replace(path)
                time.sleep(_COPY_S)


BOARD = Board()
"""The one of this process; never for a decision."""


@contextlib.contextmanager
def follow_boards(*, several: bool) -> Iterator[Callable[[], Progress]]:
    """Clears this process's board, and gives what reads it; it stays as it is at the end.

    Args:
        several: whether the boards of processes that are started meanwhile are read too.
    """
    BOARD.reset()
    if not several:
        yield BOARD.read
        return
    with tempfile.TemporaryDirectory(prefix="imgcls-", ignore_cleanup_errors=True) as folder:
        os.environ[_FOLDER] = f"{os.getpid()}{_SEPARATOR}{folder}"
        try:
            yield functools.partial(_read_all, folder)
        finally:
            del os.environ[_FOLDER]
            BOARD.take_over(_read_all(folder))


def leave_word(text: str) -> None:
    """Says to the program that started this process why it ends; before it does."""
    if folder := _find_folder():
        with contextlib.suppress(OSError):
            pathlib.Path(folder, f"{os.getpid()}{_WORD}").write_text(text, encoding="utf-8")


def read_words() -> list[str]:
    """What processes that this one started have said before they ended; while they are followed."""
    owner, _, folder = os.environ.get(_FOLDER, "").partition(_SEPARATOR)
    if not folder or owner != str(os.getpid()):
        return []
    return [path.read_text(encoding="utf-8") for path in pathlib.Path(folder).glob(f"*{_WORD}")]


def _find_folder() -> str:
    """The folder of another process that follows this one; empty where none does."""
    owner, _, folder = os.environ.get(_FOLDER, "").partition(_SEPARATOR)
    return "" if owner == str(os.getpid()) else folder


def add_progress(parts: Iterable[Progress]) -> Progress:
    """What several boards say together."""
    held = list(parts)
    stages = {name for each in held for name in each.held_s}
    return Progress(
        **{name: sum(getattr(each, name) for each in held) for name in _COUNTS},
        held_s={name: sum(each.held_s.get(name, 0.0) for each in held) for name in stages},
        longest_s={name: max(each.longest_s.get(name, 0.0) for each in held) for name in stages},
        first_s=min((each.first_s for each in held if each.first_s is not None), default=None),
        last_s=max((each.last_s for each in held if each.last_s is not None), default=None),
    )


def _read_all(folder: str) -> Progress:
    copies = sorted(pathlib.Path(folder).glob("*.json"))
    others = [Progress(**json.loads(path.read_bytes())) for path in copies]
    return add_progress([BOARD.read(), *others])
