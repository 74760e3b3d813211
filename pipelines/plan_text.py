"""A plan as text for a person, as wide as the terminal."""

import shutil
import textwrap
from collections.abc import Iterable, Iterator, Mapping

from imgcls_beam.planning import Estimate, Listing, ModelFacts, Plan, Probe, ScoreShift, Spread
from imgcls_beam.scoring import REVISION_CHARS

from .terminal import escape

_NAME_CHARS = 10
_LEAST_CHARS, _MOST_CHARS = 40, 100
_SHOWN = 8
_SHOWN_LABEL_CHARS = 30
_LONG_S, _FEW_MINUTES_S, _VERY_LONG_S = 120.0, 600.0, 7200.0

Section = tuple[str, Iterable[str]]


def write_plan(plan: Plan) -> str:
    """All of a plan: sections of lines, the name of each before its first."""
    width = min(_MOST_CHARS, max(_LEAST_CHARS, shutil.get_terminal_size((80, 24)).columns))
    sections: tuple[Section, ...] = (
        ("images", _describe_listing(plan.listing)),
        ("probe", _describe_probe(plan)),
        ("model", _describe_model(plan.model, plan.probe)),
        ("choice", _describe_choice(plan.model)),
        ("time", _describe_time(plan)),
    )
    return "\n".join(line for each in sections for line in _lay_out(*each, width)) + "\n"


def _lay_out(name: str, lines: Iterable[str], width: int) -> Iterator[str]:
    """A section, its long lines folded."""
    head = name.ljust(_NAME_CHARS)
    for line in lines:
        folded = textwrap.wrap(
            escape(line),
            width,
            initial_indent=head,
            subsequent_indent=" " * (_NAME_CHARS + 2),
            break_on_hyphens=False,
        )
        yield from folded
        head = " " * _NAME_CHARS


def _describe_listing(listing: Listing) -> Iterator[str]:
    what = f"{listing.references:,} to classify"
    if listing.references != listing.images:
        what = f"{listing.references:,} rows to write, of {listing.images:,} images"
    yield f"{what} · {_describe_bytes(listing.size_bytes, listing.unsized)}"
    suffixes = [
        f"{each.images:,} {suffix or 'without a suffix'}"
        f" ({_describe_bytes(each.size_bytes, each.unsized)})"
        for suffix, each in listing.suffixes.items()
    ]
    if suffixes:
        yield _join(suffixes)
    beside = listing.passed_over.describe()
    others = [
        *([f"{listing.skipped:,} already scored, left out"] if listing.skipped else []),
        *_describe_scored(listing),
        *([f"{listing.duplicates:,} duplicates"] if listing.duplicates else []),
        *([f"passed over: {beside}"] if beside else []),
        *(f"{count:,} × {name}" for name, count in listing.failures.items()),
    ]
    if others:
        yield " · ".join(others)


def _describe_scored(listing: Listing) -> Iterator[str]:
    """What a run of `--only=new` would leave out, where this one does not."""
    if listing.scored and not listing.skipped:
        yield f"{listing.scored:,} already scored; --only=new leaves them out"


def _describe_probe(plan: Plan) -> Iterator[str]:
    probe = plan.probe
    if probe is None:
        yield "there is no image to look at"
        return
    yield f"{probe.images:,} images drawn at random" + _describe_sizes(probe)
    kinds = [_name_counts(each) for each in (probe.formats, probe.modes) if each]
    if kinds:
        yield "; ".join(kinds)
    if probe.errors:
        share = f"{1 - probe.ok / probe.images:.0%}"
        yield f"{share} fail: about {plan.expected_errors:,.0f} error rows are to be expected"
    for name, count in probe.errors.items():
        uri, message = probe.first_errors[name]
        yield f"{count} × {name}: {message}; {uri}"
    if probe.rates:
        rates = " · ".join(f"{each.stage} {_round(each.images_per_s)}" for each in probe.rates)
        yield f"images/s, each stage by itself: {rates}"
    if plan.slowest is not None:
        yield f"{plan.slowest.stage} is the slowest: {plan.advice}"
    yield from _describe_shift(plan)


def _describe_sizes(probe: Probe) -> str:
    if probe.width_px is None or probe.height_px is None:
        return ""
    sizes = f": {_describe_spread(probe.width_px)} px wide"
    sizes += f", {_describe_spread(probe.height_px)} px high"
    size = probe.size_bytes
    return sizes if size is None else f"{sizes}, {_scale(size.median)} (median)"


def _describe_spread(spread: Spread) -> str:
    if spread.low == spread.high:
        return f"{spread.low:,}"
    return f"{spread.low:,} to {spread.high:,} (median {spread.median:,})"


def _describe_shift(plan: Plan) -> Iterator[str]:
    if plan.model.preprocess != "fast":
        return
    shift: ScoreShift | None = plan.shift
    if shift is None:
        yield "preprocess=fast beside exact: no image was answered"
        return
    yield (
        f"preprocess=fast beside exact: a score moves by up to {shift.largest:.1e}, by "
        f"{shift.mean:.1e} in the mean of the images' largest; another first label: "
        f"{shift.changed_top:.1%} of {shift.images} images"
    )


def _describe_model(model: ModelFacts, probe: Probe | None) -> Iterator[str]:
    yield f"{model.model_id}@{model.revision[:REVISION_CHARS]}"
    count = "" if model.parameters is None else f"{model.parameters:,} parameters, "
    weights = "" if model.weights is None else f" from {model.weights}"
    licence = "its card names no licence" if model.licence is None else f"licence {model.licence}"
    yield f"{count}{_scale(model.size_bytes)}{weights}; {licence}"
    labels = [_shorten(each) for each in model.labels]
    yield f"{len(labels):,} label{'s' * (len(labels) != 1)}: {_join(labels)}"
    yield f"{model.function_to_apply}: {model.why_function}"
    size = probe.input_px if probe is not None else None
    given = "" if size is None else f", which gives {size[1]} × {size[0]} px"
    yield f"images by {model.processor}{given}"


def _describe_choice(model: ModelFacts) -> Iterator[str]:
    yield f"{model.device}: {model.why_device}; {model.dtype}: {model.why_dtype}"
    known = {True: ", known here", False: ", first use here: kept for later starts", None: ""}
    if model.engine is not None:
        yield f"engine {model.engine}{known[model.is_kept]}: {model.why_engine}"
    threads = (
        "" if model.threads is None else f" on {model.threads} core{'s' * (model.threads > 1)}"
    )
    yield f"batches of {model.batch_size}{threads}"
    yield f"preprocess {model.preprocess}: {model.preprocess_way}"


def _describe_time(plan: Plan) -> Iterator[str]:
    for each in plan.estimates:
        yield f"{each.where}: {_describe_estimate(each)}"
        yield f"  ({each.basis})"


def _describe_estimate(each: Estimate) -> str:
    parts = [_describe_range([_describe_seconds(part) for part in each.total_s])]
    parts.append(
        f"start {_describe_seconds(each.start_s)}, listing {_describe_seconds(each.listing_s)}"
    )
    if each.images_per_s is not None:
        rates = _describe_range([_round(rate) for rate in each.images_per_s])
        parts.append(f"then {rates} images/s")
    if each.cost is not None:
        parts.append(f"cost {_describe_range([_describe_cost(cost) for cost in each.cost])}")
    return " · ".join(parts)


def _describe_range(texts: list[str]) -> str:
    return texts[0] if texts[0] == texts[1] else f"{texts[0]} to {texts[1]}"


def _describe_seconds(seconds: float) -> str:
    if seconds < _LONG_S:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if seconds < _FEW_MINUTES_S:
        return f"{int(seconds) // 60} min {int(seconds) % 60:02} s"
    if seconds < _VERY_LONG_S:
        return f"{minutes} min"
    return f"{minutes // 60:,} h {minutes % 60:02} min"


def _describe_cost(cost: float) -> str:
    return f"{cost:,.2f}" if cost >= 0.1 else f"{cost:.1g}"


def _describe_bytes(size_bytes: int, unsized: int) -> str:
    if not unsized:
        return _scale(size_bytes)
    if not size_bytes:
        return "of a size that the listing does not say"
    return f"{_scale(size_bytes)}, and {unsized:,} of a size that the listing does not say"


def _scale(size_bytes: float) -> str:
    """Bytes, three digits of them."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size_bytes < 1000 or unit == "TB":
            break
        size_bytes /= 1000
    digits = 1 if unit != "bytes" and size_bytes < 100 else 0
    return f"{size_bytes:,.{digits}f} {unit}"


def _round(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _name_counts(counts: Mapping[str, int]) -> str:
    return _join([f"{count} {name}" for name, count in counts.items()])


def _join(texts: list[str]) -> str:
    """The first of some texts, and how many more there are."""
    rest = len(texts) - _SHOWN
    return ", ".join(texts[:_SHOWN]) + (f" and {rest:,} more" if rest > 0 else "")


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN_LABEL_CHARS else f"{text[: _SHOWN_LABEL_CHARS - 1]}…"
