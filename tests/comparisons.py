"""Two published runs that differ, with names and labels that mean no good."""

import dataclasses

from imgcls_beam.analysis import RunPlace, open_run
from imgcls_beam.analysis.compared_runs import compare_runs
from imgcls_beam.analysis.comparison_page.changed_images import MAX_CHANGED, gather_changed
from imgcls_beam.analysis.comparison_page.comparison_facts import ComparisonFacts
from tests.reports import HOSTILE
from tests.said import Said, publish_said
from tests.staged import RUN

# A lone surrogate is in no row: no column can hold it.
LABELS = ("cat", "dog", *(each for each in HOSTILE if each.isprintable()), "photo\u202egnp.exe")


def say(index: int, turn: int) -> Said:
    """What a run says of an image; the second one says something else of every third."""
    label = LABELS[(index + turn * (index % 3 == 0)) % len(LABELS)]
    other = LABELS[(index + 3) % len(LABELS)]
    best = 0.6 + (index * 37 % 300) / 1000
    uri = f"gs://b/photos/{index:05d}-{LABELS[index % len(LABELS)]}.jpg"
    return Said(uri, [(label, best), (other, 1 - best)])


def publish_two(output: str, count: int) -> None:
    """Publishes `before` and `after`."""
    for turn, run_id in enumerate(("before", "after")):
        said = [say(index, turn) for index in range(count)]
        publish_said(output, said, dataclasses.replace(RUN, run_id=run_id))


def gather_two(output: str) -> ComparisonFacts:
    """The facts of their comparison."""
    run_a, run_b = (open_run(RunPlace(output), run_id) for run_id in ("before", "after"))
    return gather_changed(run_a, run_b, compare_runs(run_a, run_b, shown_flips=MAX_CHANGED))
