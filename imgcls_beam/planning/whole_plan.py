"""A plan as a whole, and as JSON: what `schemas/plan.answer.json` says of it holds."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from imgcls_beam.parity import Shift
from imgcls_beam.planning.estimating import Estimate, Pace
from imgcls_beam.planning.listed_counts import Listing
from imgcls_beam.planning.model_facts import ModelFacts
from imgcls_beam.planning.probing import Probe
from imgcls_beam.slowest import Slowest

_SHOWN_LABELS = 10


@dataclasses.dataclass(frozen=True, slots=True)
class ScoreShift:
    """How far `preprocess=fast` moves scores.

    Attributes:
        images: that were answered both ways.
        largest: difference of a score.
        mean: of the images' largest ones.
        changed_top: the share of images with another first label.
    """

    images: int
    largest: float
    mean: float
    changed_top: float

    @classmethod
    def of(cls, shifts: Sequence[Shift]) -> "ScoreShift | None":
        """None where no image was answered."""
        if not shifts:
            return None
        found = [each.difference for each in shifts]
        changed = sum(not each.is_same_top for each in shifts)
        return cls(len(shifts), max(found), sum(found) / len(found), changed / len(shifts))


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What a job would do.

    Attributes:
        listing: what it would list.
        model: what is to be known of its model.
        probe: of some images; None where there is none.
        shift: of fast preparation; None where it was not asked for, or nothing was answered.
        pace: what was measured here.
        estimates: how long it would take, this machine first.
        slowest: the stage that holds a run up; None where there is little to go by.
        advice: what would help there; empty where nobody knows.
    """

    listing: Listing
    model: ModelFacts
    probe: Probe | None = None
    shift: ScoreShift | None = None
    pace: Pace = Pace(0.0, 0.0)
    estimates: tuple[Estimate, ...] = ()
    slowest: Slowest | None = None
    advice: str = ""

    @property
    def expected_errors(self) -> float:
        """Error rows that are likely: those of the listing, and the probe's share of the others."""
        expected = float(sum(self.listing.failures.values()))
        if self.probe is not None:
            others = self.listing.references - expected
            expected += others * (1 - self.probe.ok / self.probe.images)
        return expected


def describe_plan(plan: Plan) -> dict[str, Any]:
    """A plan in JSON's types."""
    listing, model = plan.listing, dataclasses.asdict(plan.model)
    labels = model.pop("labels")
    return {
        "listing": {
            "references": listing.references,
            "images": listing.images,
            "size_bytes": listing.size_bytes,
            "without_size": listing.unsized,
            "scored": listing.scored,
            "skipped": listing.skipped,
            "duplicates": listing.duplicates,
            "failures": _name_counts(listing.failures),
            "suffixes": [
                {"suffix": suffix, **_describe_suffix(each)}
                for suffix, each in listing.suffixes.items()
            ],
            "passed_over": listing.passed_over.to_json(),
            "elapsed_s": listing.elapsed_s,
        },
        "model": {**model, "labels": len(labels), "first_labels": list(labels[:_SHOWN_LABELS])},
        "probe": None if plan.probe is None else _describe_probe(plan.probe),
        "shift": plan.shift and dataclasses.asdict(plan.shift),
        "expected_errors": plan.expected_errors,
        "pace": dataclasses.asdict(plan.pace),
        "estimates": [_describe_estimate(each) for each in plan.estimates],
        "slowest_stage": None if plan.slowest is None else str(plan.slowest.stage),
        "advice": plan.advice,
    }


def _describe_suffix(counted: Any) -> dict[str, int]:  # noqa: ANN401  `SuffixCount`
    found = dataclasses.asdict(counted)
    return {
        "images": found["images"],
        "size_bytes": found["size_bytes"],
        "without_size": found["unsized"],
    }


def _describe_probe(probe: Probe) -> dict[str, Any]:
    spreads = {name: getattr(probe, name) for name in ("width_px", "height_px", "size_bytes")}
    return {
        "images": probe.images,
        "ok": probe.ok,
        **{name: each and dataclasses.asdict(each) for name, each in spreads.items()},
        "formats": _name_counts(probe.formats),
        "modes": _name_counts(probe.modes),
        "errors": [
            {"error": name, "count": count, "first_uri": uri, "message": message}
            for name, count in probe.errors.items()
            for uri, message in (probe.first_errors[name],)
        ],
        "images_per_s": {str(each.stage): each.images_per_s for each in probe.rates},
        "input_px": None if probe.input_px is None else list(probe.input_px),
    }


def _name_counts(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"name": name, "count": count} for name, count in counts.items()]


def _describe_estimate(each: Estimate) -> dict[str, Any]:
    return {
        "where": each.where,
        "workers": each.workers,
        "start_s": each.start_s,
        "listing_s": each.listing_s,
        "steady_s": list(each.steady_s),
        "total_s": list(each.total_s),
        "images_per_s": each.images_per_s and list(each.images_per_s),
        "cost": each.cost and list(each.cost),
        "basis": each.basis,
    }
