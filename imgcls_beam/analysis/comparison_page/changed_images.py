"""Two runs and their comparison → the facts of its page: the rows that changed are read again."""

from collections.abc import Collection, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from imgcls_beam.analysis.compared_runs import ComparedRuns
from imgcls_beam.analysis.comparing import ChangedPair
from imgcls_beam.analysis.comparison_page.comparison_facts import ComparisonFacts, PairImages
from imgcls_beam.analysis.report_page.kept_rows import COLUMNS, WantedRow, to_images
from imgcls_beam.analysis.report_page.page_facts import Indices, ReportedImage
from imgcls_beam.analysis.run_rows import RunRows

MAX_CHANGED = 2_000
"""Images in a page at the most: of a larger change those of which both sides are the most sure."""
FIRST = 24
_MAX_PAIRS, _PICTURED, _LEAST_PICTURED, _MOST_PICTURED = 24, 240, 4, 24


def gather_changed(run_a: RunRows, run_b: RunRows, compared: ComparedRuns) -> ComparisonFacts:
    """Reads what the page shows of the images with another label.

    Args:
        run_a: as it was compared.
        run_b: the other.
        compared: both, with up to `MAX_CHANGED` flips.

    Raises:
        ConfigError: rows cannot be read.
    """
    flips = compared.comparison.flips[:MAX_CHANGED]
    uris = {flip.image_uri for flip in flips}
    rows_a = _read_rows(run_a, compared.a.model.key, uris)
    rows_b = _read_rows(run_b, compared.b.model.key, uris)
    images = tuple(
        _put_beside(rows_a[flip.image_uri], rows_b[flip.image_uri])
        for flip in flips
        if flip.image_uri in rows_a and flip.image_uri in rows_b
    )
    of_pair: dict[tuple[str, str], list[int]] = {}
    for index, image in enumerate(images):
        of_pair.setdefault((image.label_before or "", image.labels[0].label), []).append(index)
    pairs = compared.comparison.pairs[:_MAX_PAIRS]
    most = min(max(_PICTURED // max(len(pairs), 1), _LEAST_PICTURED), _MOST_PICTURED)
    return ComparisonFacts(
        compared,
        images,
        tuple(_to_pair(pair, of_pair, most) for pair in pairs),
        tuple(range(min(FIRST, len(images)))),
    )


def _read_rows(run: RunRows, model_key: str, uris: Collection[str]) -> dict[str, ReportedImage]:
    """The good rows of some images; of several of one image the first, as they are compared."""
    if not uris:
        return {}
    wanted = pa.array(uris, pa.string())
    found: dict[str, ReportedImage] = {}
    for batch in run.read(COLUMNS, model_key, "ok"):
        is_wanted = pc.is_in(batch["image_uri"], value_set=wanted)
        at = pc.indices_nonzero(is_wanted).to_pylist()
        for image in to_images(batch, list(map(WantedRow, at))):
            found.setdefault(image.uri, image)
    return found


def _put_beside(image_a: ReportedImage, image_b: ReportedImage) -> ReportedImage:
    """B's row with the labels of A's; what A's scores are is A's own."""
    return image_b._replace(
        label_before=image_a.labels[0].label,
        labels_before=image_a.labels,
        had_probabilities=image_a.has_probabilities,
    )


def _to_pair(
    pair: ChangedPair, of_pair: Mapping[tuple[str, str], list[int]], most: int
) -> PairImages:
    on_page: Indices = tuple(of_pair.get((pair.label_a, pair.label_b), ()))
    return PairImages(pair.label_a, pair.label_b, pair.images, on_page, on_page[:most])
