"""A model is loaded once in a process, or so often on a machine as its handler was told."""

import pathlib

import pytest

from tests.loads import count_loads
from tests.models import make_model
from tests.runners import IN_MEMORY, TWO_PROCESSES, TWO_THREADS
from tests.scenes import write_photos

pytestmark = pytest.mark.slow


@pytest.fixture
def photos(tmp_path: pathlib.Path) -> pathlib.Path:
    write_photos(tmp_path / "photos", 40)
    return tmp_path / "photos"


@pytest.mark.parametrize(
    ("runner", "loads"),
    [
        *((IN_MEMORY, [1]), (TWO_THREADS, [1])),
        # The program loads it to see that it is well.
        pytest.param(TWO_PROCESSES, [1, 1, 1], marks=pytest.mark.long),
    ],
)
def test_a_process_loads_the_model_once(
    runner: list[str],
    loads: list[int],
    photos: pathlib.Path,
    vit_folder: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    flags = [f"--input={photos}", f"--output={tmp_path}/out", f"--model={vit_folder}"]
    assert count_loads(["-m", "pipelines", "classify", *flags, *runner], tmp_path) == {"vit": loads}


_PROGRAM = """
import pathlib, sys
import apache_beam as beam
from apache_beam.ml.inference.base import RunInference
from apache_beam.options.pipeline_options import PipelineOptions
from imgcls_beam import ImageClassificationModelHandler

if __name__ == "__main__":
    photos, handlers, *runner = sys.argv[1:]
    with beam.Pipeline(options=PipelineOptions(runner)) as pipeline:
        images = [path.read_bytes() for path in sorted(pathlib.Path(photos).iterdir())]
        shuffled = pipeline | beam.Create(images) | beam.Reshuffle()
        for model, options in eval(handlers).items():
            handler = ImageClassificationModelHandler(model, batch_size=4, **options)
            (
                shuffled
                | f"classify {model}" >> RunInference(handler)
                | f"measure {model}" >> beam.Map(lambda result: len(result.inference))
            )
"""

_HANDLERS: dict[str, tuple[dict[str, object], list[int]]] = {
    "plain": ({}, [1, 1]),
    "shared": ({"share_model_across_processes": True}, [1]),
    "copied": ({"model_copies": 2}, [2]),  # by which Beam means copies for all processes
    "both": ({"share_model_across_processes": True, "model_copies": 2}, [2]),
}


@pytest.mark.long(minutes=1)
def test_two_processes_share_a_model_or_have_copies_as_the_handler_is_told(
    photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    handlers = {
        str(make_model(tmp_path / name, seed=seed)): options
        for seed, (name, (options, _)) in enumerate(_HANDLERS.items())
    }
    arguments = [str(program), str(photos), repr(handlers), *TWO_PROCESSES]
    expected = {name: loads for name, (_, loads) in _HANDLERS.items()}
    assert count_loads(arguments, tmp_path) == expected
