"""Ray Data, after its example of image classification with a Hugging Face model.

Actors hold the model, as many as asked for with `--workers`. They reserve half of the cores: actors
that reserve all of them leave none to the tasks that read, and wait for ever.
"""

import os
import time
from typing import Any

import numpy as np
import ray
from PIL import Image

from bench.peers import rows


class Classifier:
    """The model of a folder, in an actor."""

    def __init__(self, folder: str) -> None:
        """Loads the pipeline."""
        import transformers

        self._classify = transformers.pipeline(
            "image-classification", model=folder, device="cpu", dtype="float32"
        )

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Classifies a batch of arrays."""
        images = [Image.fromarray(array) for array in batch["image"]]
        answers = self._classify(images, top_k=rows.TOP_K, batch_size=len(images))
        return {
            "image_uri": batch["path"],
            "predictions": answers,
            "done_at": np.full(len(images), time.time()),
        }


def main() -> None:
    """Classifies a folder."""
    flags = rows.parse_flags()
    ray.init(log_to_driver=False, logging_level="error", include_dashboard=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    share = len(os.sched_getaffinity(0)) / flags.workers / 2
    images = ray.data.read_images(str(flags.images), include_paths=True, mode="RGB")
    predictions = images.map_batches(
        Classifier,
        fn_constructor_args=(str(flags.model),),
        batch_size=flags.batch_size,
        compute=ray.data.ActorPoolStrategy(size=flags.workers),
        num_cpus=share if share < 1 else int(share),
    )
    predictions.write_parquet(str(flags.output))


if __name__ == "__main__":
    main()
