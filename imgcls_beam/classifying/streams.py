"""One batch over several threads, each with a core of its own. Heavy: imports torch.

Threads that compute one operation together wait for each other after each, and the slowest of them
may just have lost its core to the decoding of the next images. Threads that each compute a share of
the batch wait once: on a quiet machine little is gained, beside other work up to 3.7 × (ADR 25).
"""

import concurrent.futures
import threading
from collections.abc import Callable

import torch

from imgcls_beam.classifying.core_share import CoreShare
from imgcls_beam.classifying.feeding import Tensors

_Pass = Callable[[Tensors], torch.Tensor]


class Streams:
    """Runs a model on the CPU: on as many threads as this process has cores."""

    def __init__(self, share: CoreShare) -> None:
        """Takes how many cores there are to use, which may change."""
        self._share = share
        self._turn = threading.Lock()
        self._pool: concurrent.futures.ThreadPoolExecutor | None = None
        self._size = 0

    def run(self, forward: _Pass, stacked: Tensors) -> torch.Tensor:
        """One pass over a batch. Threads take turns: shares of two batches gain nothing (ADR 44).

        Args:
            forward: from inputs of M images to (M, C).
            stacked: of N ≥ 1 images.

        Returns:
            (N, C), in order.

        Raises:
            Exception: whatever `forward` raises, of the first share that fails; all have ended.
        """
        with self._turn:
            return self._run(forward, stacked)

    def _run(self, forward: _Pass, stacked: Tensors) -> torch.Tensor:
        images = len(next(iter(stacked.values())))
        cores = self._share.count()
        shares = _split(stacked, min(images, cores))
        threads = max(1, cores // len(shares))
        pool = self._grow(len(shares))
        running = [pool.submit(_run_alone, forward, share, threads) for share in shares]
        concurrent.futures.wait(running)
        return torch.cat([each.result() for each in running])

    def _grow(self, size: int) -> concurrent.futures.ThreadPoolExecutor:
        if self._pool is None or size > self._size:
            if self._pool is not None:
                self._pool.shutdown(wait=False)
            self._size = size
            self._pool = concurrent.futures.ThreadPoolExecutor(size, "imgcls-stream")
        return self._pool


_OF_THREAD = threading.local()


def _run_alone(forward: _Pass, share: Tensors, threads: int) -> torch.Tensor:
    if getattr(_OF_THREAD, "threads", None) != threads:
        torch.set_num_threads(threads)  # of this thread: OpenMP counts for each that starts others
        _OF_THREAD.threads = threads
    with torch.inference_mode():
        return forward(share)


def _split(stacked: Tensors, count: int) -> list[Tensors]:
    """Shares that differ by one image at most, in order."""
    split = {name: each.tensor_split(count) for name, each in stacked.items()}
    return [{name: each[i] for name, each in split.items()} for i in range(count)]
