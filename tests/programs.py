"""Programs in processes of their own that start at once and may be killed at any moment.

A mother process imports what `imgcls` imports, and forks: a start costs some milliseconds instead
of three seconds. A child may be told to kill itself, with SIGKILL, right before one of its
operations on files below a folder: Python's audit events name every one of them.
"""

import contextlib
import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

ROOT = pathlib.Path(__file__).parent.parent
_EVENTS = ("open", "os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "fcntl.flock")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Program:
    """One running `imgcls`."""

    def __init__(self, mother: "Mother", pid: int) -> None:
        self._mother = mother
        self.pid = pid

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Its exit code; the negative signal where it was killed."""
        return int(self._mother.ask({"wait": self.pid})["code"])


class Mother:
    """The process that forks programs."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.programs"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(
        self,
        argv: Sequence[str],
        log: pathlib.Path,
        watched: pathlib.Path | None = None,
        dies_at: int | None = None,
    ) -> Program:
        """Starts `imgcls ARGV`.

        Args:
            argv: its arguments.
            log: for what it prints.
            watched: the folder whose file operations count; they are noted in `log`.ops.
            dies_at: kill it right before so many of them, from 0.
        """
        asked = {
            "argv": list(argv),
            "log": str(log),
            "watched": None if watched is None else str(watched),
            "dies_at": dies_at,
        }
        return Program(self, self.ask(asked)["pid"])

    def ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@contextlib.contextmanager
def start_mother() -> Iterator[Mother]:
    mother = Mother()
    try:
        yield mother
    finally:
        mother.close()


_PRELOADED = (
    *("pipelines.display", "pipelines.flags", "pipelines.job", "pipelines.retry_flags"),
    *("imgcls_beam.classifying.huggingface", "imgcls_beam.handler", "imgcls_beam.preparing"),
    "apache_beam.ml.inference.base",
    "apache_beam.runners.portability.fn_api_runner.fn_runner",
    *("transformers.models.vit.modeling_vit", "transformers.models.convnext.modeling_convnext"),
    *("transformers.models.auto.modeling_auto", "transformers.models.auto.image_processing_auto"),
)


def _serve() -> None:
    from pipelines import startup

    startup.set_up(is_verbose=True)  # what is turned aside is so in each child
    for name in _PRELOADED:  # imports start no threads, with which one could not fork
        importlib.import_module(name)

    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            _, status = os.waitpid(asked["wait"], 0)
            answer = {"code": os.waitstatus_to_exitcode(status)}
        else:
            pid = os.fork()
            if pid == 0:
                _run(asked)
            answer = {"pid": pid}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _run(asked: dict[str, Any]) -> None:
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    if asked["watched"] is not None:
        _watch(asked["watched"], asked["dies_at"], f"{asked['log']}.ops")
    from pipelines.__main__ import main

    try:
        code = main(asked["argv"])
    except SystemExit as stop:
        code = int(stop.code or 0)
    sys.stdout.flush()
    os._exit(code)


def _watch(folder: str, dies_at: int | None, note_path: str) -> None:
    seen = 0
    note = os.open(note_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def hear(event: str, args: tuple[Any, ...]) -> None:
        nonlocal seen
        if event not in _EVENTS or not _is_change(event, args, folder):
            return
        if seen == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1
        os.write(note, f"{event} {args[0]}\n".encode())

    sys.addaudithook(hear)


def _is_change(event: str, args: tuple[Any, ...], folder: str) -> bool:
    if event == "fcntl.flock":
        return True
    if event == "open" and not (isinstance(args[2], int) and args[2] & _WRITES):
        return False
    return isinstance(args[0], str) and args[0].startswith(folder)


if __name__ == "__main__":
    _serve()
