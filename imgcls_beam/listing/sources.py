"""Every reference of every manifest, input and request file, in the order in which they lie."""

import itertools
from collections.abc import Callable, Iterator

from imgcls_beam.elements import Failure, ImageRef
from imgcls_beam.errors import ConfigError
from imgcls_beam.listing.archives import list_archive
from imgcls_beam.listing.folders import ARCHIVE_SUFFIX, list_input
from imgcls_beam.listing.manifests import is_any_listed, list_manifest
from imgcls_beam.listing.on_disk import uri_digest
from imgcls_beam.listing.reference_groups import group_references
from imgcls_beam.listing.reference_keys import ref_of
from imgcls_beam.listing.request_files import list_requests
from imgcls_beam.options import InputOptions
from imgcls_beam.passed_over import PassedOver
from imgcls_beam.suffixes import IMAGE_SUFFIXES

_SHOWN_SUFFIXES = (".jpg", ".png", ".webp", ".tif", ".heic", ARCHIVE_SUFFIX)
_SUFFIXES = {*IMAGE_SUFFIXES, ARCHIVE_SUFFIX}


def list_images(
    options: InputOptions, passed_over: PassedOver | None = None
) -> Iterator[ImageRef | Failure]:
    """Lists every reference: of the manifest, then of the inputs, then of the requests, in order.

    What names no image, or cannot be listed, is a failure among them: it becomes a row. An image
    that is named twice comes twice, unless there is a limit: the pipeline groups references in a
    shuffle. What folders, globs and archives hold beside images is counted in `passed_over`.

    Raises:
        ConfigError: a source that is not there or may not be read.
    """
    list_them = _list_sample if options.limit is None else list_distinct
    yield from list_them(options, passed_over)


def list_distinct(
    options: InputOptions,
    passed_over: PassedOver | None = None,
    count: Callable[[], object] = lambda: None,
) -> Iterator[ImageRef | Failure]:
    """Lists every reference once, up to the limit; those to one image follow each other.

    Everything is listed before the first is given; memory does not grow with it. A manifest comes
    first: its line wins over the same object in an input, under any limit.

    Args:
        options: what to list.
        passed_over: where what folders, globs and archives hold beside images is counted.
        count: called for each that is listed, equal ones too, while they are.

    Raises:
        ConfigError: a source that is not there or may not be read.
    """
    yield from group_references(_list_sample(options, passed_over), options.limit, count)


def check_inputs(options: InputOptions) -> None:
    """Looks at each source until the first thing it names; of a manifest at each of its files.

    Raises:
        ConfigError: a source that is not there, may not be read, or names nothing without being
            allowed to.
    """
    for url in options.inputs:
        _check_input(url, options)
    manifest = options.manifest
    if manifest and not is_any_listed(manifest, options.allow_schemes, options.own_output):
        problem = "no images there: it has no lines, or the folder has no files of a manifest"
        _refuse_empty(options.allow_empty, "input_manifest", manifest.url, problem)
    for url in options.requests:
        if next(list_requests(url, own_output=options.own_output), None) is None:
            problem = "no requests there: there is no line"
            _refuse_empty(options.allow_empty, "requests", url, problem)


def _refuse_empty(is_allowed: bool, option: str, url: str, problem: str) -> None:
    if not is_allowed:
        problem = f"{problem}; if that may be, --allow_empty makes it a run of 0 images"
        raise ConfigError(option, url, problem)


def _check_input(url: str, options: InputOptions) -> None:
    passed_over = PassedOver()
    found = _list_input(url, options, passed_over)
    first = next(found, None)
    if first is None:
        beside = f" (passed over: {passed_over.describe()})" if passed_over else ""
        problem = (
            f"no images there{beside}; a folder is searched for *{', *'.join(_SHOWN_SUFFIXES)} and "
            f"{len(_SUFFIXES.difference(_SHOWN_SUFFIXES))} more suffixes (docs/inputs.md); "
            "a pattern such as FOLDER/** takes every file but packed archives"
        )
        _refuse_empty(options.allow_empty, "input", url, problem)
    if isinstance(first, Failure) and next(found, None) is None:
        raise ConfigError("input", url, first.message)


def _list_sample(
    options: InputOptions, passed_over: PassedOver | None
) -> Iterator[ImageRef | Failure]:
    manifest, below = options.manifest, options.sample_ratio * 2**64
    listed = itertools.chain(
        list_manifest(manifest, options.allow_schemes, options.own_output) if manifest else (),
        *(_list_input(url, options, passed_over) for url in options.inputs),
        *(list_requests(url, passed_over, options.own_output) for url in options.requests),
    )
    if options.sample_ratio >= 1:
        return listed
    return (each for each in listed if int.from_bytes(uri_digest(ref_of(each).uri)[:8]) < below)


def _list_input(
    url: str, options: InputOptions, passed_over: PassedOver | None
) -> Iterator[ImageRef | Failure]:
    for place in list_input(url, passed_over, options.own_output, allow_empty=options.allow_empty):
        if isinstance(place, ImageRef) and place.uri.lower().endswith(ARCHIVE_SUFFIX):
            yield from list_archive(place, passed_over)
        else:
            yield place
