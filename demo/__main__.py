"""Scores the demo images with the demo model, asks one question of the rows, shows the report.

::

    python -m demo
"""

import os
import pathlib
import sys
import webbrowser

from imgcls_beam.options import make_run_id
from pipelines.__main__ import main as run_imgcls

HERE = pathlib.Path(__file__).parent
OUTPUT = pathlib.Path("out") / "demo"

_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY")

QUESTION = """\
select top_label as label, count(*) as images, round(avg(top_score), 3) as mean_score,
       round(min(top_margin), 3) as least_margin
from read_parquet('{files}', hive_partitioning = true, hive_types = {{run_id: VARCHAR}})
where status = 'ok' and run_id = '{run_id}'
group by label order by images desc, label"""


def main() -> int:
    """Runs the demo; returns the exit code of the job."""
    run_id = f"demo-{make_run_id()}"
    flags = {
        "input": HERE / "images",
        "model": HERE / "model",
        "output": OUTPUT,
        "run_id": run_id,
        "max_error_ratio": 0.2,  # 3 of the 30 images are broken on purpose
    }
    arguments = [*(f"--{name}={_shorten(value)}" for name, value in flags.items()), "--report"]
    _say(f"$ imgcls classify {' '.join(arguments)}\n\n")
    code = run_imgcls(["classify", *arguments])
    if code == 0:
        _ask(QUESTION.format(files=f"{OUTPUT}/predictions/**/*.parquet", run_id=run_id))
        _show(OUTPUT / "reports" / f"{run_id}.html")
    return code


def _shorten(value: object) -> object:
    """A path as one would type it from here."""
    here = pathlib.Path.cwd()
    if isinstance(value, pathlib.Path) and value.is_relative_to(here):
        return value.relative_to(here)
    return value


def _ask(question: str) -> None:
    import duckdb

    _say(f"\nDuckDB> {question};\n\n{duckdb.sql(question)}")


def _show(report: pathlib.Path) -> None:
    """Says where the report is, and opens it where somebody sits before a desktop."""
    _say(f"\nThe run as a page: {report}\n")
    if _has_desktop():
        webbrowser.open(report.resolve().as_uri())


def _has_desktop() -> bool:
    has_screen = sys.platform == "darwin" or any(map(os.environ.get, _SCREENS))
    return has_screen and sys.stdout.isatty() and not os.environ.get("CI")


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
