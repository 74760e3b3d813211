"""Writes the generated files of this folder again.

::

    python -m schemas
"""

import json
import pathlib
import sys

from imgcls_beam.rows import describe_schema

GENERATED = {"predictions.arrow.json": describe_schema}


def main() -> int:
    """Writes each generated file beside this one; returns 0."""
    for name, describe in GENERATED.items():
        text = json.dumps(describe(), indent=2, ensure_ascii=False) + "\n"
        (pathlib.Path(__file__).parent / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
