"""What the hand-written loops find ready: a model's preparation, and its OpenVINO form.

A loop that its author knows the model of needs no library to read a config. Everything here is made
once, before anything is timed.
"""

import dataclasses
import pathlib
import pickle
import sys

from imgcls_beam.preparing.geometry import Geometry
from imgcls_beam.scoring import ChannelAffine

BATCH_SIZE = 16


@dataclasses.dataclass(frozen=True, slots=True)
class LoopInputs:
    """What is known of a model.

    Attributes:
        geometry: the job's own steps on uint8, bit for bit.
        affine: the arithmetic that follows.
        labels: by class index.
        model: folder of the checkpoint.
        openvino: the model in OpenVINO's form, which takes uint8 (N, H, W, 3); None without it.
    """

    geometry: Geometry
    affine: ChannelAffine
    labels: tuple[str, ...]
    model: pathlib.Path
    openvino: pathlib.Path | None


def load_inputs(file: pathlib.Path) -> LoopInputs:
    """Reads what `make_inputs` wrote."""
    inputs = pickle.loads(file.read_bytes())
    assert isinstance(inputs, LoopInputs)
    return inputs


def make_inputs(model: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """Finds out what a loop has to know, and writes it into a new folder; returns the file.

    Raises:
        ValueError: the model's processor is more than geometry and arithmetic, or what the model
            gives is no softmax.
    """
    import transformers

    from imgcls_beam.models import resolve_model
    from imgcls_beam.preparing import load_preparer

    folder.mkdir(parents=True)
    preparer = load_preparer(resolve_model(str(model), None))
    config = transformers.AutoConfig.from_pretrained(model)
    if preparer.geometry is None or preparer.affine is None or config.num_labels < 2:
        raise ValueError(f"{model}: the hand-written loops know geometry, arithmetic and softmax")
    labels = tuple(config.id2label[index] for index in range(config.num_labels))
    openvino = _convert(model, preparer.geometry, preparer.affine, folder)
    inputs = LoopInputs(preparer.geometry, preparer.affine, labels, model, openvino)
    file = folder / "inputs.pickle"
    file.write_bytes(pickle.dumps(inputs))
    return file


def _convert(
    model: pathlib.Path, geometry: Geometry, affine: ChannelAffine, folder: pathlib.Path
) -> pathlib.Path | None:
    try:
        import openvino
    except ImportError:
        return None
    import torch
    from PIL import Image

    from bench.torch_models import FromPixels

    pixels = geometry.apply(Image.new("RGB", (640, 480)))
    example = torch.zeros(BATCH_SIZE, *pixels.shape, dtype=torch.uint8)
    with torch.inference_mode():
        converted = openvino.convert_model(FromPixels(model, affine), example_input=example)
    converted.reshape(list(example.shape))
    path = folder / "model.xml"
    openvino.save_model(converted, path, compress_to_fp16=False)
    return path


if __name__ == "__main__":  # MODEL FOLDER
    make_inputs(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
