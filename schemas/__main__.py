"""Writes the generated files of this folder again.

::

    python -m schemas
"""

import functools
import json
import pathlib
import sys
from collections.abc import Callable
from typing import Any

from imgcls_beam.rows import describe_schema
from imgcls_beam.warehouse.columns import PREDICTIONS, describe
from imgcls_beam.warehouse.views import render_bigquery, render_duckdb

GENERATED: dict[str, Callable[[], Any]] = {
    "predictions.arrow.json": describe_schema,
    "predictions.bigquery.json": functools.partial(describe, PREDICTIONS),
}
RENDERED: dict[str, Callable[[], str]] = {
    "views.duckdb.sql": render_duckdb,
    "views.bigquery.sql": render_bigquery,
}


def main() -> int:
    """Writes each generated file beside this one; returns 0."""
    texts = {name: render() for name, render in RENDERED.items()}
    for name, make in GENERATED.items():
        texts[name] = json.dumps(make(), indent=2, ensure_ascii=False) + "\n"
    for name, text in texts.items():
        (pathlib.Path(__file__).parent / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
