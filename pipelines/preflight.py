"""Checks of the places that a job names: before a model is loaded, and before the network is used.

A job that runs elsewhere sees no file of this machine, and its service wants to be told more: that
is found in the flags alone. Then each store is asked once.
"""

import argparse
import logging
import os
from collections.abc import Iterator, Sequence

from imgcls_beam.errors import ConfigError
from imgcls_beam.model_options import ModelOptions
from imgcls_beam.options import InputOptions, JobOptions, OutputOptions

from .beam_flags import parse_beam
from .job_services import check_portable, may_lack_files
from .nearby import check_nearby
from .runners import (
    LOCAL_RUNNERS,
    PORTABLE_RUNNERS,
    find_default_region,
    find_runner,
    goes_on_alone,
)

_LOG = logging.getLogger("imgcls")

Place = tuple[str, str]
"""An option, and the path or URL that it was given."""

_HERE = ("file", "local", "memory")
_TABLE = "bq:"


def check_flags(job: JobOptions, beam_arguments: Sequence[str]) -> None:
    """Checks the runner, and what it needs to be told; neither Beam nor the network is used.

    Raises:
        ConfigError: there is no such runner, a place that its workers cannot see, or an option
            that it needs.
    """
    beam = parse_beam(beam_arguments)
    if goes_on_alone(beam.runner):
        if job.output.report:
            problem = "the job goes on without this program; imgcls report writes it afterwards"
            raise ConfigError("report", True, problem)
        _check_elsewhere(job, beam)
    elif find_runner(beam.runner) in LOCAL_RUNNERS:
        check_nearby(job)
        if job.model.device == "cuda":
            check_cuda()
    elif find_runner(beam.runner) in PORTABLE_RUNNERS:
        check_portable(beam)
        if may_lack_files(beam):
            _warn_of_files(job)


def _warn_of_files(job: JobOptions) -> None:
    here = [f"{option}={url}" for option, url in _list_all(job) if _is_here(url)]
    if here:
        problem = (
            "it lies on this machine, workers that are elsewhere do not see it, or have their own"
        )
        _LOG.warning("%s: %s", ", ".join(here), problem)


def check_cuda() -> None:
    """Finds that there can be no CUDA device here, without torch.

    Raises:
        ConfigError: this machine has no driver for one.
    """
    from imgcls_beam.classifying.cpu import may_have_cuda

    if not may_have_cuda():
        problem = "this machine has no driver of NVIDIA's; give --device=cpu, or auto"
        raise ConfigError("device", "cuda", problem)


def check_sandbox(job: JobOptions) -> None:
    """Starts the first process that decodes, where this one's images are decoded in such.

    Raises:
        ConfigError: a sandbox is required that this machine does not have.
    """
    from imgcls_beam.sandbox import find_state, start_box

    start_box(job.decode)
    if job.decode.sandbox == "require":
        find_state(job.decode)


def check_stores(
    images: InputOptions | None = None,
    output: OutputOptions | None = None,
    model: ModelOptions | None = None,
) -> None:
    """Asks each store that is named, once.

    Raises:
        ConfigError: it does not answer, there are no credentials for it, or no such bucket.
    """
    from imgcls_beam.stores import check_store, split_url

    asked: set[tuple[str, str]] = set()
    for option, url in _list_places(images, output, model):
        name = split_url(url)[:2]
        if name not in asked:
            asked.add(name)
            check_store(option, url)


def _list_places(
    images: InputOptions | None, output: OutputOptions | None, model: ModelOptions | None
) -> Iterator[Place]:
    if images is not None:
        yield from (("input", url) for url in images.inputs)
        if images.manifest is not None and not images.manifest.url.lower().startswith(_TABLE):
            yield "input_manifest", images.manifest.url
        yield from (("requests", url) for url in images.requests)
    if output is not None:
        places = {"output": output.output, "output_jsonl": output.jsonl}
        yield from ((option, url) for option, url in places.items() if url is not None)
    if model is not None and is_folder(model.model):
        yield "model", model.model


def _list_all(job: JobOptions) -> Iterator[Place]:
    yield from _list_places(job.input, job.output, job.model)
    if job.compare_with is not None and is_folder(job.compare_with.model):
        yield "compare_with", job.compare_with.model


def _is_here(url: str) -> bool:
    from imgcls_beam.stores import split_url

    return split_url(url)[0] in _HERE


def is_folder(model: str) -> bool:
    """Whether a model is no hub id: a URL, or a folder of this machine."""
    return "://" in model or model.startswith(("/", ".", "~")) or os.path.isdir(model)


def _check_elsewhere(job: JobOptions, beam: argparse.Namespace) -> None:
    from imgcls_beam.stores import split_url

    for option, url in _list_all(job):
        if _is_here(url):
            is_model = option in ("model", "compare_with")
            better = "gs://…, or a hub id" if is_model else "gs://… or another store"
            problem = f"it lies on this machine, where Dataflow's workers do not see it; {better}"
            raise ConfigError(option, url, problem)
    missing = list(_find_missing(beam))
    if missing:
        wanted = " and ".join(missing)
        option = missing[0].removeprefix("--").partition("=")[0]
        raise ConfigError(option, None, f"a job on Dataflow needs {wanted}")
    temporary = beam.temp_location
    if temporary is not None and split_url(temporary)[0] != "gs":
        raise ConfigError("temp_location", temporary, "Dataflow stages into a gs:// place")


def _find_missing(beam: argparse.Namespace) -> Iterator[str]:
    """The options that a job on Dataflow lacks; a template's launch may bring the later ones."""
    if beam.region is None and find_default_region() is None:
        yield "--region"
    if beam.template_location is None and beam.temp_location is None:
        yield "--temp_location=gs://…"
    brings_code = beam.setup_file or beam.extra_packages or beam.requirements_file
    if beam.template_location is None and not (beam.sdk_container_image or brings_code):
        yield "--sdk_container_image=IMAGE (docker/build.sh makes it)"
    if beam.project is None:
        yield "--project"
