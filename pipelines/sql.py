"""Asks published runs: a query over an output folder, or the views to make in a warehouse.

::

    imgcls sql --output=out/ "select top_label, count(*) from predictions_latest group by all"
    imgcls sql --output=gs://bucket/labels --format=csv - < question.sql > answer.csv
    imgcls sql --dialect=duckdb --output=out/
    imgcls sql --dialect=bigquery --output_table=project.dataset.predictions \
        | bq query --use_legacy_sql=false

A query runs on DuckDB, in memory. It sees `predictions`, `prediction_runs` and the views, of
finished runs only; it reads nothing else, and writes nowhere. Questions to ask: docs/sql.md.
"""

import argparse
import functools
import sys
from collections.abc import Sequence

from . import noise, sql_flags, terminal
from .locating import make_absolute
from .program import DONE, FAILED, Fields, fail, run_main


def main(argv: Sequence[str] | None = None) -> int:
    """Prints views, or a query's answer; returns the exit code."""
    return run_main("sql", argv, _act)


def _act(words: list[str], how: argparse.Namespace) -> tuple[int, Fields | None]:
    asked = sql_flags.parse_flags(words)
    try:
        if asked.query is not None:
            return _answer(asked, how), None
        views = _render_views(asked)
        if not how.json:
            sys.stdout.write(views)
            sys.stdout.flush()
        return DONE, functools.partial(dict, views=views, columns=None, rows=None)
    except BrokenPipeError:  # `| head` has seen enough; the interpreter must not flush at its end
        terminal.drop_stdout()
        return DONE, None
    except OSError as error:  # a full disk behind standard output, or a file that is gone
        terminal.drop_stdout()
        problem = terminal.describe_cut(error)
        return fail("sql", argparse.Namespace(json=False), FAILED, "run", problem), None


def _render_views(asked: argparse.Namespace) -> str:
    from imgcls_beam.warehouse import evaluation_views, views

    truth = asked.truth_column
    if asked.dialect == "bigquery":
        table = asked.table
        place = (f"{table.project}.{table.dataset}", table.table) if table else ()
        text = views.render_bigquery(*place)
        more = truth and evaluation_views.render_evaluation_bigquery(truth, *place)
    else:
        text = views.render_duckdb(*([make_absolute(asked.output)] if asked.output else []))
        more = truth and evaluation_views.render_evaluation_duckdb(truth)
    return f"{text}\n{more}" if more else text


def _answer(asked: argparse.Namespace, how: argparse.Namespace) -> int:
    """Runs the query; returns the exit code."""
    from imgcls_beam.stores import check_store
    from imgcls_beam.warehouse.querying import open_runs

    from . import answers

    check_store("output", asked.output)
    connection = open_runs(asked.output, asked.truth_column)
    import duckdb  # it is installed, or the line above has said so

    try:
        cursor = connection.execute(asked.query)
        if how.json:
            answers.write_object(cursor, noise.find_log(), sys.stdout)
        else:
            answers.write_answer(cursor, asked.format, sys.stdout)
        sys.stdout.flush()
    except duckdb.Error as error:
        lines = str(error).splitlines() or ["no reason given"]
        return fail("sql", how, FAILED, "run", "\n".join(lines))
    finally:
        connection.close()
    return DONE


if __name__ == "__main__":
    sys.exit(main())
