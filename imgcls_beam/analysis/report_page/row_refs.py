"""Rows → references that can be read again: where in its object each image lies is found anew."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from imgcls_beam.analysis.report_page.page_facts import ReportedImage
from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.errors import ConfigError, StoreError
from imgcls_beam.listing.archives import list_archive
from imgcls_beam.listing.folders import ARCHIVE_SUFFIX
from imgcls_beam.listing.parquet_manifests import list_cells
from imgcls_beam.listing.request_files import list_lines

_MAX_LISTED = 1_000_000
"""Images of one archive or table that are looked through for those that are wanted."""


def find_refs(
    images: Iterable[ReportedImage], configuration: Mapping[str, Any]
) -> dict[str, ImageRef]:
    """References by the images' URIs; what is found no more is left out.

    Args:
        images: some rows.
        configuration: of the run, as it is in its record.
    """
    refs: dict[str, ImageRef] = {}
    inside: dict[str, list[ReportedImage]] = {}
    for image in images:
        container, _, member = image.uri.partition("::")
        if member and (container.lower().endswith(ARCHIVE_SUFFIX) or member.isdecimal()):
            inside.setdefault(container, []).append(image)
        else:
            refs[image.uri] = ImageRef(image.uri, image.version, image.size_bytes)
    for container, members in inside.items():
        with contextlib.suppress(ConfigError, StoreError):  # gone, or another thing by now
            refs |= _find_members(container, members, configuration)
    return refs


def _find_members(
    container: str, members: list[ReportedImage], configuration: Mapping[str, Any]
) -> dict[str, ImageRef]:
    wanted = {member.uri for member in members}
    found: dict[str, ImageRef] = {}
    listed = _list_inside(ImageRef(container, members[0].version), configuration)
    for each in itertools.islice(listed, _MAX_LISTED):
        if isinstance(each, ImageRef) and each.uri in wanted:
            found[each.uri] = each
            if len(found) == len(wanted):
                break
    return found


def _list_inside(
    container: ImageRef, configuration: Mapping[str, Any]
) -> Iterator[ImageRef | Failure]:
    """Images of an archive, a Parquet file or a file of requests."""
    images = configuration.get("input") or {}
    manifest = images.get("manifest") or {}
    if container.uri.lower().endswith(ARCHIVE_SUFFIX):
        yield from list_archive(container)
        return
    if manifest.get("image_column"):
        with contextlib.suppress(ConfigError):  # it is no Parquet file, but one of requests
            yield from list_cells(container, manifest["image_column"], ())
            return
    yield from list_lines(container)
