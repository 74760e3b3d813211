"""How long a job takes, and what it costs: a start, a listing, then images at a steady pace.

On another machine than this one the pace is an estimate of an estimate, and is given as a range.
"""

import dataclasses

from imgcls_beam.accelerators import ACCELERATORS
from imgcls_beam.board import Progress
from imgcls_beam.classifying.workload import estimate_passes
from imgcls_beam.errors import Stage
from imgcls_beam.planning.listed_counts import Listing
from imgcls_beam.planning.probing import Probe
from imgcls_beam.slowest import Slowest, find_slowest

_MANY_IMAGES = 1_000_000
_HALVES = ("bfloat16", "bfloat16!", "float16")


@dataclasses.dataclass(frozen=True, slots=True)
class Pace:
    """What was measured on this machine.

    Attributes:
        start_s: from the start of the program to the end of a run of one image: imports, the model,
            the graph, the commit.
        image_s: for one image more, with all cores at work.
        reference_s: for one reference more to an image that is predicted already.
    """

    start_s: float
    image_s: float
    reference_s: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Estimate:
    """How long a job takes somewhere.

    Attributes:
        where: in words.
        workers: machines at work.
        start_s: before the first image and after the last.
        listing_s: until everything is listed, by one of them.
        steady_s: the least and the most for all images.
        images_per_s: of all workers, the least and the most, start and listing left out; None
            where there are no images.
        cost: of all workers over the whole time, the least and the most, in the unit of the price;
            None without a price.
        basis: what the figures come from.
    """

    where: str
    workers: int
    start_s: float
    listing_s: float
    steady_s: tuple[float, float]
    images_per_s: tuple[float, float] | None
    cost: tuple[float, float] | None
    basis: str

    @property
    def total_s(self) -> tuple[float, float]:
        """The least and the most for the whole job."""
        before_s = self.start_s + self.listing_s
        return before_s + self.steady_s[0], before_s + self.steady_s[1]


def find_image_s(probe: Probe) -> float:
    """Seconds for an image, from the pace of each stage by itself.

    Images are read beside all else. Where the model is on the CPU its cores prepare images too, one
    after the other; a GPU goes on while they do.
    """
    seconds = {each.stage: 1 / each.images_per_s for each in probe.rates}
    read_s, prepare_s = seconds.get(Stage.READ, 0.0), seconds.get(Stage.PREPARE, 0.0)
    predict_s = seconds.get(Stage.PREDICT, 0.0)
    worked_s = prepare_s + predict_s if probe.is_on_cpu else max(prepare_s, predict_s)
    return max(read_s, worked_s)


def find_slowest_alone(probe: Probe) -> Slowest | None:
    """The stage that would take most of a long run; None where no image was read."""
    seconds = {str(each.stage): _MANY_IMAGES / each.images_per_s for each in probe.rates}
    return find_slowest(Progress(ok=probe.ok, error=probe.images - probe.ok, held_s=seconds))


def estimate_machines(
    listing: Listing, pace: Pace, workers: int, price_per_hour: float | None = None
) -> Estimate:
    """The job on so many machines like this one; 1 is this one."""
    steady_s = _sum_up(listing, pace, pace.image_s) / workers
    basis = "measured here"
    if workers > 1:
        basis = "measured here; the start of the machines is not in it"
    return _finish(
        "this machine" if workers == 1 else f"{workers:,} machines like this one",
        workers,
        (listing, pace, price_per_hour),
        (steady_s, steady_s),
        basis,
    )


_BASIS = "an estimate: {:,.3g} GFLOP an image at a share of the {} TFLOP/s of its data sheet"


def estimate_gpu(
    listing: Listing,
    pace: Pace,
    gpu: str,
    dtype: str,
    work_gflop: float,
    core_prepares_per_s: float | None,
    workers: int = 1,
    price_per_hour: float | None = None,
) -> Estimate:
    """The job on workers of Dataflow with a GPU.

    Its pace is the smaller of what the cores prepare and what the GPU predicts.

    Args:
        listing: what the job lists.
        pace: of this machine, whose start is taken.
        gpu: one of `ACCELERATORS`.
        dtype: of the weights, as the job asks for it.
        work_gflop: of one image, 2 for each multiplication and addition.
        core_prepares_per_s: images that one core of this machine prepares; None where none was.
        workers: machines.
        price_per_hour: of one of them.
    """
    kind = ACCELERATORS[gpu]
    is_half = dtype in _HALVES
    least, most = estimate_passes(kind, work_gflop, is_half=is_half)
    basis = _BASIS.format(work_gflop, kind.half_tflops if is_half else kind.single_tflops)
    if core_prepares_per_s is not None:
        prepares = core_prepares_per_s * kind.cores
        least, most = min(least, prepares), min(most, prepares)
        basis += f"; {kind.cores} cores prepare at most {prepares:,.0f} images/s"
    steady_s = tuple(_sum_up(listing, pace, 1 / rate) / workers for rate in (most, least))
    return _finish(
        f"{'' if workers == 1 else f'{workers:,} × '}{gpu} ({kind.machine_type})",
        workers,
        (listing, pace, price_per_hour),
        (steady_s[0], steady_s[1]),
        f"{basis}; the start of the machine is not in it",
    )


def _sum_up(listing: Listing, pace: Pace, image_s: float) -> float:
    """Seconds of one machine for all images but the one of the start."""
    others = max(0, listing.references - listing.images)
    return max(0, listing.images - 1) * image_s + others * pace.reference_s


def _finish(
    where: str,
    workers: int,
    measured: tuple[Listing, Pace, float | None],
    steady_s: tuple[float, float],
    basis: str,
) -> Estimate:
    listing, pace, price_per_hour = measured
    before_s = pace.start_s + listing.elapsed_s
    hours = [(before_s + each) / 3600 for each in steady_s]
    cost = None
    if price_per_hour is not None:
        cost = (hours[0] * workers * price_per_hour, hours[1] * workers * price_per_hour)
    rates = None
    if steady_s[0] > 0:
        rates = (listing.references / steady_s[1], listing.references / steady_s[0])
    return Estimate(where, workers, pace.start_s, listing.elapsed_s, steady_s, rates, cost, basis)
