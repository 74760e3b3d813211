"""Runs whose rows carry truths: right, wrong, beyond its labels, and none; and hard ones."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from imgcls_beam.sinks import RunRecord
from imgcls_beam.spec import FunctionToApply
from tests.said import Said, publish_said
from tests.staged import RUN

TRUTH = "label"
LABELS = ("cat", "dog", "fox", 'it\'s "odd"', "=cmd()")
_IMAGES = 60
PADDED = (" cat", "cat", "dog ", "\tfox\u2003", " owl", "owl  ")
"""Labels with blanks around, of which some are alike but for those."""
FUNCTIONS: dict[str, Sequence[FunctionToApply]] = {
    "padded": ("softmax",),
    "sigmoid": ("sigmoid", "softmax"),
    "raw": ("none",),
    "mixed": ("softmax", "none", "sigmoid"),
}
"""The hard runs, and what made the scores of their rows, in turn; all scores lie within 0 to 1."""
_GONE = "memory://gone/model"
"""No config.json is there, so no other labels of the model are known."""


def publish_truths(output: str, column: str = TRUTH) -> RunRecord:
    """Publishes it; three labels a row, of five that truths have."""
    generator = np.random.default_rng(4)
    says = []
    for index in range(_IMAGES):
        truth = int(generator.integers(len(LABELS)))
        scores = generator.dirichlet(np.full(len(LABELS), 0.6))
        scores[truth] += generator.uniform(0.0, 1.0)
        scores /= scores.sum()
        best = np.argsort(-scores)[:3]
        labels = [(LABELS[at], float(scores[at])) for at in best]
        says.append(Said(f"gs://b/{index:02d}.jpg", labels, {column: LABELS[truth], "shop": 1}))
    odd = (None, "", "  ", [])
    says += [Said(f"gs://b/odd-{at}.jpg", says[0].labels, {column: v}) for at, v in enumerate(odd)]
    says += [Said("gs://b/odd-none.jpg", says[0].labels), Said("gs://b/odd-failed.jpg", ())]
    return publish_said(output, says)


def publish_hard_truths(output: str) -> list[RunRecord]:
    """Publishes the hard runs: each label as the truth, as it is, with other blanks, in a list."""
    spelled: list[object] = [*PADDED, "  cat", "fox", "\u3000dog\x1f\x85", "owl", " nobody"]
    spelled += ["nobody", ["cat"], " "]
    generator = np.random.default_rng(7)
    records = []
    for run_id, functions in FUNCTIONS.items():
        says = []
        for index in range(4 * len(spelled)):
            scores = np.sort(generator.dirichlet(np.full(3, 0.6)))[::-1]
            labels = [str(each) for each in generator.permutation(PADDED)[:3]]
            carried = {TRUTH: spelled[index % len(spelled)]}
            said = list(zip(labels, map(float, scores), strict=True))
            uri = f"gs://b/{run_id}-{index:02d}.jpg"
            says.append(Said(uri, said, carried, functions[index % len(functions)]))
        run = dataclasses.replace(RUN, run_id=run_id, model_id=_GONE)
        records.append(publish_said(output, says, run))
    return records
