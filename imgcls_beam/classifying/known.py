"""Models that were loaded on this machine before: their facts, and the graph that ran them.

What is kept holds for one content of the model, one processor, one number of cores, and the very
versions of the libraries; everything else is another key. A model that is known and run by OpenVINO
needs neither torch nor transformers, and was checked when it was kept.
"""

import dataclasses
import importlib.util
from collections.abc import Mapping
from typing import Any

from imgcls_beam.classifying.core_share import CoreShare, share_cores
from imgcls_beam.classifying.cpu import describe_cpu, may_have_cuda
from imgcls_beam.classifying.protocol import Classifier, ClassifierCard, ClassifierSpec
from imgcls_beam.classifying.running import Runner, RunningClassifier
from imgcls_beam.library_versions import find_versions
from imgcls_beam.models.keeping import Kept, find_kept
from imgcls_beam.scoring import EngineChoice

KIND = "engine"
"""Of what is kept, see `keeping`."""

_FORM = 3
"""Of the facts; another number makes all of them anew."""

_OTHER_SHAPE = EngineChoice("torch", "OpenVINO's graph is made for images of another shape")


def load_known(spec: ClassifierSpec) -> Classifier | None:
    """The model, without torch; None where it is not known, or not run without."""
    is_ours = (
        spec.engine in ("auto", "openvino") and spec.dtype != "float16" and spec.device != "cuda"
    )
    if not is_ours or not has_openvino() or (spec.device == "auto" and may_have_cuda()):
        return None
    kept = find_kept(KIND, make_key(spec))
    if kept is None or (runner := load_kept_runner(kept, share_cores(spec))) is None:
        return None
    return RunningClassifier(read_card(kept.facts["card"]), runner, lambda: load_other(spec))


def has_openvino() -> bool:
    """Whether the extra `[openvino]` is installed."""
    return importlib.util.find_spec("openvino") is not None


def make_key(spec: ClassifierSpec) -> dict[str, Any]:
    """What has a say in the scores of a model on the CPU, and in how fast they are."""
    return {
        "form": _FORM,
        "model": [spec.source.key, spec.source.revision, spec.source.weights],
        "affine": spec.affine and dataclasses.asdict(spec.affine),
        "dtype": spec.dtype,
        "engine": spec.engine,
        "cpu": describe_cpu(),
        "cores": share_cores(spec).cores,
        "versions": find_versions(),
    }


def load_kept_runner(kept: Kept, share: CoreShare) -> Runner | None:
    """The graph that was kept, compiled; None where the model is run by torch."""
    choice = EngineChoice(**kept.facts["choice"])
    if choice.name != "openvino":
        return None
    from imgcls_beam.classifying.openvino_running import GRAPH, OpenVinoRunner

    graph = kept.facts["graph"]
    return OpenVinoRunner(choice, kept.folder / GRAPH, **graph, share=share)


def load_other(spec: ClassifierSpec) -> Runner:
    """The model by torch, for images that have another shape than the graph's."""
    from imgcls_beam.classifying.huggingface import load_plain_runner

    return load_plain_runner(spec, _OTHER_SHAPE)


def describe_card(card: ClassifierCard) -> dict[str, Any]:
    """A card as JSON values."""
    return dataclasses.asdict(card)


def read_card(fields: Mapping[str, Any]) -> ClassifierCard:
    """What `describe_card` gave, after JSON."""
    size = fields["image_size_px"]
    return ClassifierCard(
        **{
            **fields,
            "labels": tuple(fields["labels"]),
            "image_size_px": size and (size[0], size[1]),
            "engine": fields["engine"] and EngineChoice(**fields["engine"]),
        }
    )
