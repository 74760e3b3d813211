"""Which engine runs a model: the fastest that is installed and says the same. Heavy.

A model that was used on this machine before is run by what was found the fastest then, see `known`.
One that was not is run by torch at once; whether OpenVINO is faster is tried beside the run, see
`trial`. Where OpenVINO was asked for, the model is converted before its first image. On a GPU torch
runs every model, and compiles it for those who ask, see `compiling`.
"""

import torch

from imgcls_beam.classifying.core_share import share_cores
from imgcls_beam.classifying.deciding import Plain, convert_asked, make_torch
from imgcls_beam.classifying.known import KIND, has_openvino, load_kept_runner, make_key
from imgcls_beam.classifying.running import Runner, Successor
from imgcls_beam.classifying.trial import Trial
from imgcls_beam.errors import ModelError
from imgcls_beam.models.keeping import find_kept

_FIRST_USE = "not used here before; OpenVINO is tried beside a run that goes on"


def choose_runner(plain: Plain) -> tuple[Runner, Successor | None]:
    """The runner of a model, and what may give a faster one later.

    The model is not to be used any more afterwards.

    Raises:
        ModelError: OpenVINO was asked for, and cannot be used.
    """
    spec = plain.spec
    if why := _explain_torch(plain):
        return make_torch(plain, why), None
    key = make_key(spec)
    if (kept := find_kept(KIND, key)) is not None:
        kept_runner = load_kept_runner(kept, share_cores(spec))
        return kept_runner or make_torch(plain, kept.facts["choice"]["why"]), None
    if spec.engine == "openvino":
        return convert_asked(plain, key), None
    probes = {name: each.numpy() for name, each in plain.judge.probes.items()}
    trial = Trial(spec, key, probes, plain.card.size_bytes)
    return make_torch(plain, _FIRST_USE), trial


def _explain_torch(plain: Plain) -> str | None:
    """Why nothing else than torch comes into question; None where OpenVINO does.

    Raises:
        ModelError: OpenVINO was asked for, and cannot be used.
    """
    spec = plain.spec
    if spec.engine in ("torch", "torch.compile"):
        return "asked for"
    is_asked, why = spec.engine == "openvino", None
    if plain.feed.device.type != "cpu":
        why = "OpenVINO runs on the CPU here"
    elif not has_openvino():
        why = "OpenVINO is not installed"
    elif plain.model.dtype not in (torch.float32, torch.bfloat16):
        why = "OpenVINO runs float32 and bfloat16 here"
    if why is not None and is_asked:
        advice = "pip install openvino, or " if not has_openvino() else ""
        raise ModelError(f"{spec.source.model_id}: {why}; {advice}give --engine=torch")
    return why
