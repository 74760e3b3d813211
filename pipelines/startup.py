"""What has to be set before Beam and torch are imported, which this module does not do."""

import contextlib
import gc
import io
import os
import sys
from collections.abc import Iterator

from . import noise


def set_up(program: str = "imgcls", *, is_verbose: bool = False) -> None:
    """Sets up streams, logging, and by variables, which workers inherit, two libraries.

    Args:
        program: its name.
        is_verbose: what other libraries say is shown.
    """
    set_up_streams()
    noise.turn_aside(program, is_verbose=is_verbose)
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
