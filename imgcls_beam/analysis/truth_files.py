"""Files of truths: who looked at images writes down what is on them.

::

    CSV          image_uri,truth            as `imgcls review` writes it, filled in
    JSON         {"gs://b/1.jpg": "cat"}
    Label Studio [{"data": {"image": …}, "annotations": [{"result": [{"type": "choices", …}]}]}]
    FiftyOne     {"classes": […], "labels": {id: 0}}, and data.json beside it: {id: path};
                 or the folder of both

A mapping gives labels for other names of them: JSON `{"kitty": "cat"}`, or a CSV whose first column
has the value and whose second has the label.
"""

import contextlib
import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from imgcls_beam.errors import ConfigError
from imgcls_beam.stores import join_url, open_parent, refuse_store_faults, spell_uri

URI_COLUMN, TRUTH_COLUMN = "image_uri", "truth"
FORMULA_MARKS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""
PREDICTED = "predicted_by"
"""In a file of FiftyOne: its labels are those of this model, and no truths."""

_MAX_BYTES = 1 << 30
_DATA_FILE, _LABELS_FILE = "data.json", "labels.json"


def read_mapping(url: str) -> dict[str, str]:
    """Reads a mapping from values to labels or class ids.

    Raises:
        ConfigError: there is no such file, or it is no mapping.
    """
    text = _read_text("truth_mapping", url)
    if _is_json(url, text):
        found = _parse_json("truth_mapping", url, text)
        if isinstance(found, dict):
            return _strip_keys({value: _to_text(label) for value, label in found.items()})
        raise ConfigError("truth_mapping", url, "it is no JSON object of values and labels")
    with _refuse_csv("truth_mapping", url):
        rows = list(csv.reader(io.StringIO(text)))[1:]
    if not rows or any(len(row) < 2 for row in rows if row):
        problem = "it has no lines of two columns below a head: the value, and its label"
        raise ConfigError("truth_mapping", url, problem)
    return _strip_keys({row[0]: _restore(row[1]) for row in rows if row})


def read_truths(url: str) -> dict[str, str]:
    """Reads the label of each image, by URI; images without one are left out.

    Raises:
        ConfigError: there is no such file, it is of no form that is known, or an image has several
            labels.
    """
    url = _find_labels(url)
    text = _read_text("truth_file", url)
    pairs = list(_find_pairs(url, text))
    truths: dict[str, str] = {}
    for uri, label in pairs:
        if not label.strip():
            continue
        uri = _spell(uri)
        if truths.setdefault(uri, label).strip() != label.strip():
            problem = f"it has two labels for {uri}: {truths[uri]!r} and {label!r}"
            raise ConfigError("truth_file", url, problem)
    if not truths:
        raise ConfigError(
            "truth_file", url, f"it has no label for any of its {len(pairs):,} images"
        )
    return truths


def _find_labels(url: str) -> str:
    """The file of labels, where the folder of a data set is given."""
    with refuse_store_faults("truth_file", url):
        folder, name = open_parent("truth_file", url.rstrip("/"))
        try:
            has_labels = folder.find_size(f"{name}/{_LABELS_FILE}") is not None
        except NotADirectoryError:  # a disk says so of a file
            has_labels = False
    return join_url(url, _LABELS_FILE) if has_labels else url


def _find_pairs(url: str, text: str) -> Iterator[tuple[str, str]]:
    if not _is_json(url, text):
        yield from _read_csv(url, text)
        return
    found = _parse_json("truth_file", url, text)
    try:
        if isinstance(found, list):
            yield from _read_label_studio(found)
        elif isinstance(found.get("labels"), dict):
            yield from _read_fiftyone(url, found)
        else:
            yield from ((uri, _to_text(label)) for uri, label in found.items())
    except (AttributeError, KeyError, TypeError, IndexError) as error:
        problem = "it is neither an export of Label Studio nor of FiftyOne, nor URIs and labels"
        raise ConfigError("truth_file", url, problem) from error


def _read_csv(url: str, text: str) -> Iterator[tuple[str, str]]:
    with _refuse_csv("truth_file", url):
        reader = csv.DictReader(io.StringIO(text))
        names, rows = {*(reader.fieldnames or ())}, list(reader)
    if not {URI_COLUMN, TRUTH_COLUMN} <= names:
        problem = f"its head lacks {URI_COLUMN} or {TRUTH_COLUMN}"
        raise ConfigError("truth_file", url, problem)
    for row in rows:
        yield _restore(row[URI_COLUMN] or ""), _restore(row[TRUTH_COLUMN] or "")


@contextlib.contextmanager
def _refuse_csv(option: str, url: str) -> Iterator[None]:
    """Turns what the reader of CSV cannot read into an error about the file."""
    try:
        yield
    except csv.Error as error:
        problem = f"it is no CSV that can be read: {error}; is a quote closed, are its lines ended?"
        raise ConfigError(option, url, problem) from error


def _read_label_studio(tasks: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """The choice of each task: of the last annotation that was not cancelled."""
    for task in tasks:
        data = task["data"]
        uri = data.get(URI_COLUMN) or data["image"]
        done = [each for each in task.get("annotations", ()) if not each.get("was_cancelled")]
        for result in done[-1]["result"] if done else ():
            if result["type"] == "choices":
                yield from ((uri, str(choice)) for choice in result["value"]["choices"])


def _read_fiftyone(url: str, found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The label of each id, by the path that it has; a target is a name, or a class's index."""
    if PREDICTED in found:
        problem = "its labels are the model's; label the images in FiftyOne, and export that"
        raise ConfigError("truth_file", url, problem)
    data_url = open_parent("truth_file", url)[0].url_of(_DATA_FILE)
    paths = _parse_json("truth_file", data_url, _read_text("truth_file", data_url))
    missing = next((key for key in found["labels"] if key not in paths), None)
    if missing is not None:
        raise ConfigError("truth_file", data_url, f"it has no path for {missing!r} of labels.json")
    classes = found.get("classes") or ()
    for key, target in found["labels"].items():
        if isinstance(target, dict):
            target = target["label"]
        is_index = classes and isinstance(target, int)
        yield str(paths[key]), str(classes[target]) if is_index else _to_text(target)


def _read_text(option: str, url: str) -> str:
    with refuse_store_faults(option, url):
        folder, name = open_parent(option, url)
        if (folder.find_size(name) or 0) > _MAX_BYTES:
            raise ConfigError(option, url, f"it is larger than {_MAX_BYTES >> 30} GiB")
        with folder.open_existing(name) as source:
            data = source.read()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(option, url, "it is not UTF-8; save it as that") from error


def _is_json(url: str, text: str) -> bool:
    return url.lower().endswith(".json") or text.lstrip()[:1] in ("{", "[")


def _parse_json(option: str, url: str, text: str) -> Any:  # noqa: ANN401  any value of JSON
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(option, url, "it is not JSON") from error


def _to_text(value: object) -> str:
    return "" if value is None else str(value)


def _strip_keys(mapping: Mapping[str, str]) -> dict[str, str]:
    """The mapping, by its values as they stand and, where nothing else does, without blanks."""
    return {value.strip(): label for value, label in mapping.items()} | dict(mapping)


def disarm(text: str) -> str:
    """A cell of a CSV that no spreadsheet takes for a formula: a quote stands before it."""
    return f"'{text}" if text.startswith(FORMULA_MARKS) else text


def _restore(text: str) -> str:
    """A cell as it was before `disarm`, whatever blanks somebody has put around it."""
    is_armed = text.lstrip().startswith(tuple(f"'{mark}" for mark in FORMULA_MARKS))
    return text.lstrip()[1:] if is_armed else text


def _spell(uri: str) -> str:
    """A URI as rows have it; tools give back paths."""
    try:
        return spell_uri(uri)
    except ValueError:
        return uri
