"""What a job would do, found out before it does it: what it has listed, a probe, the estimate.

::

    listing ─▶ Listing ─┬─▶ drawn refs ─▶ probe_images ─▶ Probe
                        └─▶ counts ─▶ estimate ─▶ Estimate

Nothing here writes.
"""

from imgcls_beam.planning.estimating import (
    Estimate,
    Pace,
    estimate_gpu,
    estimate_machines,
    find_slowest_alone,
)
from imgcls_beam.planning.listed_counts import (
    DRAWN_IMAGES,
    Listing,
    SuffixCount,
    count_listing,
)
from imgcls_beam.planning.model_facts import ModelFacts, describe_model, is_form_kept
from imgcls_beam.planning.probing import Probe, Spread, StageRate, probe_images
from imgcls_beam.planning.whole_plan import Plan, ScoreShift, describe_plan

__all__ = [
    "DRAWN_IMAGES",
    "Estimate",
    "Listing",
    "ModelFacts",
    "Pace",
    "Plan",
    "Probe",
    "ScoreShift",
    "Spread",
    "StageRate",
    "SuffixCount",
    "count_listing",
    "describe_model",
    "describe_plan",
    "estimate_gpu",
    "estimate_machines",
    "find_slowest_alone",
    "is_form_kept",
    "probe_images",
]
