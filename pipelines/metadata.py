"""The flags of `classify` as parameters of a Dataflow Flex Template.

Fields: cloud.google.com/dataflow/docs/reference/rest/v1b3/TemplateMetadata.
"""

import argparse
import json
import typing
from typing import Any

from imgcls_beam.accelerators import ACCELERATORS, GPU_STAGES, NO_GPU
from imgcls_beam.model_options import Device, Dtype, Engine
from imgcls_beam.options import Dedupe, IfExists, Only, Sandbox
from imgcls_beam.scoring import Preprocess, WeightsForm
from imgcls_beam.spec import FunctionToApply

from . import flags, speech

_NAME = "imgcls"
_DESCRIPTION = (
    "Classifies the images of a bucket, manifest or request file with a Hugging Face model: a row "
    "for each image in Parquet and BigQuery, or a response in a file of JSON lines. Give input, "
    "input_manifest or requests, and output, output_table or output_jsonl."
)
CHOICES: dict[str, tuple[str, ...]] = {
    "allow_empty": ("false", "true"),
    "dedupe": typing.get_args(Dedupe),
    "device": typing.get_args(Device),
    "dtype": typing.get_args(Dtype),
    "engine": typing.get_args(Engine),
    "function_to_apply": typing.get_args(FunctionToApply),
    "gpu": (NO_GPU, *ACCELERATORS),
    "gpu_stages": GPU_STAGES,
    "if_exists": typing.get_args(IfExists),
    "only": typing.get_args(Only),
    "preprocess": typing.get_args(Preprocess),
    "sandbox": typing.get_args(Sandbox),
    "weights": typing.get_args(WeightsForm),
}
_NOT_THERE = ("help", "help_all", "report", "dry_run", *speech.NAMES)
"""For somebody at a terminal; a report is refused there, since the program does not wait."""
_NUMBERS = (
    *("limit", "read_concurrency", "max_image_bytes", "max_image_pixels", "max_image_seconds"),
    "file_bytes",
)
BEAM_PARAMETERS = {
    "sdk_container_image": "The template's own image: workers need what the launcher has.",
    "machine_type": "Of the workers, in the place of the one that gpu brings.",
    "disk_size_gb": "Of a worker, in the place of what gpu brings.",
    "number_of_worker_harness_threads": "Of a worker, in the place of what gpu brings.",
    "experiments": "With commas; one of them wins over what gpu brings.",
    "dataflow_service_options": "With commas; one of them wins over what gpu brings.",
}
"""Flags of Beam's that the program has to see itself, and their help. What is in a launch's
environment it may not be told, and `--gpu` would then choose another machine."""


def make_metadata() -> dict[str, Any]:
    """The template's name, description and parameters, as JSON has them."""
    parameters = [_describe(action) for action in list_actions()]
    of_beam = [_to_parameter(name, text) for name, text in BEAM_PARAMETERS.items()]
    return {
        "name": _NAME,
        "description": _DESCRIPTION,
        "parameters": [*parameters, *of_beam],
    }


def render_metadata() -> str:
    """The text of `deploy/metadata.json`."""
    return json.dumps(make_metadata(), indent=2, ensure_ascii=False) + "\n"


def list_actions() -> list[argparse.Action]:
    """The flags of `classify`, without those that a job on Dataflow has no use for."""
    actions = flags.make_parser()._actions
    return [action for action in actions if action.dest not in _NOT_THERE]


def _describe(action: argparse.Action) -> dict[str, Any]:
    described = _to_parameter(action.dest, str(action.help))
    if isinstance(action.default, str):
        described["defaultValue"] = action.default
    if action.dest in CHOICES:
        options = [{"value": value, "label": value} for value in CHOICES[action.dest]]
        return {**described, "paramType": "ENUM", "enumOptions": options}
    if action.dest in _NUMBERS:
        return {**described, "paramType": "NUMBER"}
    return described


def _to_parameter(name: str, text: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.replace("_", " "),
        "helpText": text,
        "isOptional": True,  # which of them go together, the program says before it reads anything
        "paramType": "TEXT",
    }
