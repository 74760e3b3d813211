"""What others say while a program runs: it goes to a log file, and what this package says is shown.

Libraries log, warn, and write to file descriptor 2 behind Python's back; worker processes inherit
it. A program that has a process of its own turns all of that to a file, which its last words name.
"""

import atexit
import contextlib
import datetime
import functools
import logging
import os
import pathlib
import sys
import threading
import types
import warnings

from imgcls_beam.cache import find_cache
from imgcls_beam.masking import MaskingFormatter

_LOG = logging.getLogger("imgcls")
_OTHERS = logging.getLogger("imgcls_beam.others")
_FORM = "%(levelname)s %(name)s: %(message)s"
_KEPT_FILES, _MAX_BYTES = 20, 10 << 20
_NOT_NEEDED = (
    *("apitools not found", "requires torchvision", "compatible bson package"),
    "Resource module is not available",
)
"""Warnings of libraries about packages that are not needed here. The last one means that SciPy is
not installed, by which Beam would guess the model's size."""
_CLIENTS = ("gcsfs", "asyncio", "google.auth", "azure", "adlfs")
"""Of stores: what they raise is a row or a sentence here, and they log a page of it beside that."""

_state = types.SimpleNamespace(path=None, handlers=[])


def turn_aside(program: str, *, is_verbose: bool) -> None:
    """Sets up logging: what this package says on standard error, all else in a file.

    Where another program has set up logging, it is left as it is.

    Args:
        program: its name, with which the file's name begins.
        is_verbose: all of it is shown, and there is no file.
    """
    logging.getLogger("imgcls").setLevel(logging.INFO)
    # What Pillow thinks of an image's EXIF is a fact of that image: it belongs into no log.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    root = logging.getLogger()
    if any(each not in _state.handlers for each in root.handlers):
        return
    for handler in _state.handlers:
        root.removeHandler(handler)
    path = None if is_verbose or not owns_process() else _open_log(program)
    shown = logging.StreamHandler()
    shown.setFormatter(MaskingFormatter(_FORM))
    if not is_verbose:
        shown.addFilter(_is_ours)
        for name in _CLIENTS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
    _state.handlers, _state.path = [shown], path
    if path is not None:
        _state.handlers.append(_make_file_handler(path))
        logging.captureWarnings(True)
        threading.excepthook = _note_thread
        sys.unraisablehook = _note_unraisable
    for handler in _state.handlers:
        root.addHandler(handler)
    root.setLevel(logging.WARNING)


def owns_process() -> bool:
    """Whether standard error is the process's own; a test may stand before it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return bool(sys.stderr is sys.__stderr__ or _state.path) and os.fstat(2) is not None
    return False


def find_log() -> str | None:
    """The file, if there is anything in it."""
    path = _state.path
    with contextlib.suppress(OSError):
        if path is not None and path.stat().st_size > 0:
            return str(path)
    return None


def show_all() -> None:
    """From now on all is shown: for a job that others than a person on a terminal look after."""
    for handler in _state.handlers:
        handler.removeFilter(_is_ours)


def _has_room(path: pathlib.Path, _record: logging.LogRecord) -> bool:
    return not path.exists() or path.stat().st_size < _MAX_BYTES


def _is_worth_keeping(record: logging.LogRecord) -> bool:
    return not any(noise in record.getMessage() for noise in _NOT_NEEDED)


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name == _LOG.name


def _open_log(program: str) -> pathlib.Path | None:
    """Makes the file, and lets descriptor 2 lead to it; standard error stays what it was.

    None where there is no place for it: then nothing is turned aside.
    """
    folder = find_cache() / "logs"
    now = datetime.datetime.now(datetime.UTC)
    path = folder / f"{program}-{now:%Y%m%dT%H%M%S}-{os.getpid()}.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        sys.stderr.flush()
        if _state.path is None:
            shown = os.dup(2)
            sys.stderr = os.fdopen(shown, "w", 1, sys.stderr.encoding, "backslashreplace")
        os.dup2(descriptor, 2)
        os.close(descriptor)
    except OSError:
        return None
    _remove_old(folder)
    atexit.register(_remove_empty, path)
    return path


def _make_file_handler(path: pathlib.Path) -> logging.Handler:
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace", delay=True)
    handler.setFormatter(MaskingFormatter(f"%(asctime)s {_FORM}"))
    handler.addFilter(_is_worth_keeping)
    handler.addFilter(functools.partial(_has_room, path))
    return handler


def _remove_old(folder: pathlib.Path) -> None:
    with contextlib.suppress(OSError):  # others remove them too
        files = sorted(folder.glob("*.log"), key=_time_of)
        for path in files[:-_KEPT_FILES]:
            path.unlink(missing_ok=True)


def _time_of(path: pathlib.Path) -> float:
    return path.stat().st_mtime


def _remove_empty(path: pathlib.Path) -> None:
    with contextlib.suppress(OSError):
        if path.stat().st_size == 0:
            path.unlink()


def _note_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_type is not SystemExit:
        error = arguments.exc_value
        _OTHERS.error("in a thread: %s", error, exc_info=error)


def _note_unraisable(arguments: "sys.UnraisableHookArgs") -> None:
    _OTHERS.warning("ignored: %s", arguments.exc_value, exc_info=arguments.exc_value)


def note_error(error: BaseException) -> None:
    """Keeps an error with its traceback in the file; a person is told the sentence."""
    if _state.path is not None:
        _OTHERS.error("%s", error, exc_info=error)
