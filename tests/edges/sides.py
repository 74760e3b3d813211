"""Both sides of an edge case, asked."""

import base64
import dataclasses
import io
import json
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

from PIL import Image
from transformers import pipeline

from imgcls_beam.elements import EncodedImage, Failure, ImageRef
from imgcls_beam.errors import ImgclsError
from imgcls_beam.handler import Example, ImageClassificationModelHandler
from imgcls_beam.reading.request_images import open_request
from tests.edges.case import ANSWERS, OTHER, SAME, Answer, EdgeCase
from tests.edges.models import MODELS

TOLERANCE = 1e-5

_SHARED = ("top_k", "function_to_apply", "dtype")
"""Options of the handler that the pipeline has, too."""

Loaded = tuple[ImageClassificationModelHandler, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """What one side did.

    Attributes:
        outcome: `ANSWERS`, a failure's code, or the class of an error.
        answer: labels and scores; empty where there are none.
    """

    outcome: str
    answer: Answer = dataclasses.field(default_factory=list)


class Sides:
    """Loads each model once for each side, and asks it."""

    def __init__(
        self, plain: pathlib.Path, folder: pathlib.Path, places: Mapping[str, str]
    ) -> None:
        """Remembers where things are.

        Args:
            plain: the folder of the model from which the others are made.
            folder: where they are made.
            places: what stands for `FILE`, `BARE_NAME` and `URL`.
        """
        self._plain = plain
        self._folder = folder
        self._places = places
        self._references: dict[str, Any] = {}
        self._handlers: dict[str, Loaded] = {}

    def ask_reference(self, case: EdgeCase) -> Told:
        """Calls transformers' pipeline."""
        try:
            reference = self._load_reference(case)
            given = self._inputs_of(case)
            given = Image.open(io.BytesIO(case.data)) if given is None else given
            answer = reference(given, **({} if case.parameters is None else case.parameters))
        except Exception as error:  # noqa: BLE001  its behaviour, whatever it is
            return Told(type(error).__name__)
        return Told(ANSWERS, answer)

    def ask_ours(self, case: EdgeCase) -> Told:
        """Sends a request line where there is text or a parameter, else the image's bytes."""
        try:
            handler, model = self.load_ours(case)
            answer = handler.run_inference([self._to_example(case)], model)[0].inference
        except ImgclsError as error:
            return Told(type(error).__name__)
        return Told(answer.code) if isinstance(answer, Failure) else Told(ANSWERS, answer)

    def load_ours(self, case: EdgeCase) -> Loaded:
        """The handler and its model.

        Raises:
            ImgclsError: an option is wrong, or the model cannot be loaded.
        """
        key = repr((case.model, case.options))
        if key not in self._handlers:
            folder = str(self._make(case.model))
            handler = ImageClassificationModelHandler(folder, device="cpu", **case.options)
            self._handlers[key] = handler, handler.load_model()
        return self._handlers[key]

    def _load_reference(self, case: EdgeCase) -> Any:
        key = repr((case.model, case.options))
        if key not in self._references:
            # Where it is not told, it asks on standard input whether to run a model's own code.
            self._references[key] = pipeline(
                "image-classification",
                model=str(self._make(case.model)),
                device="cpu",
                trust_remote_code=False,
                **{
                    # `bfloat16!` insists on what a processor only emulates; the reference just does
                    name: each.rstrip("!") if isinstance(each, str) else each
                    for name, each in case.options.items()
                    if name in _SHARED
                },
            )
        return self._references[key]

    def _make(self, name: str) -> pathlib.Path:
        folder = self._folder / name
        if not folder.exists():
            shutil.copytree(self._plain, folder)
            MODELS[name](folder)
        return folder

    def _inputs_of(self, case: EdgeCase) -> Any:
        if not isinstance(case.inputs, str):
            return case.inputs
        text = case.inputs
        for name, place in self._places.items():
            text = text.replace(name, place)
        return text

    def _to_example(self, case: EdgeCase) -> Example:
        if case.inputs is None and case.parameters is None:
            return case.data
        inputs = self._inputs_of(case)
        inputs = base64.b64encode(case.data).decode() if inputs is None else inputs
        line = json.dumps({"inputs": inputs, "parameters": case.parameters}).encode()
        return open_request(EncodedImage(ImageRef("memory://requests.jsonl::0"), line))


def compare(reference: Told, ours: Told) -> str:
    """What ours is, in the words of the table."""
    if ours.outcome != ANSWERS or reference.outcome != ANSWERS:
        return ours.outcome
    return SAME if is_same(reference.answer, ours.answer) else OTHER


def is_same(one: Answer, other: Answer) -> bool:
    """Whether two answers have the same labels in the same order, and scores within `TOLERANCE`."""
    return len(one) == len(other) and all(
        a["label"] == b["label"]
        and abs(a["score"] - b["score"]) <= TOLERANCE * max(1.0, abs(a["score"]))
        for a, b in zip(one, other, strict=True)
    )
