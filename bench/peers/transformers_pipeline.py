"""transformers' own pipeline: one image after the other, or in batches.

With `--search 1 8 16` it finds the batch size with which it is fastest, and prints it.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import transformers
from transformers.utils import logging

from bench.peers import rows


class Files(torch.utils.data.Dataset[str]):
    """Paths, as a dataset: the pipeline answers while it reads."""

    def __init__(self, names: Sequence[str]) -> None:
        """Takes the paths."""
        self._names = names

    def __len__(self) -> int:
        """How many there are."""
        return len(self._names)

    def __getitem__(self, index: int) -> str:
        """One path."""
        return self._names[index]


def main(argv: Sequence[str] | None = None) -> None:
    """Classifies a folder, or searches for the best batch size."""
    flags = rows.parse_flags(argv)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    classify = transformers.pipeline(
        "image-classification", model=str(flags.model), device="cpu", dtype="float32"
    )
    names = rows.list_files(flags.images)
    if flags.search:
        times_s = {size: _time(classify, names, size) for size in flags.search}
        print(min(times_s, key=lambda size: times_s[size]))  # noqa: T201
        return
    answers = _classify(classify, names, flags.batch_size)
    found = [rows.make_row(name, answer) for name, answer in zip(names, answers, strict=True)]
    rows.write_rows(found, flags.output)


def _classify(classify: Any, names: Sequence[str], size: int) -> Iterator[Any]:  # noqa: ANN401
    if size == 1:
        return (classify(name, top_k=rows.TOP_K) for name in names)
    files = Files(names)
    return iter(classify(files, top_k=rows.TOP_K, batch_size=size))


def _time(classify: Any, names: Sequence[str], size: int) -> float:  # noqa: ANN401
    start_s = time.perf_counter()
    for _ in _classify(classify, names, size):
        pass
    return time.perf_counter() - start_s


if __name__ == "__main__":
    main()
