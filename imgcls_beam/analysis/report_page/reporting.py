"""A finished run → its report: one HTML file, in the output folder or elsewhere."""

from typing import TYPE_CHECKING, NamedTuple

from imgcls_beam.analysis.report_page.drawing import draft_page, finish_page
from imgcls_beam.analysis.report_page.gathering import EarlierRun, gather_facts
from imgcls_beam.analysis.report_page.page_files import write_page
from imgcls_beam.analysis.report_page.picturing import begin_pictures
from imgcls_beam.analysis.run_rows import RunPlace, RunRows, choose_model, list_runs, open_run
from imgcls_beam.sinks import RecordedModel

if TYPE_CHECKING:
    from imgcls_beam.analysis.judged_runs import JudgedRun

REPORTS = "reports"


class WrittenReport(NamedTuple):
    """A report.

    Attributes:
        url: path or URL of the file.
        missing: the run with which it should be compared, and why it is not; empty where it is, or
            where there is none.
    """

    url: str
    missing: str


def locate_report(output: str, run_id: str) -> str:
    """Where the report of a run is, in its output folder."""
    return f"{output.rstrip('/')}/{REPORTS}/{run_id}.html"


def write_report(
    place: RunPlace,
    rows: RunRows,
    target: str | None = None,
    model: str | None = None,
    *,
    earlier: EarlierRun | None = None,
    judged: "JudgedRun | None" = None,
) -> WrittenReport:
    """Writes the report of a run, over one that is there.

    Args:
        place: where the run is, and earlier ones.
        rows: the run.
        target: path or URL of the file; None for `reports/` of the output folder.
        model: id or key of the model, where the run has several.
        earlier: the run to compare with; None for the one before it.
        judged: the run held against the truth; None where none is known.

    Returns:
        Where it is, and what it lacks.

    Raises:
        ConfigError: the run cannot be read, or the file cannot be written.
    """
    chosen = choose_model(rows.record, model)
    earlier = earlier or find_earlier(place, rows, chosen)
    facts = gather_facts(rows, chosen, earlier, judged)
    wait_for_pictures = begin_pictures(facts, rows.record.configuration)
    draft = draft_page(facts)  # while they are decoded
    page = finish_page(draft, wait_for_pictures())
    url = target or locate_report(str(place.output), rows.record.run_id)
    option = "output" if target is None else "to"
    write_page(option, url, page)
    return WrittenReport(url, facts.missing)


def find_earlier(place: RunPlace, rows: RunRows, model: RecordedModel) -> EarlierRun | None:
    """The run before it with the same model at any revision, or else with any one model.

    Raises:
        ConfigError: the place cannot be read.
    """
    own = rows.record
    earlier = [
        (each, known)
        for each in list_runs(place)
        for known in each.models
        if each.finished_at < own.finished_at and each.run_id != own.run_id
    ]
    same = [pair for pair in earlier if pair[1].id == model.id]
    found = same or earlier
    return EarlierRun(open_run(place, found[-1][0].run_id), found[-1][1]) if found else None
