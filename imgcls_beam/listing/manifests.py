"""Tables that name images, or hold them → `ImageRef`s, line by line.

::

    CSV, JSONL, text ─▶ line_manifests ─────▶ Line ─┐
    BigQuery ─────────▶ bigquery_manifests ─▶ Line ─┤
    Parquet ──────────▶ parquet_manifests ──▶ Line ─┴▶ references ─▶ ImageRef, or a Failure
                                        └▶ ImageRef of a cell

Memory holds one line, one batch of a Parquet file, or one page of a table. A line that cannot be
used is a failure of its own; a manifest that cannot be read to its end is an error of the job.

A folder is one manifest in several files. Each is read by itself: one may lack what others have, or
be empty. A line may name a tar archive: its members are images, with the line's columns.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence

from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.listing.archives import list_archive
from imgcls_beam.listing.bigquery_manifests import PREFIX, read_bigquery
from imgcls_beam.listing.braces import has_range
from imgcls_beam.listing.folders import ARCHIVE_SUFFIX, PACKED_SUFFIXES, list_files
from imgcls_beam.listing.line_manifests import PART_SUFFIXES, Head, look_at_lines, read_lines
from imgcls_beam.listing.outages import refuse_outage
from imgcls_beam.listing.references import Line, References, find_near_column, refuse_column
from imgcls_beam.options import ManifestOptions
from imgcls_beam.stores import (
    FaultKind,
    ask,
    facts_of,
    find_info,
    kind_of,
    open_store,
    spell_uri,
)

_PARQUET = ".parquet"
_OPTION = "input_manifest"

_FOLDER = "the line names a folder, not an image; give it as --input"
_SEVERAL = "the line names several files in braces; give it as --input, or one file on each line"
_PACKED = "the line names a packed archive; unpack it, or pack it again as .tar"
_NO_ARCHIVE = "the line names an archive that is not there; its images are not known"
_CLOSED_ARCHIVE = "the line names an archive that cannot be read; its images are not known"


def list_manifest(
    options: ManifestOptions,
    allow_schemes: tuple[str, ...] = (),
    own_output: Sequence[str] = (),
) -> Iterator[ImageRef | Failure]:
    """Lists what a manifest names, in its order: a file, folder, glob, or `bq:` and a table's name.

    Lines may name images of `allow_schemes` and of `checks.SCHEMES`.

    Raises:
        ConfigError: it is not there, may not be read, is of no known format, or has no such column.
        StoreError: the store of an archive that it names does not answer.
    """
    if options.url.lower().startswith(PREFIX):
        table = ImageRef(f"{PREFIX}{options.url[len(PREFIX) :]}")
        yield from _to_listed(table, read_bigquery(table, options), allow_schemes)
        return
    for file in _find_files(options, own_output):
        yield from _list_file(file, options, allow_schemes)


def is_any_listed(
    options: ManifestOptions,
    allow_schemes: tuple[str, ...] = (),
    own_output: Sequence[str] = (),
) -> bool:
    """Whether a manifest has a line; each of its files is looked at, and no line is used.

    Raises:
        ConfigError: as `list_manifest`, as far as the beginnings of its files show it; or no file
            of JSONL has the column of URIs.
    """
    if options.url.lower().startswith(PREFIX):
        return next(list_manifest(options, allow_schemes), None) is not None
    heads = [_look_at(file, options) for file in _find_files(options, own_output)]
    filled = [head for head in heads if not head.is_empty]
    _check_columns([head for head in filled if head.columns is not None], options)
    return bool(filled)


def _check_columns(heads: list[Head], options: ManifestOptions) -> None:
    """Checks what lines of JSON may lack: a column is null there, but nearly its name is a slip."""
    if not heads:
        return
    known = list(dict.fromkeys(name for head in heads for name in head.columns or ()))
    if not any(head.has_uri for head in heads):
        raise refuse_column("uri_column", str(options.uri_column), known)
    for name in options.carry_columns:
        if name not in known and find_near_column(name, known):
            raise refuse_column("carry_columns", name, known)


def _find_files(options: ManifestOptions, own_output: Sequence[str]) -> Iterator[ImageRef]:
    """The files of a manifest: of a folder the Parquet files, or where it has none the others."""
    for suffixes in ((_PARQUET,), PART_SUFFIXES):
        found = list_files(_OPTION, options.url, suffixes, own_output=own_output)
        is_any = False
        for file in found:
            if not _is_hidden(file.uri, options.url):
                is_any = True
                yield file
        if is_any:
            return


def _is_hidden(uri: str, folder: str) -> bool:
    """Whether it is what engines leave beside tables: `_temporary/`, `_delta_log/`, `.crc`."""
    below = spell_uri(folder).rstrip("/") + "/"
    names = uri.removeprefix(below).split("/") if uri.startswith(below) else ()
    return any(name.startswith(("_", ".")) for name in names)


def _look_at(file: ImageRef, options: ManifestOptions) -> Head:
    if not file.uri.lower().endswith(_PARQUET):
        return look_at_lines(file, options)
    return Head(next(_list_file(file, options, ()), None) is None)


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
    yield from _to_listed(file, lines, allow_schemes)


def _to_listed(
    manifest: ImageRef, lines: Iterator[Line], allow_schemes: tuple[str, ...]
) -> Iterator[ImageRef | Failure]:
    references = References(manifest, allow_schemes)
    for line in lines:
        listed = references.to_listed(_refuse_lists(line))
        if isinstance(listed, ImageRef) and listed.uri.lower().endswith(ARCHIVE_SUFFIX):
            yield from _open_archive(listed)
        else:
            yield listed


def _refuse_lists(line: Line) -> Line:
    """The line; with a problem where it names more than one image, and no archive."""
    if line.problem is not None or not isinstance(line.value, str):
        return line
    name = line.value.strip().lower()
    is_folder = name.rpartition("/")[2] in ("", ".", "..")
    problem = _FOLDER if name and is_folder else _SEVERAL if has_range(name) else None
    problem = _PACKED if name.endswith(PACKED_SUFFIXES) else problem
    return dataclasses.replace(line, problem=problem) if problem else line


def _open_archive(named: ImageRef) -> Iterator[ImageRef | Failure]:
    """The members of an archive that a line names; one failure where it cannot be opened."""
    archive = ask(functools.partial(_look_up, named))
    if isinstance(archive, ImageRef):
        yield from list_archive(archive)
        return
    refuse_outage(named.uri, archive)
    kind = kind_of(archive)
    is_missing = kind in (FaultKind.NO_OBJECT, FaultKind.NO_BUCKET)
    message = _NO_ARCHIVE if is_missing else _CLOSED_ARCHIVE
    is_passing = kind is FaultKind.UNREACHABLE
    error = ImageError(FailureCode.UNLISTABLE, message, retryable=is_passing)
    yield Failure.from_error(named, error)


def _look_up(named: ImageRef) -> ImageRef:
    """An archive with what its store says of it."""
    store, path = open_store(_OPTION, named.uri)
    return dataclasses.replace(named, **facts_of(find_info(store, path)))
