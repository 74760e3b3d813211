"""Programs in processes of their own that start at once and may be killed at any moment.

A mother process imports what `imgcls` and Beam's workers import, and forks: a start costs some
milliseconds instead of three to five seconds. A child may be told to kill itself, with SIGKILL,
right before one of its operations on files below a folder: Python's audit events name every one.
"""

import contextlib
import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

ROOT = pathlib.Path(__file__).parent.parent
_EVENTS = ("open", "os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "fcntl.flock")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Program:
    """One running `imgcls`, or a worker of Beam's; it is asked as `subprocess.Popen` is."""

    def __init__(self, mother: "Mother", pid: int) -> None:
        self._mother = mother
        self.pid = pid
        self.returncode: int | None = None

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def poll(self) -> int | None:
        """Its exit code, the negative signal where it was killed; None while it runs."""
        if self.returncode is None:
            self.returncode = self._mother.ask({"ended": self.pid})["code"]
        return self.returncode

    def wait(self) -> int:
        while (code := self.poll()) is None:
            time.sleep(0.005)
        return code


class Mother:
    """The process that forks programs; it starts when the first one is asked for."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._asking = threading.Lock()  # Beam starts its workers from a thread each

    def start(
        self,
        argv: Sequence[str],
        log: pathlib.Path,
        watched: pathlib.Path | None = None,
        dies_at: int | None = None,
    ) -> Program:
        """Starts `imgcls ARGV`, in this process's environment and folder.

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
        return self._fork(asked, os.environ)

    def start_worker(self, command: str, shell: bool, env: Mapping[str, str]) -> Program:
        """Starts a worker of Beam's; called as Beam calls `subprocess.Popen`."""
        assert shell
        assert command.split()[1:] == ["-m", _WORKER], command
        return self._fork({"argv": None}, env)

    def ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        with self._asking:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "tests.programs"],
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
            return answer

    def close(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait()

    def _fork(self, asked: dict[str, Any], environ: Mapping[str, str]) -> Program:
        place = {"environ": dict(environ), "folder": os.getcwd()}
        return Program(self, self.ask(asked | place)["pid"])


@contextlib.contextmanager
def start_mother() -> Iterator[Mother]:
    mother = Mother()
    try:
        yield mother
    finally:
        mother.close()


_WORKER = "apache_beam.runners.worker.sdk_worker_main"
_PRELOADED = (
    *("pipelines.display", "pipelines.flags", "pipelines.job", "pipelines.retry_flags"),
    *("imgcls_beam.classifying.huggingface", "imgcls_beam.handler", "imgcls_beam.preparing"),
    "apache_beam.ml.inference.base",
    "apache_beam.runners.portability.fn_api_runner.fn_runner",
    *("transformers.models.vit.modeling_vit", "transformers.models.convnext.modeling_convnext"),
    *("transformers.models.auto.modeling_auto", "transformers.models.auto.image_processing_auto"),
    _WORKER,
)


def _serve() -> None:
    from pipelines import startup

    startup.set_up(is_verbose=True)  # what is turned aside is so in each child
    for name in _PRELOADED:  # imports start no threads, with which one could not fork
        importlib.import_module(name)
    from tests.remembering import remember

    with remember():
        _answer()


def _answer() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        if "ended" in asked:
            ended, status = os.waitpid(asked["ended"], os.WNOHANG)
            answer = {"code": os.waitstatus_to_exitcode(status) if ended else None}
        else:
            pid = os.fork()
            if pid == 0:
                _run(asked)
            answer = {"pid": pid}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _run(asked: dict[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(asked["environ"])
    os.chdir(asked["folder"])
    code = 1
    try:
        code = _work() if asked["argv"] is None else _call_program(asked)
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:  # what goes wrong here is told; the mother's own code goes on in the mother alone
        if isinstance(sys.exc_info()[1], Exception):
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(code)


def _work() -> int:
    """A worker has no input, and its output may not go to who asks the mother."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    worker = importlib.import_module(_WORKER)
    worker.main([])
    return 0


def _call_program(asked: dict[str, Any]) -> int:
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    if asked["watched"] is not None:
        _watch(asked["watched"], asked["dies_at"], f"{asked['log']}.ops")
    from pipelines.__main__ import main

    return main(asked["argv"])


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
