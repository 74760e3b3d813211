"""Two compared runs → the page of their comparison: one HTML file."""

import pathlib

from imgcls_beam.analysis.compared_runs import ComparedRuns, compare_runs
from imgcls_beam.analysis.comparison_page.changed_images import MAX_CHANGED, gather_changed
from imgcls_beam.analysis.comparison_page.comparison_facts import ComparisonFacts
from imgcls_beam.analysis.comparison_page.comparison_values import list_comparison_values
from imgcls_beam.analysis.report_page.drawing import draw
from imgcls_beam.analysis.report_page.page_facts import Pictures
from imgcls_beam.analysis.report_page.page_files import write_page
from imgcls_beam.analysis.report_page.picturing import make_pictures
from imgcls_beam.analysis.run_rows import RunRows

_TEMPLATE = pathlib.Path(__file__).parent / "comparison.html"


def write_comparison(
    run_a: RunRows,
    run_b: RunRows,
    target: str,
    model_a: str | None = None,
    model_b: str | None = None,
    shown_flips: int = MAX_CHANGED,
) -> ComparedRuns:
    """Compares two runs, and writes the page of that, over one that is there.

    Args:
        run_a: as `open_run` gives it.
        run_b: the other; may be the same. Pictures are those of its images.
        target: path or URL of the file.
        model_a: id or key; needed where A has several.
        model_b: of B.
        shown_flips: how many flips the comparison lists at the least; the page has `MAX_CHANGED`.

    Returns:
        Both, and their comparison.

    Raises:
        ConfigError: they cannot be compared, or the file cannot be written.
    """
    compared = compare_runs(run_a, run_b, model_a, model_b, max(shown_flips, MAX_CHANGED))
    facts = gather_changed(run_a, run_b, compared)
    pictures = make_pictures(facts, run_b.record.configuration)
    write_page("to", target, draw_comparison(facts, pictures))
    return compared


def draw_comparison(facts: ComparisonFacts, pictures: Pictures) -> str:
    """Draws the page; every text of the runs is escaped."""
    return draw(_TEMPLATE, list_comparison_values(facts), facts, pictures)
