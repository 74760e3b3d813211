"""A model is looked at where a job is started, as its workers will: before it is submitted."""

import importlib.util

from imgcls_beam.classifying.configs import read_config
from imgcls_beam.errors import ModelError
from imgcls_beam.json_bounds import load_bounded_file
from imgcls_beam.models import fetch_model, fetched_outline, find_claim
from imgcls_beam.preparing import load_preparer
from imgcls_beam.scoring import ModelSource


def check_model(source: ModelSource) -> None:
    """Checks config, labels, image processor, and the names in the headers of the weights.

    No tensor is read. A machine that only starts jobs may lack transformers or torch: there nothing
    is checked, and workers refuse the model.

    Args:
        source: the model, pinned.

    Raises:
        ModelError: workers could not load it.
    """
    if not all(map(_is_installed, ("transformers", "torch"))):
        return
    from imgcls_beam.classifying.unloaded import check_unloaded

    with fetched_outline(source) as outline:
        folder = fetch_model(outline.source)
        read_config(folder, outline.source)
        if claim := find_claim(load_bounded_file(folder / "config.json"), outline.weights_bytes):
            raise ModelError(f"{source.model_id}: {claim}")
        load_preparer(outline.source)
        check_unloaded(outline)


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False
