"""Scores the demo images with the demo model, and asks one question of the rows.

::

    python -m demo
"""

import pathlib
import sys

from imgcls_beam.options import make_run_id
from pipelines.__main__ import main as run_imgcls

HERE = pathlib.Path(__file__).parent
OUTPUT = pathlib.Path("out") / "demo"

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
    arguments = [f"--{name}={_shorten(value)}" for name, value in flags.items()]
    _say(f"$ imgcls classify {' '.join(arguments)}\n\n")
    code = run_imgcls(["classify", *arguments])
    if code == 0:
        _ask(QUESTION.format(files=f"{OUTPUT}/predictions/**/*.parquet", run_id=run_id))
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


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
