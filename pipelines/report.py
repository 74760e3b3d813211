"""Writes the report of a finished run: one HTML file that needs no network.

::

    imgcls report --output=out/ --run_id=nightly-2026-11-26
    imgcls report --output=gs://bucket/labels --to=report.html
    imgcls report --output_table=project.dataset.predictions --run_id=nightly-2026-11-26 \
        --to=report.html
    imgcls report --output=out/ --truth_column=label --with=nightly-2026-11-19

It is in `OUT/reports/<run_id>.html`, or where `--to` says. What is in it: docs/report.md.
"""

import argparse
import functools
import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import (
    evaluate_flags,
    other_run_flags,
    program,
    report_flags,
    run_flags,
    startup,
    terminal,
)

if TYPE_CHECKING:
    from imgcls_beam.analysis import RunRows
    from imgcls_beam.analysis.judged_runs import JudgedRun
    from imgcls_beam.analysis.report_page.gathering import EarlierRun

_LOG = logging.getLogger("imgcls")


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the report; returns the exit code."""
    return program.run_main("report", argv, _write)


def _write(words: list[str], how: argparse.Namespace) -> tuple[int, program.Fields | None]:
    asked = report_flags.parse_flags(words)
    with startup.pause_collector():  # imports, and thousands of rows, of which no cycle is made
        from imgcls_beam.analysis import RunPlace
        from imgcls_beam.analysis.report_page.reporting import write_report

        rows = run_flags.open_asked(asked)
        written = write_report(
            RunPlace(asked.output, asked.output_table),
            rows,
            asked.to,
            asked.model,
            earlier=_find_other(asked, rows),
            judged=_judge(asked, rows),
        )
    if written.missing:
        _LOG.warning("nothing is compared; %s", terminal.escape(written.missing))
    if not how.json:
        terminal.say(functools.partial("report: {}\n".format, terminal.escape(written.url)))
    return program.DONE, functools.partial(dict, report=written.url)


def _find_other(asked: argparse.Namespace, rows: "RunRows") -> "EarlierRun | None":
    """The run to compare with, where one is named."""
    if not other_run_flags.has_other(asked):
        return None
    from imgcls_beam.analysis import choose_model
    from imgcls_beam.analysis.compared_runs import choose_other
    from imgcls_beam.analysis.report_page.gathering import EarlierRun

    own = choose_model(rows.record, asked.model)
    other = other_run_flags.open_other(asked, rows)
    return EarlierRun(other, choose_other(rows, own, other, asked.with_model).model)


def _judge(asked: argparse.Namespace, rows: "RunRows") -> "JudgedRun | None":
    """The run held against the truth, where one is named."""
    if not evaluate_flags.has_truth(asked):
        return None
    from imgcls_beam.analysis.judged_runs import judge_run
    from imgcls_beam.analysis.thresholds import Wanted
    from imgcls_beam.analysis.truths import TruthOptions

    truth = TruthOptions(asked.truth_column, asked.truth_file, asked.truth_mapping)
    return judge_run(rows, truth, asked.model, Wanted(asked.wanted_precision, asked.wanted_recall))


if __name__ == "__main__":
    sys.exit(main())
