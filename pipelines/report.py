"""Writes the report of a finished run: one HTML file that needs no network.

::

    imgcls report --output=out/ --run_id=nightly-2026-11-26
    imgcls report --output=gs://bucket/labels --to=report.html
    imgcls report --output_table=project.dataset.predictions --run_id=nightly-2026-11-26 \
        --to=report.html

It is in `OUT/reports/<run_id>.html`, or where `--to` says. What is in it: docs/report.md.
"""

import argparse
import functools
import sys
from collections.abc import Sequence

from . import program, report_flags, run_flags, startup, terminal


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the report; returns the exit code."""
    return program.run_main("report", argv, _write)


def _write(words: list[str], how: argparse.Namespace) -> tuple[int, program.Fields | None]:
    asked = report_flags.parse_flags(words)
    with startup.pause_collector():
        open_run = run_flags.make_opener(asked)
        from imgcls_beam.analysis import RunPlace
        from imgcls_beam.analysis.report_page.reporting import write_report

    place = RunPlace(asked.output, asked.output_table)
    written = write_report(place, open_run(asked.run_id), asked.to, asked.model)
    if not how.json:
        terminal.say(lambda: f"report: {terminal.escape(written)}\n")
    return program.DONE, functools.partial(dict, report=written)


if __name__ == "__main__":
    sys.exit(main())
