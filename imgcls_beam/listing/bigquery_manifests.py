"""BigQuery tables as manifests: `bq:project.dataset.table` → lines, page by page.

The table's own rows are read, not a query's answer: nothing is scanned, and nothing is paid for.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imgcls_beam.bigquery import connect, look_up, parse_table, refuse_faults
from imgcls_beam.elements import ImageRef
from imgcls_beam.errors import ConfigError
from imgcls_beam.listing.references import Line, asked_columns, pick, refuse_column
from imgcls_beam.options import ManifestOptions

if TYPE_CHECKING:
    from google.cloud.bigquery import Client, SchemaField, Table

PREFIX = "bq:"
_OPTION = "input_manifest"
_PAGE_ROWS = 5_000
_READABLE = ("TABLE", "SNAPSHOT")


def read_bigquery(manifest: ImageRef, options: ManifestOptions) -> Iterator[Line]:
    """Reads the rows that name images; they are numbered from 0, in the order of BigQuery's answer.

    Raises:
        ConfigError: there is no such table or column, or BigQuery refuses to give its rows.
    """
    if options.image_column is not None:
        problem = "images are not read out of BigQuery; name the column of their URIs"
        raise ConfigError("image_column", options.image_column, problem)
    name = parse_table(manifest.uri[len(PREFIX) :], _OPTION)
    client = connect(_OPTION, name)
    try:
        with refuse_faults(_OPTION, manifest.uri):
            table = client.get_table(str(name), **look_up())
            yield from _read_rows(client, table, options)
    except FileNotFoundError as error:
        raise ConfigError(_OPTION, manifest.uri, "there is no such table") from error


def _read_rows(client: "Client", table: "Table", options: ManifestOptions) -> Iterator[Line]:
    if table.table_type not in _READABLE:
        kind = table.table_type.lower().replace("_", " ")
        problem = f"it is a {kind}, and only tables are read; CREATE TABLE … AS SELECT makes one"
        raise ConfigError(_OPTION, f"{PREFIX}{table.reference}", problem)
    selected = _select_fields(table.schema, options)
    rows = client.list_rows(table, selected_fields=selected, page_size=_PAGE_ROWS)
    for number, row in enumerate(rows):
        fields = dict(row.items())
        carried = {name: pick(fields, name) for name in options.carry_columns}
        yield Line(number, pick(fields, str(options.uri_column)), carried or None)


def _select_fields(
    schema: "Sequence[SchemaField]", options: ManifestOptions
) -> "list[SchemaField]":
    """The columns to read; of a struct all of it, whatever of it is asked for.

    Raises:
        ConfigError: there is no such column, or the URIs' column is not text.
    """
    known = {field.name: field for field in schema}
    selected: dict[str, SchemaField] = {}
    for option, name in asked_columns(options, list(known)):
        path = (name,) if name in known else tuple(name.split("."))
        field = _find_field(schema, path)
        if field is None:
            raise refuse_column(option, name, list(known))
        if option == "uri_column" and (field.field_type != "STRING" or field.mode == "REPEATED"):
            found = f"{field.mode.lower()} {field.field_type}"
            raise ConfigError(option, name, f"it holds {found}, not text")
        selected[path[0]] = known[path[0]]
    return list(selected.values())


def _find_field(schema: "Sequence[SchemaField]", path: Sequence[str]) -> "SchemaField | None":
    found = next((field for field in schema if field.name == path[0]), None)
    if found is None or len(path) == 1:
        return found
    return None if found.mode == "REPEATED" else _find_field(found.fields, path[1:])
