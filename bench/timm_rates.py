"""What timm publishes of the same architectures: the forward pass alone, on other GPUs than here.

The figures are those of huggingface/pytorch-image-models, read on 2026-11-26; file and commit stand
beside each in `timm_rates.csv`. They were taken with torch 2.4 and CUDA 12.4, in mixed precision,
pixels and weights channels-last, at 224 pixels, of numbers that lie on the device.
"""

import csv
import pathlib
from typing import NamedTuple

_FILE = pathlib.Path(__file__).with_suffix(".csv")


class PublishedRate(NamedTuple):
    """A line of the file.

    Attributes:
        timm_model: timm's name of the architecture.
        gpu: on which it was measured.
        images_per_s: of the forward pass.
        batch_size: images in a pass.
        file: in timm's repository.
        commit: of that file.
    """

    timm_model: str
    gpu: str
    images_per_s: float
    batch_size: int
    file: str
    commit: str


def read_published(model: str) -> list[PublishedRate]:
    """What is published of one of `bench.models`."""
    with _FILE.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row.pop("model") == model]
    return [
        PublishedRate(
            row["timm_model"],
            row["gpu"],
            float(row["images_per_s"]),
            int(row["batch_size"]),
            row["file"],
            row["commit"],
        )
        for row in rows
    ]
