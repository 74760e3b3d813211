"""The process that tries OpenVINO, as the one that started it sees it; see `trial`."""

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

from imgcls_beam.classifying.protocol import ClassifierSpec
from imgcls_beam.models import fetch_model
from imgcls_beam.scoring import ChannelAffine, ModelSource

_PROGRAM = "imgcls_beam.classifying.trial_process"
_ASKED = "asked"
"""Of the arrays that are handed over, the one that holds JSON; the others are inputs."""

_NICENESS = 19
"""The least that Linux gives: a core that is free, and next to nothing of one that is not."""

_PASSED_ON = (
    *("PATH", "HOME", "USERPROFILE", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP", "LANG", "LC_ALL"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "IMGCLS_CACHE", "XDG_CACHE_HOME"),
    *("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"),
)
"""Variables that the other process may see: where things are, and no secret."""
_SET = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "CUDA_VISIBLE_DEVICES": "",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


class TrialChild:
    """A started process. It is killed where nobody asks for it any more, or this process ends.

    Attributes:
        pid: its number.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", handed_over: pathlib.Path) -> None:
        """Takes what was started, and the file that was handed over to it."""
        self.pid = process.pid
        self._process = process
        self._stop = weakref.finalize(self, _stop, os.getpid(), process, handed_over)

    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def wait(self) -> None:
        """Waits for its end."""
        self._process.wait()


def start_child(
    spec: ClassifierSpec, key: Mapping[str, Any], probes: Mapping[str, np.ndarray[Any, Any]]
) -> TrialChild:
    """Starts the process that finds out which engine is faster, and keeps it under the key.

    It holds the other end of a pipe, whose closing tells it that this process is gone.

    Raises:
        OSError: it cannot be started.
    """
    handed_over = write_asked(spec, key, probes)
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", _PROGRAM, str(handed_over), str(_NICENESS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=_make_environment(),
        )
    except OSError:
        handed_over.unlink(missing_ok=True)
        raise
    return TrialChild(process, handed_over)


def write_asked(
    spec: ClassifierSpec, key: Mapping[str, Any], probes: Mapping[str, np.ndarray[Any, Any]]
) -> pathlib.Path:
    """Writes what the other process needs to know into a temporary file, which is its to remove."""
    if spec.source.commit is None:  # its copy on this machine, not its URL
        location = str(fetch_model(spec.source))
        spec = dataclasses.replace(spec, source=dataclasses.replace(spec.source, location=location))
    asked = {"spec": dataclasses.asdict(spec), "key": key, "inputs": list(probes)}
    arrays = {f"input {index}": each for index, each in enumerate(probes.values())}
    with tempfile.NamedTemporaryFile(suffix=".npz", delete=False) as file:
        arrays[_ASKED] = np.array(json.dumps(asked))
        np.savez(file, allow_pickle=False, **arrays)
    return pathlib.Path(file.name)


def read_asked(
    path: pathlib.Path,
) -> tuple[ClassifierSpec, Mapping[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """What `write_asked` wrote; the spec has one thread."""
    with np.load(path, allow_pickle=False) as held:
        asked = json.loads(str(held[_ASKED]))
        probes = {name: held[f"input {index}"] for index, name in enumerate(asked["inputs"])}
    fields = asked["spec"]
    source = ModelSource(**fields.pop("source"))
    affine = fields.pop("affine")
    if affine is not None:
        affine = ChannelAffine(**{name: tuple(each) for name, each in affine.items()})
    return ClassifierSpec(source, affine, **{**fields, "threads": 1}), asked["key"], probes


def _make_environment() -> dict[str, str]:
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    places = [each or os.getcwd() for each in sys.path]
    return {**passed_on, **_SET, "PYTHONPATH": os.pathsep.join(places)}


def _stop(starter: int, process: "subprocess.Popen[bytes]", handed_over: pathlib.Path) -> None:
    if os.getpid() != starter:  # a fork of it, which goes its own way
        return
    with contextlib.suppress(OSError):
        process.kill()
    if process.stdin is not None:
        process.stdin.close()
    process.wait()
    handed_over.unlink(missing_ok=True)
