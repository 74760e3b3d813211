"""Writes the report of a finished run: one HTML file that needs no network.

::

    imgcls report --output=out/ --run_id=nightly-2026-11-26
    imgcls report --output=gs://bucket/labels --to=report.html
    imgcls report --output_table=project.dataset.predictions --run_id=nightly-2026-11-26 \
        --to=report.html

It is in `OUT/reports/<run_id>.html`, or where `--to` says. What is in it: docs/report.md.
"""

import json
import sys
from collections.abc import Sequence

from imgcls_beam.errors import ConfigError, ImgclsError

from . import report_flags, startup, terminal

_DONE, _FAILED, _USAGE = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the report; returns the exit code."""
    startup.set_up()
    try:
        asked = report_flags.parse_flags(sys.argv[1:] if argv is None else argv)
        with startup.pause_collector():
            from imgcls_beam.analysis import RunPlace
            from imgcls_beam.analysis.report_page.reporting import write_report

        place = RunPlace(asked.output, asked.output_table)
        written = write_report(place, asked.run_id, asked.to, asked.model)
    except ImgclsError as error:
        sys.stderr.write(f"imgcls report: {terminal.escape(str(error))}\n")
        return _USAGE if isinstance(error, ConfigError) else _FAILED
    except KeyboardInterrupt:
        sys.stderr.write("imgcls report: interrupted; no report was written\n")
        return _FAILED
    text = json.dumps({"report": written}) if asked.json else f"report: {terminal.escape(written)}"
    terminal.say(lambda: f"{text}\n")
    return _DONE


if __name__ == "__main__":
    sys.exit(main())
