"""The contract with those who read and write rows: JSON Schemas and the columns."""

import json
from importlib import resources
from typing import Any


def load_schema(name: str) -> dict[str, Any]:
    """Loads one schema by its name.

    Args:
        name: `request`, `response`, a line of each (`request_line`, `response_line`),
            `predictions.arrow`, or what a program answers to `--json` (`classify.answer`).

    Raises:
        FileNotFoundError: there is none of this name.
    """
    text = resources.files(__name__).joinpath(f"{name}.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
