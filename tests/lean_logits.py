"""What models say of the probes in a process without what a classifier does not use.

And which modules are there after the first.

::

    python -m tests.lean_logits FOLDER…
"""

import json
import sys

from imgcls_beam.classifying import ClassifierSpec
from imgcls_beam.classifying.protocol import _load
from imgcls_beam.library_imports import leave_out_unused
from imgcls_beam.models import resolve_model
from imgcls_beam.preparing import load_preparer
from tests.probes import probe


def classify(folder: str) -> list[list[float]]:
    """Logits of a model's own probes, by torch."""
    source, draw = resolve_model(folder, None), probe(folder)
    spec = ClassifierSpec(source, load_preparer(source).affine, "cpu", engine="torch")
    classifier = _load(spec, draw)
    inputs = draw(classifier.describe().image_size_px)
    logits: list[list[float]] = classifier.classify(inputs).logits.tolist()
    return logits


if __name__ == "__main__":
    leave_out_unused()
    found = {sys.argv[1]: classify(sys.argv[1])}
    modules = list(sys.modules)
    found |= {folder: classify(folder) for folder in sys.argv[2:]}
    print(json.dumps({"logits": found, "modules": modules}))  # noqa: T201
