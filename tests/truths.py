"""A run whose rows carry truths: right, wrong, beyond its labels, and none."""

import numpy as np

from imgcls_beam.sinks import RunRecord
from tests.said import Said, publish_said

TRUTH = "label"
LABELS = ("cat", "dog", "fox", 'it\'s "odd"', "=cmd()")
_IMAGES = 60


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
