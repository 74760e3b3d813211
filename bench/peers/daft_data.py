"""Daft: files are downloaded and decoded by its own functions, a class holds the model."""

import time
from typing import Any

import daft
from daft import DataType, Series, col
from PIL import Image

from bench.peers import rows

ANSWER = DataType.struct(
    {
        "predictions": DataType.list(
            DataType.struct({"label": DataType.string(), "score": DataType.float64()})
        ),
        "done_at": DataType.float64(),
    }
)
BATCH_SIZE = 16


@daft.cls
class Classifier:
    """The model of a folder; one in a process."""

    def __init__(self, folder: str) -> None:
        """Loads the pipeline."""
        import transformers

        self._classify = transformers.pipeline(
            "image-classification", model=folder, device="cpu", dtype="float32"
        )

    @daft.method.batch(  # type: ignore[untyped-decorator]
        return_dtype=ANSWER, batch_size=BATCH_SIZE
    )
    def classify(self, images: Series) -> list[Any]:
        """Classifies a batch."""
        opened = [Image.fromarray(array) for array in images.to_pylist()]
        answers = self._classify(opened, top_k=rows.TOP_K, batch_size=BATCH_SIZE)
        done_at = time.time()
        return [{"predictions": answer, "done_at": done_at} for answer in answers]


def main() -> None:
    """Classifies a folder."""
    flags = rows.parse_flags()
    classifier = Classifier(str(flags.model))
    files = daft.from_glob_path(f"{flags.images}/*")
    images = files.with_column("image", col("path").download().decode_image(mode="RGB"))
    answered = images.with_column("answer", classifier.classify(images["image"]))
    answered.select(
        col("path").alias("image_uri"),
        col("answer")["predictions"].alias("predictions"),
        col("answer")["done_at"].alias("done_at"),
    ).write_parquet(str(flags.output))


if __name__ == "__main__":
    main()
