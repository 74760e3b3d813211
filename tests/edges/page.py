"""`docs/differences.md`, from the table."""

import collections
import pathlib
from collections.abc import Sequence

from tests.edges import CASES
from tests.edges.case import ANSWERS, OTHER, SAME, Difference, EdgeCase

PATH = pathlib.Path(__file__).parents[2] / "docs" / "differences.md"

_HEAD = """# Where we differ from the reference

The reference is transformers' `pipeline("image-classification")`. What it does and what we do
is stated, and run, for {count} edge cases. Where they differ they do so on purpose: all such cases
are below, by their reason.

Written by `python -m tests.edges`; the cases stand in `tests/edges/`.

| | cases | the same answer | both refuse | different |
|---|---|---|---|---|
"""
_COLUMNS = "| | case | reference | here |\n|---|---|---|---|\n"


def render(cases: Sequence[EdgeCase] = CASES) -> str:
    """The whole page."""
    groups: dict[str, list[EdgeCase]] = collections.defaultdict(list)
    by_reason: dict[Difference, list[EdgeCase]] = collections.defaultdict(list)
    for case in cases:
        groups[case.group].append(case)
        if case.difference is not None:
            by_reason[case.difference].append(case)
    counts = [_count(*each) for each in groups.items()] + [_count("together", cases)]
    reasons = [_render_reason(*each) for each in by_reason.items()]
    return _HEAD.format(count=len(cases)) + "".join(counts + reasons)


def _count(group: str, cases: Sequence[EdgeCase]) -> str:
    same = sum(case.ours == SAME for case in cases)
    different = sum(case.difference is not None for case in cases)
    refused = len(cases) - same - different
    return f"| {group} | {len(cases)} | {same} | {refused} | {different} |\n"


def _render_reason(difference: Difference, cases: Sequence[EdgeCase]) -> str:
    head = f"\n## {difference.title}\n\n{difference.reason}\n\n{_COLUMNS}"
    return head + "".join(map(_render_case, cases))


def _render_case(case: EdgeCase) -> str:
    theirs = case.reference if case.reference == ANSWERS else f"`{case.reference}`"
    ours = case.ours if case.ours in (ANSWERS, OTHER) else f"`{case.ours}`"
    return f"| {case.group} | {case.name} | {theirs} | {ours} |\n"
