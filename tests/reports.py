"""Facts of a run as a report has them, drawn with names and labels that mean no good."""

import base64
import datetime
import io

import pyarrow as pa

from imgcls_beam.analysis.calibration import Calibration, ReliabilityBin
from imgcls_beam.analysis.class_scores import ConfusionCell, LabelScores
from imgcls_beam.analysis.evaluating import Evaluation
from imgcls_beam.analysis.report_page.page_facts import (
    Confusion,
    ErrorGroup,
    LabelChange,
    LabelShare,
    Picture,
    ReportedImage,
    ReportFacts,
    RunChange,
    RunFacts,
    ShownScore,
    TruthFacts,
)
from imgcls_beam.analysis.report_page.score_counts import ScoreCounts
from imgcls_beam.analysis.thresholds import LabelThresholds, ThresholdPoint
from imgcls_beam.summary import count_scores
from tests.scenes import draw_photo

DAY = datetime.date(2026, 11, 26)
HOSTILE = (
    "</script><script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    "{{ 7 * 7 }}{% raw %}",
    "\"'><svg/onload=window.hacked=1>",
    "photo\u202egnp.exe",
    "tab\tnull\x00line\u2028feed\ufeff",
    "https://example.invalid/track.png",
    "javascript:window.hacked=1",
    "\ud800lone",
    "ראשון.jpg",
    "é" * 300,
)
"""As labels, and in names of images."""


def make_run(counts: dict[str, int], run_id: str = "nightly-2026-11-26") -> RunFacts:
    done = datetime.datetime(2026, 11, 26, 3, 4, tzinfo=datetime.UTC)
    models = ("google/vit-base-patch16-224@3f49326eb077",)
    details = (("Engine", "openvino: the fastest here"), ("Rows", HOSTILE[0]))
    return RunFacts(run_id, DAY, done, done, models, counts, 54.2, details)


def make_empty() -> ReportFacts:
    """A run of no image."""
    counts = dict.fromkeys(("listed", "ok", "error", "skipped"), 0)
    return ReportFacts(make_run(counts), (), 0)


def draw_image(index: int, labels: list[str]) -> ReportedImage:
    """Every tenth is an error; scores go round, and are probabilities."""
    name = HOSTILE[index // 7 % len(HOSTILE)] if index % 7 == 0 else f"IMG_{index:05d}.jpg"
    uri = f"gs://bucket/photos/2026/{index % 13:02d}/{index:05d}-{name}"
    if index % 10 == 9:
        return ReportedImage(
            uri, "1", "error", problem="prepare: truncated", message=f"it ends: {HOSTILE[0]}"
        )
    best = 0.5 + (index * 37 % 500) / 1000
    second = (1 - best) * (index % 5) / 5
    label, other = labels[index % len(labels)], labels[(index + 1) % len(labels)]
    scores = (ShownScore(label, best), ShownScore(other, second))
    before = other if index % 31 == 0 else None
    facts = (best - second, "", "", 4032, 3024, 20_000, "JPEG", before)
    return ReportedImage(uri, "1", "ok", scores, *facts, has_probabilities=True)


def draw_facts(count: int = 60) -> ReportFacts:
    """A run of so many images, with every section."""
    labels = ["cat", "dog", "tabby, tabby cat", *HOSTILE]
    images = tuple(draw_image(index, labels) for index in range(count))
    good = [index for index, image in enumerate(images) if image.status == "ok"]
    bad = [index for index, image in enumerate(images) if image.status == "error"]
    flipped = tuple(index for index in good if images[index].label_before)[:12]
    scores = [images[index].labels[0].score for index in good]
    margins = [images[index].margin for index in good]
    return ReportFacts(
        run=make_run({"listed": count, "ok": len(good), "error": len(bad), "skipped": 0}),
        images=images,
        rows=count,
        labels=tuple(_share(label, images, good) for label in labels),
        label_count=len(labels),
        scores=ScoreCounts(count_scores(pa.array(scores))),
        margins=ScoreCounts(count_scores(pa.array(margins))),
        least_certain=tuple(sorted(good, key=lambda index: images[index].margin or 0)[:12]),
        errors=(ErrorGroup("prepare: truncated", len(bad), tuple(bad[:8])),),
        change=RunChange(
            run_id="nightly-2026-11-25",
            run_date=DAY - datetime.timedelta(days=1),
            models=("google/vit-base-patch16-224@3f49326eb077",),
            classified=len(good) + 9,
            compared=len(good),
            flipped=len(flipped),
            flips=(LabelChange("cat", HOSTILE[1], 2), LabelChange(HOSTILE[4], "dog", 1)),
            images=flipped,
            label_index=0.034,
            score_index=0.28,
        ),
        truth=draw_truth(labels, tuple(good[:3])),
    )


def draw_truth(labels: list[str], images: tuple[int, ...]) -> TruthFacts:
    """An evaluation in which the first label is taken for each of the others."""
    scores = tuple(LabelScores(label, 9, 8, 0.8, 0.7, 0.75) for label in labels)
    wrong = [ConfusionCell(labels[0], label, 1) for label in labels[1:]]
    right = [ConfusionCell(label, label, 7) for label in labels]
    point = ThresholdPoint(0.6184, 0.618, 0.9, 0.5, 0.64, 11)
    bins = tuple(ReliabilityBin(n / 5, (n + 1) / 5, 9, n / 5 + 0.1, n / 6) for n in range(5))
    evaluation = Evaluation(
        judged=99,
        without_truth=4,
        unknown_truth=1,
        unknown={HOSTILE[1]: 1},
        statuses={"ok": 104},
        unseen=(),
        top_accuracies=(0.8, 0.9),
        macro=LabelScores("macro", 99, 99, 0.8, 0.7, 0.75),
        weighted=LabelScores("weighted", 99, 99, 0.8, 0.7, 0.75),
        labels=scores,
        confusions=(*right, *wrong),
        calibration=Calibration(0.07, bins),
        thresholds=tuple(LabelThresholds(each, 9, None, point, (point,)) for each in labels[1:]),
    )
    return TruthFacts(
        evaluation, tuple(Confusion(each.truth, each.predicted, images) for each in wrong)
    )


def _share(label: str, images: tuple[ReportedImage, ...], good: list[int]) -> LabelShare:
    own = [index for index in good if images[index].labels[0].label == label]
    mean = sum(images[index].labels[0].score for index in own) / max(len(own), 1)
    return LabelShare(label, len(own), mean, len(own) + 2, tuple(own[:8]), True)


def draw_pictures(facts: ReportFacts, edge_px: int = 48) -> dict[int, Picture]:
    """A picture of each image that has one; of every ninth there is none."""
    drawn = {}
    for index in facts.list_pictured():
        if index % 9 == 0:
            drawn[index] = Picture(problem=f"it is gone: {HOSTILE[1]}")
            continue
        written = io.BytesIO()
        draw_photo(index, (edge_px, edge_px * 3 // 4)).save(written, "JPEG")
        text = base64.b64encode(written.getvalue()).decode()
        drawn[index] = Picture(f"data:image/jpeg;base64,{text}", edge_px, edge_px * 3 // 4)
    return drawn
