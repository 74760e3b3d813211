"""`classify --dry_run`: what a job would do with its first image; nothing is written."""

import json
from collections.abc import Mapping
from typing import Any

from imgcls_beam.elements import EncodedImage, Failure, ImageRef, Outcome, PixelArray
from imgcls_beam.errors import ConfigError
from imgcls_beam.listing import check_inputs, list_images
from imgcls_beam.models import resolve_model
from imgcls_beam.options import JobOptions
from imgcls_beam.rows import to_record_batch

from . import preflight
from .terminal import escape

_NAME_CHARS = 10


def try_first(job: JobOptions) -> dict[str, Any]:
    """Reads, decodes and classifies the first image as the job would.

    Returns:
        `listed`, `read`, `decoded`, `asked` and `row`, values of JSON; what an image that fails
        does not come to is null.

    Raises:
        ImgclsError: the job could not begin.
    """
    preflight.check_stores(job.input, job.output, job.model)
    check_inputs(job.input)
    first = next(iter(list_images(job.input)), None)
    if first is None:
        raise ConfigError("input", job.input.inputs, "it leaves no image; give more")
    from imgcls_beam.outcome_handler import OutcomeHandler
    from imgcls_beam.preparing import load_preparer
    from imgcls_beam.reading import read_images
    from imgcls_beam.sandbox import prepare_image

    source = resolve_model(job.model.model, job.model.revision, job.model.weights)
    handler = OutcomeHandler(job.model, source=source, read=job.read, decode=job.decode)
    classifier = handler.load_model()
    (read,) = (first,) if isinstance(first, Failure) else read_images([first], job.read)
    prepared = (
        read
        if isinstance(read, Failure)
        else prepare_image(read, load_preparer(source), job.decode)
    )
    outcome = handler.run_inference([prepared], classifier)[0].inference
    ref = first.ref if isinstance(first, Failure) else first
    return {
        "listed": _describe_listed(ref),
        "read": _describe_read(read),
        "decoded": _describe_decoded(prepared),
        "asked": _describe_asked(job, classifier.describe(), source.display_name),
        "row": _make_row(outcome),
    }


def describe_first(tried: Mapping[str, Any]) -> str:
    """The same for people: a stage a line, then the row."""
    stages = [(name, tried[name]) for name in ("listed", "read", "decoded", "asked")]
    lines = [f"{name:<{_NAME_CHARS}}{_describe_facts(facts)}" for name, facts in stages]
    row = [f"  {name:<18}{_to_text(value)}" for name, value in tried["row"].items()]
    text = "\n".join([*lines, "the row that would be written:", *row, "nothing was written"])
    return escape(text, keep="\n") + "\n"


def _describe_listed(ref: ImageRef) -> dict[str, Any]:
    return {"uri": ref.uri, "version": ref.version, "bytes": ref.size_bytes}


def _describe_read(read: EncodedImage | Failure) -> dict[str, Any] | None:
    if isinstance(read, Failure):
        return None
    return {"bytes": len(read.data), "tries": read.tries}


def _describe_decoded(prepared: PixelArray | Failure) -> dict[str, Any] | None:
    if isinstance(prepared, Failure):
        return None
    inputs = {name: [*each.shape, str(each.dtype)] for name, each in prepared.inputs.items()}
    facts = prepared.facts
    return {
        "format": facts.format if facts else None,
        "width_px": facts.width_px if facts else None,
        "height_px": facts.height_px if facts else None,
        "ms": prepared.prepare_ms,
        "inputs": inputs,
    }


def _describe_asked(job: JobOptions, card: Any, model: str) -> dict[str, Any]:  # noqa: ANN401
    return {
        "model": model,
        "top_k": job.model.top_k,
        "function_to_apply": job.model.function_to_apply or card.function_to_apply,
        "device": card.device,
        "dtype": card.dtype,
        "engine": card.engine.name if card.engine else None,
        "preprocess": job.decode.preprocess,
    }


def _make_row(outcome: Outcome) -> dict[str, Any]:
    row: dict[str, Any] = to_record_batch([outcome]).to_pylist()[0]
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in row.items()
        if name != "library_versions"
    }


def _describe_facts(facts: Mapping[str, Any] | None) -> str:
    if facts is None:
        return "not: see the row's error"
    return " · ".join(f"{name} {_to_text(value)}" for name, value in facts.items())


def _to_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
