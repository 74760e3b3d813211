"""Facts → the values that the template places: words and numbers as they are read."""

from collections.abc import Iterator, Sequence
from typing import Any

from imgcls_beam.analysis.report_page.page_facts import (
    ErrorGroup,
    LabelShare,
    ReportedImage,
    ReportFacts,
    RunChange,
    RunFacts,
)
from imgcls_beam.analysis.report_page.page_text import (
    LABEL_CHARS,
    cut_middle,
    make_visible,
    name_of,
    spell_ratio,
    spell_score,
    spell_time,
)
from imgcls_beam.analysis.report_page.score_values import (
    note_raw,
    spell_best,
    spell_mean,
    to_histogram,
)
from imgcls_beam.analysis.report_page.truth_values import list_truth_values

Values = dict[str, Any]

_NAME_CHARS, _URI_CHARS = 40, 96
_STABLE, _SHIFTED = 0.1, 0.25
"""The usual reading of a population stability index."""


def list_values(facts: ReportFacts) -> Values:
    """Everything that the template names but the pictures."""
    done = sum(share.count for share in facts.labels)
    sheets = [share for share in _list_labels(facts) if share["images"]]
    return {
        "title": make_visible(facts.run.run_id),
        "run": _to_run(facts.run),
        "tiles": list(_list_tiles(facts)),
        "images": ImageValues(facts.images),
        "labels": _list_labels(facts),
        "label_note": _note_labels(facts, done),
        "labels_left": _count_left(facts.label_count - len(sheets), "label", "is not shown here"),
        "sheets": sheets,
        "longest_sheet": max((len(share["images"]) for share in sheets), default=0),
        "scores": to_histogram(facts.scores),
        "margins": to_histogram(facts.margins),
        "least_certain": facts.least_certain,
        "errors": [_to_group(group, facts) for group in facts.errors],
        "truth": None if facts.truth is None else list_truth_values(facts.truth),
        "change": None if facts.change is None else _to_change(facts.change),
        "missing": make_visible(facts.missing),
        "images_note": _note_images(facts),
        "details": [(name, make_visible(value)) for name, value in facts.run.details],
    }


class ImageValues:
    """Values of images, made when they are asked for."""

    def __init__(self, images: Sequence[ReportedImage]) -> None:
        """Makes none.

        Args:
            images: of the page.
        """
        self._images = images

    def __getitem__(self, index: int) -> Values:
        """Those of one image."""
        return _to_image(self._images[index])


def _to_run(run: RunFacts) -> Values:
    return {
        "run_id": make_visible(run.run_id),
        "date": run.run_date.isoformat(),
        "finished": spell_time(run.finished_at),
        "models": [make_visible(model) for model in run.models],
        "errors": f"{run.counts['error']:,}" if run.counts["error"] else "",
    }


def _to_image(image: ReportedImage) -> Values:
    uri = make_visible(image.uri)
    label, second = [*(spell_label(each.label) for each in image.labels[:2]), "", ""][:2]
    return {
        "uri": uri,
        "cut_uri": cut_middle(uri, _URI_CHARS),
        "name": cut_middle(name_of(uri), _NAME_CHARS),
        "status": image.status,
        "label": label,
        "second": second,
        "score": spell_best(image.labels, is_probability=image.has_probabilities),
        "margin": "" if image.margin is None else f"{image.margin:.3f}",
        "problem": make_visible(image.problem),
        "message": make_visible(image.message),
        "before": spell_label(image.label_before or ""),
        "score_before": spell_best(image.labels_before, is_probability=image.had_probabilities),
    }


def spell_label(label: str) -> str:
    """A label as it stands in a page."""
    return cut_middle(make_visible(label), LABEL_CHARS)


def _list_tiles(facts: ReportFacts) -> Iterator[Values]:
    counts, listed = facts.run.counts, facts.run.counts["listed"]
    yield make_tile("Images", f"{listed:,}", "listed in this run")
    yield make_tile("Classified", f"{counts['ok']:,}", spell_ratio(counts["ok"], listed))
    errors = make_tile("Errors", f"{counts['error']:,}", spell_ratio(counts["error"], listed))
    yield errors | {"is_bad": bool(counts["error"])}
    if counts["skipped"]:
        yield make_tile("Skipped", f"{counts['skipped']:,}", "scored by an earlier run")
    yield make_tile("Labels", f"{facts.label_count:,}", "that were a best one")
    total = sum(share.count for share in facts.labels)
    if total:
        mean = sum(share.mean_score * share.count for share in facts.labels) / total
        is_probability = not facts.scores.raw
        value = spell_score(mean, is_probability=is_probability)
        yield make_tile("Mean best score", value, note_raw(facts.scores))
    if facts.run.images_per_s is not None:
        yield make_tile("Images a second", f"{facts.run.images_per_s:,.1f}", "with start-up")


def make_tile(name: str, value: str, note: str) -> Values:
    """A number with its name, and what it means."""
    return {"name": name, "value": value, "note": note, "is_bad": False}


def _list_labels(facts: ReportFacts) -> list[Values]:
    total = max(facts.run.counts["ok"], 1)
    # Of all that it classified, as this run's: also of labels that are not in this table.
    before = 0 if facts.change is None else facts.change.classified
    widest = max((_widths(share, total, before)[0] for share in facts.labels), default=1.0)
    widest = max(widest, *(_widths(share, total, before)[1] or 0 for share in facts.labels), 1e-9)
    return [
        {
            "index": index,
            "text": spell_label(share.label),
            "count": f"{share.count:,}",
            "percent": spell_ratio(share.count, total),
            "mean_score": spell_mean(share),
            "width": _scale(_widths(share, total, before)[0], widest),
            "width_before": _scale(_widths(share, total, before)[1], widest),
            "images": share.images,
        }
        for index, share in enumerate(facts.labels)
    ]


def _widths(share: LabelShare, total: int, before: int) -> tuple[float, float | None]:
    old = share.count_before
    return share.count / total, None if old is None else old / max(before, 1)


def _scale(width: float | None, widest: float) -> float | None:
    return None if width is None else round(100 * width / widest, 2)


def _to_group(group: ErrorGroup, facts: ReportFacts) -> Values:
    left = group.count - len(group.images)
    return {
        "problem": make_visible(group.problem),
        "count": f"{group.count:,}",
        "percent": spell_ratio(group.count, facts.run.counts["listed"]),
        "images": group.images,
        "left": f"… and {left:,} more" if left else "",
    }


def _to_change(change: RunChange) -> Values:
    ratio = spell_ratio(change.flipped, change.compared)
    return {
        "run_id": make_visible(change.run_id),
        "run_date": change.run_date.isoformat(),
        "models": ", ".join(map(make_visible, change.models)),
        "images": change.images,
        "flips": [
            {
                "before": spell_label(flip.before),
                "after": spell_label(flip.after),
                "count": f"{flip.count:,}",
            }
            for flip in change.flips
        ],
        "tiles": [
            make_tile("Images in both", f"{change.compared:,}", "with a prediction in each"),
            make_tile("Another label", f"{change.flipped:,}", ratio),
            make_tile("Label mix", f"{change.label_index:.3f}", _read_index(change.label_index)),
            _make_score_tile(change.score_index),
        ],
        "sample": _note_sample(change.sampled_ratio),
    }


def _make_score_tile(index: float | None) -> Values:
    if index is None:
        return make_tile("Best scores", "–", "not compared: no common function")
    return make_tile("Best scores", f"{index:.3f}", _read_index(index))


def _note_sample(ratio: float) -> str:
    share = spell_ratio(ratio, 1)
    return "" if ratio >= 1 else f"{share} of the images were compared, drawn by chance."


def _read_index(index: float) -> str:
    """How a population stability index is read."""
    words = "stable" if index < _STABLE else "some shift" if index < _SHIFTED else "large shift"
    return f"population stability index: {words}"


def _note_labels(facts: ReportFacts, done: int) -> str:
    left = facts.label_count - len(facts.labels)
    if not left:
        return "How often each label was the best one"
    rows = facts.run.counts["ok"] - done
    return f"The {len(facts.labels):,} most frequent; {left:,} more have {rows:,} images together"


def _count_left(count: int, what: str, rest: str) -> str:
    if count <= 0:
        return ""
    return f"1 more {what} {rest}." if count == 1 else f"{count:,} more {what}s are not shown here."


def _note_images(facts: ReportFacts) -> str:
    if len(facts.images) == facts.rows:
        return "Every row of the run. Pictures are those of the sections above."
    kept = f"{len(facts.images):,} of {facts.rows:,} rows"
    return f"{kept}: all those of the sections above, and others drawn by chance."
