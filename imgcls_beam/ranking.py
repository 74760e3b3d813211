"""Logits → scores → the best labels.

The arithmetic is that of transformers' `ImageClassificationPipeline`, in float32, so that scores
are equal and not only close. Ties are in the order of their class index.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

from imgcls_beam.scoring import AppliedParameters
from imgcls_beam.spec import FunctionToApply, LabelScore, Parameters

Scores = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, slots=True)
class Ranking:
    """The answer for one image.

    Attributes:
        labels: best first.
        margin: best score minus second best over all classes; None where there is one class.
    """

    labels: tuple[LabelScore, ...]
    margin: float | None


def choose_parameters(
    request: Parameters,
    job_top_k: int | None,
    job_function: FunctionToApply | None,
    model_function: FunctionToApply,
) -> AppliedParameters:
    """What applies to one image: what its request says, else the job, else the model's config.

    A function of None leaves it to the next of them; a job's top_k of None is every label.
    """
    top_k = job_top_k if request.top_k is None else request.top_k
    if request.function_to_apply is not None:
        return AppliedParameters(top_k, request.function_to_apply, "request")
    if job_function is not None:
        return AppliedParameters(top_k, job_function, "job")
    return AppliedParameters(top_k, model_function, "model")


def apply_function(logits: Scores, function: FunctionToApply) -> Scores:
    """Logits of one image → its scores, both float32 (C,); of `none` the logits themselves."""
    if function == "none":
        return logits
    # The sigmoid of a very negative logit is 0; infinity less infinity is the caller's to see.
    with np.errstate(over="ignore", invalid="ignore"):
        if function == "sigmoid":
            return np.asarray(1.0 / (1.0 + np.exp(-logits)), np.float32)
        exponentials = np.exp(logits - logits.max())
        return np.asarray(exponentials / exponentials.sum(), np.float32)


def rank(logits: Scores, labels: tuple[str, ...], applied: AppliedParameters) -> Ranking | None:
    """The best labels of one image.

    Args:
        logits: float32 (C,).
        labels: C names, by class index.
        applied: the activation, and how many labels.

    Returns:
        At most top_k labels; None where a score is not finite.
    """
    scores = apply_function(logits, applied.function_to_apply)
    if not (np.isfinite(logits).all() and np.isfinite(scores).all()):
        return None
    order = np.argsort(-scores, kind="stable")
    margin = float(scores[order[0]]) - float(scores[order[1]]) if len(order) > 1 else None
    best = order[: applied.top_k]
    return Ranking(tuple(LabelScore(labels[i], float(scores[i])) for i in best), margin)
