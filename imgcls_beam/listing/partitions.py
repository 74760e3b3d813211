"""Columns that stand in a file's path, as in `shop=de/part-0.parquet`."""

import urllib.parse

_NULL = "__HIVE_DEFAULT_PARTITION__"


def find_partitions(uri: str) -> dict[str, str | None]:
    """The columns in the folders of a file, as text; of two of one name the innermost.

    Hive, Spark and BigQuery write names and values as they are in URLs, and one word for null.
    Bytes that are not UTF-8 are lone surrogates, as in the names of files.
    """
    pairs = (folder.split("=", 1) for folder in uri.split("/")[:-1] if "=" in folder)
    found = {_unquote(name): _unquote(value) for name, value in pairs}
    return {name: None if value == _NULL else value for name, value in found.items()}


def _unquote(text: str) -> str:
    return urllib.parse.unquote(text, errors="surrogateescape")
