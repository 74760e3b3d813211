"""Whether OpenVINO is faster, tried beside the run that uses a model for the first time.

To convert a model, to judge its scores and to time it takes longer than a run of a few images. So
torch predicts from the first image on, and once a run has predicted for a while another process of
the lowest priority, `trial_process`, finds out and keeps what it found, see `known`. If that is a
graph, it takes over between two batches. Whatever becomes of the other process, the run goes on.

On a machine one trial goes on at a time, whoever began it, and the others wait for what it keeps.
"""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from imgcls_beam.cache import find_cache
from imgcls_beam.classifying.core_share import share_cores
from imgcls_beam.classifying.known import KIND, load_kept_runner
from imgcls_beam.classifying.protocol import ClassifierSpec
from imgcls_beam.classifying.running import Runner
from imgcls_beam.classifying.trial_child import TrialChild, start_child
from imgcls_beam.memory import count_free_bytes
from imgcls_beam.models.keeping import clear_parts, find_kept
from imgcls_beam.reasons import describe_reason
from imgcls_beam.scoring import EngineChoice

_LOG = logging.getLogger(__name__)

_WORTH_S = 10.0
"""A run that has predicted for so long is likely to go on for as long, which is what a trial of a
small model costs."""
_LOOKS_S = 1.0
"""Predicted between two looks at whether another trial is over."""

_LIBRARIES_BYTES = 1 << 30
_COPIES = 6
"""A trial takes what the libraries take, and the weights so many times: plain, in float64, packed,
and as a graph."""


class Trial:
    """Follows the passes of a model that was not used on this machine before; see `Successor`."""

    def __init__(
        self,
        spec: ClassifierSpec,
        key: Mapping[str, Any],
        probes: Mapping[str, np.ndarray[Any, Any]],
        weights_bytes: int,
    ) -> None:
        """Begins nothing yet.

        Args:
            spec: of the model.
            key: under which it is kept which engine is faster.
            probes: (N, …) each: what the model is asked about.
            weights_bytes: of the model.
        """
        self._spec, self._key, self._probes = spec, key, probes
        self._needed_bytes = _LIBRARIES_BYTES + _COPIES * weights_bytes
        self._due_s, self._predicted_s = _WORTH_S, 0.0
        self._lock: FileLock | None = None
        self._child: TrialChild | None = None
        self._is_over = False

    def follow(self, elapsed_ms: float) -> Runner | EngineChoice | None:
        """See `Successor`."""
        self._predicted_s += elapsed_ms / 1e3
        if self._child is not None:
            return self._end() if self._child.is_over() else None
        if self._is_over or self._predicted_s < self._due_s:
            return None
        self._due_s = self._predicted_s + _LOOKS_S
        return self._begin(wait_s=0)

    def settle(self) -> Runner | EngineChoice | None:
        """See `Successor`."""
        runner = self._begin(wait_s=-1) if self._child is None and not self._is_over else None
        if self._child is not None:
            self._child.wait()
            runner = self._end()
        return runner

    def _begin(self, wait_s: float) -> Runner | EngineChoice | None:
        """Starts the other process, unless another trial goes on or left what it found."""
        try:
            find_cache().mkdir(parents=True, exist_ok=True)
            # Another thread may end what one begins.
            lock = FileLock(find_cache() / f"{KIND}.lock", thread_local=False)
            lock.acquire(timeout=wait_s)
        except Timeout:
            return None
        except (OSError, NotImplementedError):  # nothing can be kept, so there is nothing to find
            self._leave("the cache folder cannot be written")
            return None
        self._lock = lock
        if find_kept(KIND, self._key) is not None:
            return self._end()
        free_bytes = count_free_bytes()
        if free_bytes is not None and free_bytes < self._needed_bytes:
            self._leave(f"only {free_bytes / 1e6:,.0f} MB of memory are free")
            return None
        clear_parts(KIND, self._key)
        try:
            self._child = start_child(self._spec, self._key, self._probes)
        except OSError as error:
            self._leave(f"no process could be started ({error.strerror})")
        return None

    def _end(self) -> Runner | EngineChoice | None:
        kept = find_kept(KIND, self._key)
        self._leave("nothing was found" if kept is None else kept.facts["choice"]["why"])
        if kept is None:
            return None
        try:
            runner = load_kept_runner(kept, share_cores(self._spec))
        except Exception as error:  # noqa: BLE001  torch goes on, whatever the library raises
            _LOG.debug("its graph cannot be compiled (%s)", describe_reason(error))
            return None
        return runner or EngineChoice(**kept.facts["choice"])

    def _leave(self, why: str) -> None:
        self._is_over, self._child, self._probes = True, None, {}
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        _LOG.debug("the trial of %s is over: %s", self._spec.source.model_id, why)
