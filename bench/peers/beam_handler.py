"""Beam's RunInference with its PyTorch handler, after Beam's example of image classification.

The example is `apache_beam/examples/inference/pytorch_image_classification.py`: a keyed handler of
a state dict, preprocessing of each image, batches of 10 to 100. The processor is the model's own,
and what is written are rows of Parquet.
"""

import functools
import pathlib
import time
from typing import Any

import apache_beam as beam
import pyarrow as pa
import torch
import transformers
from apache_beam.io.filesystems import FileSystems
from apache_beam.ml.inference.base import KeyedModelHandler, PredictionResult, RunInference
from apache_beam.ml.inference.pytorch_inference import PytorchModelHandlerKeyedTensor
from PIL import Image

from bench.peers import rows

SCHEMA = pa.schema(
    {
        "image_uri": pa.string(),
        "predictions": pa.list_(pa.struct({"label": pa.string(), "score": pa.float64()})),
        "done_at": pa.float64(),
    }
)


def main() -> None:
    """Classifies a folder."""
    flags = rows.parse_flags()
    model = transformers.AutoModelForImageClassification.from_pretrained(flags.model)
    state = flags.output.with_suffix(".pt")
    torch.save(model.state_dict(), state)
    handler = PytorchModelHandlerKeyedTensor(
        state_dict_path=str(state),
        model_class=type(model),
        model_params={"config": model.config},
        device="CPU",
        min_batch_size=10,
        max_batch_size=100,
    )
    preprocess = functools.partial(read_image, folder=str(flags.model))
    postprocess = functools.partial(to_row, labels=model.config.id2label)
    del model
    flags.output.mkdir()
    with beam.Pipeline() as pipeline:
        _ = (
            pipeline
            | "ImageNames" >> beam.Create(rows.list_files(flags.images))
            | "Preprocess" >> beam.Map(preprocess)
            | "RunInference" >> RunInference(KeyedModelHandler(handler))
            | "ToRow" >> beam.Map(postprocess)
            | "Write" >> beam.io.WriteToParquet(str(flags.output / "part"), SCHEMA)
        )
    state.unlink()


def read_image(name: str, folder: str) -> tuple[str, dict[str, torch.Tensor]]:
    """Reads one image and prepares it for the model of a folder."""
    with FileSystems.open(name) as file:
        image = Image.open(file).convert("RGB")
    prepared = load_processor(folder)(images=image, return_tensors="pt")
    return name, {"pixel_values": prepared["pixel_values"][0]}


@functools.cache
def load_processor(folder: str) -> Any:  # noqa: ANN401  transformers' own class
    """The image processor; once in a process."""
    return transformers.AutoImageProcessor.from_pretrained(pathlib.Path(folder))


def to_row(element: tuple[str, PredictionResult], labels: dict[int, str]) -> rows.Row:
    """A row of one prediction."""
    name, result = element
    (best,) = rows.rank_logits(result.inference["logits"][None], labels)
    return {"image_uri": name, "predictions": best, "done_at": time.time()}


if __name__ == "__main__":
    main()
