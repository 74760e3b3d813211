"""Scores: ties, extremes, order, form."""

from collections.abc import Callable

import numpy as np

from tests.edges.case import Answer, Difference, table
from tests.models import LABELS

NOT_FINITE = Difference(
    "Scores that are not finite",
    "A score that is NaN or infinite is an error row: JSON has no such number, and nothing can be "
    "ranked by it.",
)
_ALL = {"top_k": 10_000}
_RAW = {"function_to_apply": "none", **_ALL}

_output = table("outputs", parameters=_ALL)
_not_finite = table("outputs", ours="non_finite_score", difference=NOT_FINITE, parameters=_ALL)


def _labels_are(*labels: str) -> Callable[[Answer], bool]:
    return lambda answer: tuple(each["label"] for each in answer) == labels


def _scores_are(*scores: float) -> Callable[[Answer], bool]:
    return lambda answer: [each["score"] for each in answer] == list(scores)


def _descends(answer: Answer) -> bool:
    scores = [each["score"] for each in answer]
    return scores == sorted(scores, reverse=True) and len(set(scores)) == LABELS


def _is_float32(answer: Answer) -> bool:
    return all(each["score"] == float(np.float32(each["score"])) for each in answer)


OUTPUTS = (
    _output("best first", shows=_descends),
    _output("scores are numbers of float32", shows=_is_float32),
    _output(
        "label and score, and no more",
        shows=lambda answer: all(set(each) == {"label", "score"} for each in answer),
    ),
    _output("ties, by class", model="ties", shows=_labels_are("L1", "L2", "L3", "L5", "L0", "L4")),
    _output(
        "ties, cut by top_k", model="ties", parameters={"top_k": 2}, shows=_labels_are("L1", "L2")
    ),
    _output(
        "ties of logits",
        model="ties",
        parameters=_RAW,
        shows=_labels_are("L1", "L2", "L3", "L5", "L0", "L4"),
    ),
    _output("all equal", model="all equal", shows=_labels_are(*(f"L{i}" for i in range(7)))),
    _output(
        "zero and minus zero",
        model="zero and minus zero",
        parameters=_RAW,
        shows=_labels_are("L0", "L1", "L2"),
    ),
    _output("the sigmoid is 1 for all", model="sigmoid saturates", shows=_scores_are(1, 1, 1)),
    _output(
        "the sigmoid is 0",
        model="beyond exp",
        parameters={"function_to_apply": "sigmoid", **_ALL},
        shows=_scores_are(1, 1, 0),
    ),
    _output(
        "the softmax is 0", model="softmax vanishes", shows=_labels_are("L0", "L1", "L2", "L3")
    ),
    _output(
        "logits beyond the exponential",
        model="beyond exp",
        shows=lambda answer: abs(answer[0]["score"] - 0.7310586) < 1e-6,
    ),
    _output("the largest logits", model="largest float32", shows=_scores_are(1, 0, 0)),
    _output("the largest logits, as they are", model="largest float32", parameters=_RAW),
    _output(
        "subnormal logits", model="subnormal", parameters=_RAW, shows=_labels_are("L1", "L0", "L2")
    ),
    _output(
        "logits one step apart",
        model="one ulp apart",
        parameters=_RAW,
        shows=_labels_are("L1", "L0", "L2"),
    ),
    _output(
        "a thousand labels",
        model="a thousand labels",
        shows=lambda answer: abs(sum(each["score"] for each in answer) - 1) < 1e-5,
    ),
    _not_finite("an infinite logit, softmax", model="infinite for the photo"),
    _not_finite(
        "an infinite logit, sigmoid",
        model="infinite for the photo",
        parameters={"function_to_apply": "sigmoid", **_ALL},
    ),
    _not_finite("an infinite logit, as it is", model="infinite for the photo", parameters=_RAW),
    _not_finite("a logit of minus infinity", model="minus infinite for the photo"),
)
