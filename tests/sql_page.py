"""The queries of docs/sql.md, and what each answers over the gallery."""

import collections
import datetime
import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.gallery import FIRST, KEY_A, KEY_B, OTHER, SECOND, make_uri

PAGE = (pathlib.Path(__file__).parents[1] / "docs" / "sql.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"(?:<!-- (\w+) -->\n)?```sql\n(.*?)```", re.DOTALL)
_HEADING = re.compile(r"^## (.*)$", re.MULTILINE)


class Block(NamedTuple):
    """A query of the page: its heading, its place below it, and its dialect if it has one."""

    heading: str
    index: int
    dialect: str
    query: str


def find_blocks(page: str) -> Iterator[Block]:
    """A block of BigQuery has the index of its twin, the block of DuckDB before it."""
    indices: collections.Counter[str] = collections.Counter()
    for match in _BLOCK.finditer(page):
        heading = _HEADING.findall(page[: match.start()])[-1]
        dialect = match[1] or ""
        indices[heading] += dialect != "bigquery"
        yield Block(heading, indices[heading] - 1, dialect, match[2])


BLOCKS = list(find_blocks(PAGE))
IN_DUCKDB = [block for block in BLOCKS if block.dialect != "bigquery"]
IN_BIGQUERY = [block for block in BLOCKS if block.dialect != "duckdb"]

NIGHT_1, NIGHT_2 = datetime.date(2026, 11, 21), datetime.date(2026, 11, 22)


def at(day: int) -> datetime.datetime:
    return datetime.datetime(2026, 11, day, 2, tzinfo=datetime.UTC)


def images(rows: str, *more: Any) -> list[Any]:
    """`2 cat 0.7` → the row of image 2, numbers as numbers, and what all rows have behind it."""
    split = [
        [json.loads(w) if w[0].isdigit() else w for w in row.split()] for row in rows.split(",")
    ]
    return [(make_uri(row[0]), *row[1:], *more) for row in split]


ANSWERS: dict[tuple[str, int], list[Any]] = {
    ("What is on each image?", 0): sorted(
        [
            (uri, KEY_B, label, score)
            for uri, label, score in images(
                "0 cat 0.8,1 dog 0.6,2 cat 0.9,3 dog 0.7,4 cat 0.51,5 cat 0.6"
            )
        ]
        + [
            (uri, KEY_A, label, score)
            for uri, label, score in images(
                "0 cat 0.9,1 cat 0.6,2 cat 0.7,3 dog 0.8,4 fox 0.7,5 cat 0.5,"
                "6 dog 0.95,8 cat 0.8,9 fox 0.52"
            )
        ]
    ),
    ("Which images show a cat?", 0): [
        (make_uri(0), KEY_A, 1, 0.9),
        (make_uri(2), KEY_B, 1, 0.9),
        (make_uri(0), KEY_B, 1, 0.8),
        (make_uri(8), KEY_A, 1, 0.8),
        (make_uri(2), KEY_A, 1, 0.7),
        (make_uri(1), KEY_A, 1, 0.6),
        (make_uri(5), KEY_B, 1, 0.6),
        (make_uri(4), KEY_B, 1, 0.51),
        (make_uri(5), KEY_A, 1, 0.5),
    ],
    ("Which images show a cat?", 1): [(make_uri(3), KEY_A, 0.05), (make_uri(9), KEY_A, 0.02)],
    ("Which labels does each image have?", 0): [
        (make_uri(index), "softmax", labels)
        for index, labels in (
            *((0, "cat"), (1, "cat, dog"), (2, "cat"), (3, "dog"), (4, "fox"), (5, "cat, fox")),
            *((6, "dog"), (8, "cat"), (9, "fox, dog")),
        )
    ],
    ("Which product shows which label?", 0): [
        *(("A-17", "cat", 0.9), ("B-03", None, None), ("B-04", "cat", 0.8))
    ],
    ("Which product shows which label?", 1): [("back", 8), ("front", 7)],
    ("What happened to one image?", 0): [
        (FIRST, at(21), "error", None, None, "not_found"),
        (SECOND, at(22), "ok", "dog", 0.95, None),
    ],
    ("What was the answer on a given day?", 0): [
        (uri, KEY_A, label) for uri, label in images("0 cat,1 cat,2 dog,3 dog,4 fox,5 cat")
    ],
    ("Which labels changed since the run before?", 0): [(make_uri(2), SECOND, "dog", "cat", True)],
    ("What changes with the other model?", 0): images("1 dog 0.6 cat 0.6,4 cat 0.51 fox 0.7"),
    ("What changes with the other model?", 1): [(KEY_B, KEY_A, 6, 0.667)],
    ("How does the label mix move?", 0): [
        *((NIGHT_1, KEY_A, "cat", 3, 0.5), (NIGHT_1, KEY_A, "dog", 2, 0.333)),
        (NIGHT_1, KEY_A, "fox", 1, 0.167),
        *((NIGHT_2, KEY_B, "cat", 4, 0.667), (NIGHT_2, KEY_B, "dog", 2, 0.333)),
        *((NIGHT_2, KEY_A, "cat", 3, 0.429), (NIGHT_2, KEY_A, "dog", 2, 0.286)),
        (NIGHT_2, KEY_A, "fox", 2, 0.286),
    ],
    ("How does the label mix move?", 1): [
        *((OTHER, "cat", 4), (OTHER, "dog", 2)),
        *((FIRST, "cat", 3), (FIRST, "dog", 2), (FIRST, "fox", 1)),
        *((SECOND, "cat", 3), (SECOND, "dog", 2), (SECOND, "fox", 2)),
    ],
    ("What should a person look at first?", 0): images(
        "5 cat 0.5 0.05,9 fox 0.52 0.06,1 cat 0.6 0.3"
    ),
    ("What fails, and why?", 0): [("prepare", "truncated", 1)],
    ("What fails, and why?", 1): [
        (make_uri(6), "read", "not_found", "a sentence", 1),
        (make_uri(7), "prepare", "truncated", "a sentence", 1),
    ],
    ("What fails, and why?", 2): [(make_uri(7), 2, "truncated", at(22))],
    # Shares 3/6, 2/6, 1/6 and then 3/7, 2/7, 2/7: they are apart by 1/14, 1/21 and 5/42.
    ("Has something drifted?", 0): [(SECOND, FIRST, 0.119, 0.0825)],
    ("Has something drifted?", 1): [
        (OTHER, KEY_B, 6, 0.685, None),
        (FIRST, KEY_A, 6, 0.675, None),
        (SECOND, KEY_A, 7, 0.71, 0.035),
    ],
    ("Has something drifted?", 2): [(3, 0.0)],  # images 3, 4, 5
    ("How many images did each run have?", 0): [
        (FIRST, NIGHT_1, KEY_A, 8, 6, 2, 0),
        (OTHER, NIGHT_2, KEY_B, 6, 6, 0, 0),
        (SECOND, NIGHT_2, KEY_A, 10, 7, 1, 2),
    ],
    ("What is not scored yet?", 0): images("6,7,8,9"),
}
