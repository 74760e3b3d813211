"""Every reference of every manifest, input and request file, in the order in which they lie."""

import itertools
from collections.abc import Callable, Iterator

from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.errors import ConfigError
from imgcls_beam.listing.archives import list_archive
from imgcls_beam.listing.folders import ARCHIVE_SUFFIX, IMAGE_SUFFIXES, list_input
from imgcls_beam.listing.manifests import list_manifest
from imgcls_beam.listing.on_disk import uri_digest
from imgcls_beam.listing.reference_groups import group_references
from imgcls_beam.listing.reference_keys import ref_of
from imgcls_beam.listing.request_files import list_requests
from imgcls_beam.options import InputOptions


def list_images(options: InputOptions) -> Iterator[ImageRef | Failure]:
    """Lists every reference: of the manifest, then of the inputs, then of the requests, in order.

    What names no image, or cannot be listed, is a failure among them: it becomes a row. An image
    that is named twice comes twice, unless there is a limit: the pipeline groups references in a
    shuffle.

    Raises:
        ConfigError: a source that is not there or may not be read.
    """
    yield from _list_sample(options) if options.limit is None else list_distinct(options)


def list_distinct(
    options: InputOptions, count: Callable[[], object] = lambda: None
) -> Iterator[ImageRef | Failure]:
    """Lists every reference once, up to the limit; those to one image follow each other.

    Everything is listed before the first is given; memory does not grow with it. A manifest comes
    first: its line wins over the same object in an input, under any limit.

    Args:
        options: what to list.
        count: called for each that is listed, equal ones too, while they are.

    Raises:
        ConfigError: a source that is not there or may not be read.
    """
    yield from group_references(_list_sample(options), options.limit, count)


def check_inputs(options: InputOptions) -> None:
    """Looks at each source until the first thing it names.

    Raises:
        ConfigError: a source that is not there, may not be read, or names nothing without being
            allowed to.
    """
    for url in options.inputs:
        _check_input(url, options.allow_empty)
    manifest = options.manifest
    if manifest and next(list_manifest(manifest, options.allow_schemes), None) is None:
        problem = "no images there: it has no lines, or the folder has no *.parquet"
        _refuse_empty(options.allow_empty, "input_manifest", manifest.url, problem)
    for url in options.requests:
        if next(list_requests(url), None) is None:
            problem = "no requests there: there is no line"
            _refuse_empty(options.allow_empty, "requests", url, problem)


def _refuse_empty(is_allowed: bool, option: str, url: str, problem: str) -> None:
    if not is_allowed:
        problem = f"{problem}; if that may be, --allow_empty makes it a run of 0 images"
        raise ConfigError(option, url, problem)


def _check_input(url: str, allow_empty: bool) -> None:
    found = _list_input(url, allow_empty)
    first = next(found, None)
    if first is None:
        problem = (
            "no images there; a folder is searched for files named "
            f"*{', *'.join((*IMAGE_SUFFIXES, ARCHIVE_SUFFIX))}; "
            "a pattern such as FOLDER/** takes every file"
        )
        _refuse_empty(allow_empty, "input", url, problem)
    if isinstance(first, Failure) and next(found, None) is None:
        raise ConfigError("input", url, first.message)


def _list_sample(options: InputOptions) -> Iterator[ImageRef | Failure]:
    manifest, below = options.manifest, options.sample_ratio * 2**64
    listed = itertools.chain(
        list_manifest(manifest, options.allow_schemes) if manifest else (),
        *(_list_input(url, options.allow_empty) for url in options.inputs),
        *map(list_requests, options.requests),
    )
    if options.sample_ratio >= 1:
        return listed
    return (each for each in listed if int.from_bytes(uri_digest(ref_of(each).uri)[:8]) < below)


def _list_input(url: str, allow_empty: bool) -> Iterator[ImageRef | Failure]:
    for ref in list_input(url, allow_empty=allow_empty):
        is_archive = ref.uri.lower().endswith(ARCHIVE_SUFFIX)
        yield from list_archive(ref) if is_archive else (ref,)
