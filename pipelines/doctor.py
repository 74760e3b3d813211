"""Checks what a job needs before one is started: packages, machine, stores, model, scores.

::

    imgcls doctor --model=google/vit-base-patch16-224 --input=photos/ --output=out/
    imgcls doctor --model=demo/model --input=demo/images --parity=20 --preprocess=fast

Each check is a line; one that fails says what to do, and the others go on. Every flag of `classify`
is taken: put `doctor` for `classify` in the command line of a job.
"""

import argparse
import dataclasses
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from imgcls_beam.errors import ConfigError, ImgclsError, ModelError

from . import beam_imports, doctor_flags, surroundings, terminal
from .program import DONE, FAILED, USAGE, Fields, run_main

if TYPE_CHECKING:
    from imgcls_beam.model_options import ModelOptions
    from imgcls_beam.parity import Comparison, Shift

_SHOWN_IMAGES = 5
_NAME_CHARS = 12
_UNSEEN = "the checks go on, but they"

Check = tuple[str, Callable[[argparse.Namespace], Iterator[str]]]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the checks; returns the exit code."""
    return run_main("doctor", argv, _act)


def _act(words: list[str], how: argparse.Namespace) -> tuple[int, Fields | None]:
    asked = doctor_flags.parse_flags(words)
    beam_imports.import_beam(())  # only now: no refusal waits for Beam

    checks: list[dict[str, Any]] = []
    found: list[ImgclsError] = []
    for check in _choose_checks(asked):
        checked, problem = _run(check, asked)
        checks.append(checked)
        found += [] if problem is None else [problem]
        if not how.json:
            terminal.say(functools.partial(_describe, checked), _UNSEEN)
    if not how.json:
        end = f"{len(found)} problem(s)\n" if found else "all is well\n"
        terminal.say(functools.partial(str, end), _UNSEEN)
    is_usage = all(isinstance(problem, ConfigError) for problem in found)
    code = DONE if not found else USAGE if is_usage else FAILED
    return code, functools.partial(dict, checks=checks, problems=len(found))


def _choose_checks(asked: argparse.Namespace) -> list[Check]:
    checks: list[Check] = [
        ("packages", surroundings.check_packages),
        ("machine", surroundings.check_machine),
        ("sandbox", surroundings.check_sandbox),
        ("runner", surroundings.check_runner),
        ("credentials", surroundings.check_credentials),
        ("disk", surroundings.check_disk),
        ("hub", surroundings.check_hub),
    ]
    if asked.input is not None:
        checks.append(("input", _check_input))
    if asked.output is not None:
        checks.append(("output", _check_output))
    checks.append(("model", _check_model))  # the others are cheap, and say what to set
    if asked.parity is not None:
        checks.append(("parity", _check_parity))
    return checks


def _run(check: Check, asked: argparse.Namespace) -> tuple[dict[str, Any], ImgclsError | None]:
    """Runs one check; returns what it says, and the problem that it found."""
    name, find = check
    lines: list[str] = []
    problem = None
    try:
        for line in find(asked):
            lines.append(line)
    except ImgclsError as error:
        # What goes before may be well; the first line is the one that has the mark.
        lines, problem = [str(error), *lines], error
    return {"name": name, "ok": problem is None, "lines": lines}, problem


def _describe(checked: dict[str, Any]) -> str:
    head = f"{'ok' if checked['ok'] else 'BAD':<4}{checked['name']:<{_NAME_CHARS}}"
    heads = [head, *([" " * len(head)] * (len(checked["lines"]) - 1))]
    lines = zip(heads, map(terminal.escape, checked["lines"]), strict=True)
    return "".join(f"{head}{line}\n" for head, line in lines)


def _check_model(asked: argparse.Namespace) -> Iterator[str]:
    for model in asked.models:
        yield from _load(model)


def _load(asked: "ModelOptions") -> Iterator[str]:
    from imgcls_beam.classifying.running import RunningClassifier
    from imgcls_beam.models import resolve_model
    from imgcls_beam.outcome_handler import OutcomeHandler
    from imgcls_beam.preparing import load_preparer

    from . import preflight

    preflight.check_stores(model=asked)
    source = resolve_model(asked.model, asked.revision, asked.weights)
    model = OutcomeHandler(asked, source=source).load_model()
    if isinstance(model, RunningClassifier):
        model.settle()  # a run would find out in its course, if it is long enough
    card = model.describe()
    yield f"{source.display_name}, weights in {source.weights}"
    yield (
        f"{len(card.labels):,} labels, {card.function_to_apply}; {card.size_bytes / 1e6:,.1f} MB, "
        f"{card.dtype} on {card.device}"
    )
    if card.engine is not None:
        yield f"run by {card.engine.name} ({card.engine.why})"
    is_fast = load_preparer(source).geometry is not None
    way = (
        "as uint8, scaled on the device"
        if is_fast
        else "by the model's own processor, one at a time"
    )
    yield f"images are prepared {way}"


def _check_input(asked: argparse.Namespace) -> Iterator[str]:
    from imgcls_beam.elements import Failure
    from imgcls_beam.listing import check_inputs, list_images

    from . import preflight

    preflight.check_stores(asked.input)
    check_inputs(asked.input)
    first = next(iter(list_images(asked.input)), None)
    if first is None:
        raise ConfigError(
            "sample", asked.input.sample_ratio, "it leaves no image; give a larger share"
        )
    ref = first.ref if isinstance(first, Failure) else first
    yield f"the first image is {ref.uri}"


def _check_output(asked: argparse.Namespace) -> Iterator[str]:
    from imgcls_beam.sinks import check_jsonl_free, check_writable

    from . import preflight

    preflight.check_stores(output=asked.output)
    if asked.output.output is not None:
        check_writable(asked.output)
        yield f"{asked.output.output} can be written"
    if asked.output.table is not None:
        from imgcls_beam.bigquery import connect, parse_table

        connect("output_table", parse_table(asked.output.table))
        yield f"{asked.output.table}: BigQuery answers, and its dataset is there"
    if asked.output.jsonl is not None:
        check_jsonl_free(asked.output.jsonl)
        yield f"{asked.output.jsonl} is free"


def _check_parity(asked: argparse.Namespace) -> Iterator[str]:
    """Compares the first images.

    Raises:
        ModelError: a score differs, which is a defect of ours.
    """
    from imgcls_beam.listing import list_distinct
    from imgcls_beam.models import resolve_model
    from imgcls_beam.parity import compare_fast, compare_with_reference

    if asked.input is None:
        raise ConfigError("parity", asked.parity, "give images to compare, --input=…")
    source = resolve_model(asked.model.model, asked.model.revision, asked.model.weights)
    limit = min(asked.parity, asked.input.limit or asked.parity)
    listed = list(list_distinct(dataclasses.replace(asked.input, limit=limit)))
    found = compare_with_reference(listed, asked.model, source, asked.read, asked.decode)
    yield from _describe_parity(found)
    if asked.decode.preprocess == "fast":
        shifts = compare_fast(listed, asked.model, source, asked.read, asked.decode)
        yield from _describe_shifts(shifts)
    different = [each for each in found if each.is_different]
    if different and asked.model.dtype in ("auto", "float32"):
        worst = max(different, key=_difference_of)
        problem = f"{len(different)} of {len(found)} images have other scores than the reference"
        raise ModelError(f"{problem}, first of all {worst.uri}; please report it with this image")


def _describe_parity(found: "Sequence[Comparison]") -> Iterator[str]:
    both = [each for each in found if each.difference is not None and not each.is_deep_grey]
    equal = sum(each.is_equal for each in both)
    largest = max(map(_difference_of, both), default=0.0)
    yield f"{equal} of {len(found)} images equal; the largest score difference is {largest:.1e}"
    for what, count in _count_others(found):
        if count:
            yield f"{count} {what}"
    for each in sorted(both, key=_difference_of, reverse=True)[:_SHOWN_IMAGES]:
        yield f"  {_difference_of(each):.1e}  {each.uri}"


def _describe_shifts(shifts: "Sequence[Shift]") -> Iterator[str]:
    """How far `--preprocess=fast` moves the scores: a property of the images, and no problem."""
    if not shifts:
        yield "preprocess=fast beside exact: no image was answered"
        return
    largest = max(shifts, key=_difference_of)
    mean = sum(map(_difference_of, shifts)) / len(shifts)
    changed = [each for each in shifts if not each.is_same_top]
    yield (
        f"preprocess=fast beside exact: a score moves by up to {largest.difference:.1e}, by "
        f"{mean:.1e} in the mean of the images' largest; another first label: "
        f"{len(changed)} of {len(shifts)} images ({len(changed) / len(shifts):.1%})"
    )
    for each in sorted(changed, key=_difference_of, reverse=True)[:_SHOWN_IMAGES]:
        yield f"  {each.difference:.1e}  {each.uri}"


def _count_others(found: "Sequence[Comparison]") -> Iterator[tuple[str, int]]:
    refused = [(each.ours is not None, each.theirs is not None) for each in found]
    yield "refused by both", refused.count((True, True))
    yield "refused here only", refused.count((True, False))
    yield "refused by the reference only", refused.count((False, True))
    grey = "of 16- or 32-bit grey, scaled to 8 bits here and cut off by the reference"
    yield grey, sum(each.is_deep_grey and each.difference is not None for each in found)


def _difference_of(comparison: "Comparison | Shift") -> float:
    return comparison.difference or 0.0


if __name__ == "__main__":
    sys.exit(main())
