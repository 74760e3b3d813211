"""The report of a run that has just been published, where `--report` asked for it."""

import functools
import logging
from typing import TYPE_CHECKING

from imgcls_beam.options import OutputOptions

from . import startup, terminal

if TYPE_CHECKING:
    from imgcls_beam.analysis.report_page.reporting import WrittenReport

_LOG = logging.getLogger("imgcls")


def write_after(output: OutputOptions, *, is_quiet: bool = False) -> str | None:
    """Writes the report of a run, and says where it is; returns its place, None for no report.

    The run is published: whatever goes wrong here is a warning, and changes no exit code.
    """
    if not output.report or output.output is None:
        return None
    try:
        with startup.pause_collector():  # thousands of rows, of which no cycle is made
            url, missing = _write(output.output, output.run_id)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  the rows are there all the same
        reason = terminal.escape(str(error) or type(error).__name__)
        again = f"imgcls report --output={output.output} --run_id={output.run_id}"
        _LOG.warning("the rows were published, but not the report (%s); %s", reason, again)
        return None
    if missing:
        _LOG.warning("nothing is compared in the report; %s", terminal.escape(missing))
    if not is_quiet:
        terminal.say(functools.partial("report: {}\n".format, terminal.escape(url)))
    return url


def _write(output: str, run_id: str) -> "WrittenReport":
    from imgcls_beam.analysis import RunPlace, open_run
    from imgcls_beam.analysis.report_page.gathering import EarlierRun
    from imgcls_beam.analysis.report_page.reporting import write_report

    place = RunPlace(output)
    rows = open_run(place, run_id)
    model, *others = rows.record.models
    earlier = EarlierRun(rows, others[0]) if others else None
    return write_report(place, rows, model=model.key, earlier=earlier)
