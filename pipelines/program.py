"""What all programs have in common: a command line in, an exit code out, and what is said.

Whatever a user did, the answer is one sentence on standard error or, with `--json`, one object on
standard output. A traceback goes to the log file.
"""

import argparse
import contextlib
import dataclasses
import datetime
import functools
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from imgcls_beam.errors import ConfigError, ImgclsError, ModelError
from imgcls_beam.masking import mask_secrets
from imgcls_beam.stopping import has_stopped

from . import beam_imports, noise, preflight, speech, startup, terminal
from .worker_processes import stop_engines

DONE, FAILED, USAGE, TOO_MANY_ERRORS = 0, 1, 2, 3

Fields = Callable[[], Mapping[str, Any]]
"""A program's own fields of its JSON answer."""
Act = Callable[[list[str], argparse.Namespace], tuple[int, Fields | None]]
"""Does what a program does: the command line, and what was asked of `speech`, go in; the exit code
comes out, and the fields, None where it has written the answer itself."""

_DRY_RUN = "--dry_run"
_INTERRUPTED = "interrupted"
_NOT_PUBLISHED = (
    "interrupted; nothing was published and nothing of this run is kept; the same command starts "
    "it again"
)
_DEFECT = "this is a defect; please report it"


def run_main(
    name: str, argv: Sequence[str] | None, act: Act, interrupted: str = _INTERRUPTED
) -> int:
    """Runs a program.

    Args:
        name: of the program.
        argv: without the program's name; None for that of the process.
        act: what it does.
        interrupted: what is said where a person or the system stops it.

    Returns:
        The exit code.
    """
    how, words = speech.take_speech_flags(sys.argv[1:] if argv is None else argv)
    startup.set_up(name, is_verbose=how.verbose)
    refuse = functools.partial(fail, name, how)
    try:
        with _sigterm_interrupts():
            code, fields = act(words, how)
    except SystemExit as stop:
        if not how.json or stop.code in (None, DONE):
            raise
        return refuse(USAGE, "usage", "the command line is not complete; see --help")
    except ConfigError as error:
        return refuse(USAGE, "usage", str(error), error.option)
    except ImgclsError as error:
        code = refuse(FAILED, "model" if isinstance(error, ModelError) else "run", str(error))
        if has_stopped():
            _end_now(code)
        return code
    except KeyboardInterrupt as stop:
        refuse(FAILED, "interrupted", str(stop) or interrupted)
        _end_now(FAILED)
        return FAILED
    except Exception as error:  # noqa: BLE001  the program's edge: a defect is a sentence too
        return refuse(FAILED, "defect", _describe_defect(error))
    if how.json and fields is not None:
        terminal.say(functools.partial(_render, name, code, fields))
    return code


def _describe_defect(error: Exception) -> str:
    noise.note_error(error)
    reason = (str(error).strip().splitlines() or ["no reason given"])[0]
    return f"{_DEFECT} ({type(error).__name__}: {reason})"


def run_program(name: str, flags_module: str, argv: Sequence[str] | None) -> int:
    """Runs a program that runs a job.

    Args:
        name: of the program.
        flags_module: the module of this package whose `parse_flags` gives a job and the arguments
            for Beam.
        argv: without the program's name; None for that of the process.

    Returns:
        The exit code.
    """
    return run_main(name, argv, functools.partial(_run_job, flags_module), _NOT_PUBLISHED)


def _run_job(
    flags_module: str, words: list[str], how: argparse.Namespace
) -> tuple[int, Fields | None]:
    parse_flags = importlib.import_module(f".{flags_module}", __package__).parse_flags
    started_at = datetime.datetime.now(datetime.UTC)
    words = [_DRY_RUN if word == "--dry-run" else word for word in words]
    options, beam_arguments = parse_flags(words)
    preflight.check_flags(options, beam_arguments)
    with startup.pause_collector():
        beam_imports.import_beam(beam_arguments)  # only now: no refusal waits for Beam
        from imgcls_beam.metrics import SubmittedJob

        from . import display, dry_run, endings, job, run_report

    if _DRY_RUN in words:
        tried = dry_run.try_first(options)
        if not how.json:
            terminal.say(functools.partial(dry_run.describe_first, tried))
        return DONE, functools.partial(dict, dry_run=tried)
    ended = job.run(options, beam_arguments, started_at, is_quiet=how.quiet)
    if isinstance(ended, SubmittedJob):
        if not how.json:
            terminal.say(functools.partial(display.describe_submitted, ended))
        return DONE, functools.partial(dict, submitted=dataclasses.asdict(ended))
    if not how.json:
        log = noise.find_log()
        terminal.say(functools.partial(display.describe_end, ended, options.output, log))
    report = run_report.write_after(options.output, is_quiet=how.json)
    code = TOO_MANY_ERRORS if ended.error_ratio > options.max_error_ratio else DONE
    return code, functools.partial(endings.to_fields, ended, options.output, report)


def _render(name: str, code: int, fields: Fields) -> str:
    return speech.render_answer(name, code, {"log": noise.find_log(), **fields()})


def fail(
    name: str,
    how: argparse.Namespace,
    code: int,
    kind: str,
    message: str,
    option: str | None = None,
) -> int:
    """Says why a program ends without having done what it should.

    Args:
        name: of the program.
        how: what was asked of `speech`.
        code: its exit code.
        kind: `usage`, `model`, `run`, `interrupted` or `defect`.
        message: one sentence.
        option: that is wrong.

    Returns:
        The exit code.
    """
    log, message = noise.find_log(), mask_secrets(message)
    if how.json:
        error = {"kind": kind, "option": option, "message": message}
        terminal.say(functools.partial(speech.render_answer, name, code, {"log": log}, error))
    else:
        more = f"; more in {log}" if log is not None and kind in ("run", "model", "defect") else ""
        sys.stderr.write(f"imgcls {name}: {terminal.escape(message + more, keep=chr(10))}\n")
    return code


@contextlib.contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """SIGTERM is what Ctrl-C is, unless who embeds this package has said otherwise."""
    is_ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if not is_ours:
        yield
        return
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _end_now(code: int) -> None:
    """Ends a process of our own: threads that still read and decode would be waited for."""
    if noise.owns_process():
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        stop_engines()
        os._exit(code)
