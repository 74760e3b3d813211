"""What has to be set before Beam and torch are imported, which this module does not do."""

import contextlib
import gc
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator

_NOISE = (
    *("apitools not found", "requires torchvision", "compatible bson package"),
    "Resource module is not available",
)
"""Warnings of libraries about packages that are not needed here. The last one means that SciPy is
not installed, by which Beam would guess the model's size."""
_CLIENTS = ("gcsfs", "asyncio", "google.auth")
"""Of stores: what they raise is a row or a sentence here, and they log a page of it beside that."""


def set_up() -> None:
    """Sets up streams, logging, and by variables, which workers inherit, two libraries."""
    set_up_streams()
    set_up_logging()
    # Threads that wait by spinning take the core from the process they wait for: two jobs on two
    # cores took 22.8 and 28.7 s, and 11.9 and 12.3 s with this; one job alone took the same time.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _quiet_transformers()


def _quiet_transformers() -> None:
    """Errors only, and no bars: its warnings repeat what is checked here with better words.

    It is told by its variables, for it may not be imported at all; or by itself, where it is.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    if (library := sys.modules.get("transformers.utils.logging")) is not None:
        library.set_verbosity_error()
        library.disable_progress_bar()


@contextlib.contextmanager
def pause_collector() -> Iterator[None]:
    """Looks for no cycles meanwhile; for imports, whose many objects stay.

    To look through them again and again was a tenth of the time that importing Beam, torch and
    transformers takes.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def keep_loaded() -> None:
    """What is loaded by now stays: no search for cycles goes through it, not even that at exit.

    Once in a process. It took two of eleven seconds of processor time of a run of one image.
    """
    if gc.get_freeze_count() == 0:
        gc.freeze()


def set_up_streams() -> None:
    """No text fails on its way out: of streams that are closed, or of another encoding."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by who started the program
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def set_up_logging() -> None:
    """Warnings of everybody, and what this package has to say; on standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    handler.addFilter(_is_worth_showing)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("imgcls").setLevel(logging.INFO)
    for name in _CLIENTS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # What Pillow thinks of an image's EXIF is a fact of that image: it belongs into no log.
    warnings.filterwarnings("ignore", module=r"PIL\.")


def _is_worth_showing(record: logging.LogRecord) -> bool:
    return not any(noise in record.getMessage() for noise in _NOISE)
