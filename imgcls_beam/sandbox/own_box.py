"""The decode boxes of this process: one for each size of child, made when it is first needed."""

import dataclasses
import os
import threading

from imgcls_beam.cores import count_cores
from imgcls_beam.errors import ConfigError
from imgcls_beam.options import DecodeOptions
from imgcls_beam.reasons import describe_reason
from imgcls_beam.sandbox.box import START_FAULTS, DecodeBox
from imgcls_beam.sandbox.locking import LOCKS
from imgcls_beam.scoring import SandboxState

_MIB = 1 << 20
_LEAST_PIXELS = 64 * _MIB
_BASE_BYTES, _BYTES_OF_PIXEL = 512 * _MIB, 24
"""What a child may have: Python and the decoders, and what the greediest of them takes."""

_OFF = SandboxState("worker", why="it was switched off")


@dataclasses.dataclass(slots=True)
class _OwnBox:
    box: DecodeBox
    state: SandboxState | None = None


_LOCK = threading.Lock()
_OWN: dict[tuple[int, int], _OwnBox] = {}
"""By process, for a fork of it has none, and by the memory of a child."""


def start_box(options: DecodeOptions) -> None:
    """Starts the first child in the background, for who needs it soon."""
    if options.sandbox != "off":
        _find(options).box.start_first()


def find_box(options: DecodeOptions) -> DecodeBox:
    """The box of this process for such images; it may have no child yet, and there may be none."""
    return _find(options).box


def find_state(options: DecodeOptions) -> SandboxState:
    """Where images are decoded in this process, and what holds there; waits for the first child.

    Raises:
        ConfigError: the sandbox that is required cannot be had here.
    """
    if options.sandbox == "off":
        return _OFF
    own = _find(options)
    if own.state is None:
        own.state = _look(own.box)
    if options.sandbox == "require":
        _require(own.state)
    return own.state


def _find(options: DecodeOptions) -> _OwnBox:
    memory_bytes = _BASE_BYTES + _BYTES_OF_PIXEL * max(options.max_pixels, _LEAST_PIXELS)
    key = os.getpid(), memory_bytes
    with _LOCK:
        if key not in _OWN:
            _OWN[key] = _OwnBox(DecodeBox(memory_bytes, count_cores()))
        return _OWN[key]


def _look(box: DecodeBox) -> SandboxState:
    try:
        return SandboxState("child", box.find_locks())
    except START_FAULTS as error:
        return SandboxState("worker", why=f"no process can be started ({describe_reason(error)})")


def _require(state: SandboxState) -> None:
    if state.where == "worker":
        raise ConfigError("sandbox", "require", f"{state.why}; give auto to go on without it")
    lacking = [each for each in LOCKS if each not in state.locks]
    if lacking:
        problem = f"this machine has no {' and no '.join(lacking)}"
        raise ConfigError("sandbox", "require", f"{problem}; give auto to go on without it")
