"""Tables that name images, or hold them → `ImageRef`s, line by line.

::

    CSV, JSONL, text ─▶ line_manifests ─────▶ Line ─┐
    BigQuery ─────────▶ bigquery_manifests ─▶ Line ─┤
    Parquet ──────────▶ parquet_manifests ──▶ Line ─┴▶ references ─▶ ImageRef, or a Failure
                                        └▶ ImageRef of a cell

Memory holds one line, one batch of a Parquet file, or one page of a table. A line that cannot be
used is a failure of its own; a manifest that cannot be read to its end is an error of the job.
"""

from collections.abc import Iterator

from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.listing.bigquery_manifests import PREFIX, read_bigquery
from imgcls_beam.listing.folders import list_files
from imgcls_beam.listing.line_manifests import read_lines
from imgcls_beam.listing.references import References
from imgcls_beam.options import ManifestOptions
from imgcls_beam.stores import spell_uri

_PARQUET = ".parquet"


def list_manifest(
    options: ManifestOptions, allow_schemes: tuple[str, ...] = ()
) -> Iterator[ImageRef | Failure]:
    """Lists what a manifest names, in its order: a file, folder, glob, or `bq:` and a table's name.

    Lines may name images of `allow_schemes` and of `checks.SCHEMES`.

    Raises:
        ConfigError: it is not there, may not be read, is of no known format, or has no such column.
    """
    if options.url.lower().startswith(PREFIX):
        table = ImageRef(f"{PREFIX}{options.url[len(PREFIX) :]}")
        yield from map(References(table, allow_schemes).to_listed, read_bigquery(table, options))
        return
    for file in list_files("input_manifest", options.url, (_PARQUET,)):
        if not _is_hidden(file.uri, options.url):
            yield from _list_file(file, options, allow_schemes)


def _is_hidden(uri: str, folder: str) -> bool:
    """Whether it is what engines leave beside tables: `_temporary/`, `_delta_log/`, `.crc`."""
    below = spell_uri(folder).rstrip("/") + "/"
    names = uri.removeprefix(below).split("/") if uri.startswith(below) else ()
    return any(name.startswith(("_", ".")) for name in names)


def _list_file(
    file: ImageRef, options: ManifestOptions, allow_schemes: tuple[str, ...]
) -> Iterator[ImageRef | Failure]:
    if not file.uri.lower().endswith(_PARQUET):
        lines = read_lines(file, options)
    else:
        from imgcls_beam.listing.parquet_manifests import list_cells, read_table  # heavy: pyarrow

        if options.image_column is not None:
            yield from list_cells(file, options.image_column, options.carry_columns)
            return
        lines = read_table(file, options)
    yield from map(References(file, allow_schemes).to_listed, lines)
