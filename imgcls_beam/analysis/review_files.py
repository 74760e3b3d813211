"""The images to be labelled, as a table and as labelling tools read them.

Formats, as their documentation and importers have them (November 2026):
    CSV          a head, a line an image; the column `truth` is empty and to be filled in
    Label Studio its basic JSON: tasks with `data`, and `predictions` of type `choices`
    FiftyOne     FiftyOneImageClassificationDataset: `data.json` and `labels.json` in a folder

`truth_files` reads back what comes out of each.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from imgcls_beam.analysis.reviewing import ReviewImage
from imgcls_beam.analysis.truth_files import PREDICTED, TRUTH_COLUMN, URI_COLUMN, disarm
from imgcls_beam.errors import ConfigError
from imgcls_beam.stores import Folder, join_url, open_parent, refuse_store_faults

_HEAD = (URI_COLUMN, TRUTH_COLUMN, "label", "score", "margin", "reason", "other_label", "error")
_FILE = "file://"
_PLACE = 6
"""Digits of an image's id in FiftyOne's files: its importer takes what follows a dot for a suffix,
so a URI would be none."""

Files = dict[str, str]
"""The text of each file, by its path or URL."""


def make_csv(url: str, images: Sequence[ReviewImage], model_key: str) -> Files:
    """A table, with a mark by which spreadsheets know UTF-8; no cell of it is a formula."""
    del model_key  # a table has it in its name, if at all
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_HEAD)
    for each in images:
        cells = (
            *(each.image_uri, "", each.label, each.score, each.margin),
            *(str(each.reason), each.other_label, each.error),
        )
        writer.writerow([disarm(cell) if isinstance(cell, str) else cell for cell in cells])
    return {url: "\ufeff" + text.getvalue()}


def make_label_studio(url: str, images: Sequence[ReviewImage], model_key: str) -> Files:
    """Tasks, each with the model's label as a prediction where it has one.

    The labelling configuration has an `<Image name="image" value="$image"/>`, and
    `<Choices name="label" toName="image">`.
    """
    return {url: _dump([_make_task(each, model_key) for each in images])}


def make_fiftyone(url: str, images: Sequence[ReviewImage], model_key: str) -> Files:
    """A folder: the images' paths by id, and the model's label of each; null where it failed."""
    ids = [f"{index:0{_PLACE}d}" for index in range(len(images))]
    paths = {key: each.image_uri.removeprefix(_FILE) for key, each in zip(ids, images, strict=True)}
    labels = {key: each.label for key, each in zip(ids, images, strict=True)}
    named = {PREDICTED: model_key, "labels": labels}
    return {join_url(url, "data.json"): _dump(paths), join_url(url, "labels.json"): _dump(named)}


FORMATS: dict[str, Callable[[str, Sequence[ReviewImage], str], Files]] = {
    "csv": make_csv,
    "label_studio": make_label_studio,
    "fiftyone": make_fiftyone,
}


def write_files(every: Mapping[str, Files]) -> None:
    """Writes new files, once it is known that none of them is there.

    Args:
        every: by the option that names them.

    Raises:
        ConfigError: one is there already, which may hold somebody's work; two are one; or one
            cannot be written.
    """
    places: dict[str, tuple[Folder, str]] = {}
    for option, files in every.items():
        for url in files:
            folder, name = open_parent(option, url)
            if folder.url_of(name) in places:
                raise ConfigError(option, url, "two of the files would be this one; name another")
            with refuse_store_faults(option, url):
                if folder.find_size(name) is not None:
                    problem = "it is there, and may hold somebody's labels; give another name"
                    raise ConfigError(option, url, problem)
            places[folder.url_of(name)] = folder, name
    texts = [text for files in every.values() for text in files.values()]
    for (folder, name), text in zip(places.values(), texts, strict=True):
        with folder.refuse_unwritable():
            folder.write(name, text.encode("utf-8", "replace"))


def _make_task(image: ReviewImage, model_key: str) -> dict[str, Any]:
    data = {"image": image.image_uri, URI_COLUMN: image.image_uri, "reason": image.reason}
    task: dict[str, Any] = {"data": data | ({"error": image.error} if image.error else {})}
    if image.label is not None:
        chosen = {
            "from_name": "label",
            "to_name": "image",
            "type": "choices",
            "value": {"choices": [image.label]},
        }
        predicted = {"model_version": model_key, "score": image.score, "result": [chosen]}
        task["predictions"] = [predicted]
    return task


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
