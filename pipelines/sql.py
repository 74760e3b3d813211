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
import os
import sys
from collections.abc import Sequence

from imgcls_beam.errors import ConfigError, ImgclsError

from . import sql_flags, startup, terminal

_DONE, _FAILED, _USAGE = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Prints views, or a query's answer; returns the exit code."""
    startup.set_up()
    try:
        asked = sql_flags.parse_flags(sys.argv[1:] if argv is None else argv)
        if asked.query is None:
            _print_views(asked)
            return _DONE
        return _answer(asked)
    except ImgclsError as error:
        sys.stderr.write(f"imgcls sql: {terminal.escape(str(error))}\n")
        return _USAGE if isinstance(error, ConfigError) else _FAILED
    except KeyboardInterrupt:
        sys.stderr.write("imgcls sql: interrupted\n")
        return _FAILED
    except BrokenPipeError:  # `| head` has seen enough; the interpreter must not flush at its end
        terminal.drop_stdout()
        return _DONE
    except OSError as error:  # a full disk behind standard output, or a file that is gone
        terminal.drop_stdout()
        reason = type(error).__name__ if error.errno is None else os.strerror(error.errno)
        sys.stderr.write(f"imgcls sql: the answer was not written to its end: {reason}\n")
        return _FAILED


def _print_views(asked: argparse.Namespace) -> None:
    from imgcls_beam.warehouse import views

    if asked.dialect == "bigquery":
        table = asked.table
        place = (f"{table.project}.{table.dataset}", table.table) if table else ()
        text = views.render_bigquery(*place)
    else:
        text = views.render_duckdb(*([asked.output] if asked.output else []))
    sys.stdout.write(text)
    sys.stdout.flush()


def _answer(asked: argparse.Namespace) -> int:
    """Runs the query; returns the exit code."""
    from imgcls_beam.stores import check_store
    from imgcls_beam.warehouse.querying import open_runs

    from . import answers

    check_store("output", asked.output)
    connection = open_runs(asked.output)
    import duckdb  # it is installed, or the line above has said so

    try:
        answers.write_answer(connection.execute(asked.query), asked.format, sys.stdout)
        sys.stdout.flush()
    except duckdb.Error as error:
        sys.stderr.write(f"imgcls sql: {terminal.escape(str(error), keep=chr(10))}\n")
        return _FAILED
    finally:
        connection.close()
    return _DONE


if __name__ == "__main__":
    sys.exit(main())
