import dataclasses
import datetime
import math
import pickle
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest

from imgcls_beam import options
from imgcls_beam.checks import SCHEMES, scheme_of
from imgcls_beam.errors import ConfigError
from imgcls_beam.model_options import MODEL_FIELDS, ModelKeywords, ModelOptions
from imgcls_beam.options import (
    DecodeOptions,
    InputOptions,
    JobOptions,
    ManifestOptions,
    OutputOptions,
    ReadOptions,
    make_run_id,
)

DAY = datetime.date(2026, 11, 23)
INPUT = InputOptions(("gs://bucket/photos/**", "local/folder"), ("https",), 10, 0.5)
OUTPUT = OutputOptions("out", "r1", DAY, session_id="ab" * 16)


def name_of(value: object) -> str:
    """The same in every process: no address in memory."""
    return getattr(value, "__name__", None) or str(value)


def input_of(**changes: Any) -> InputOptions:
    return InputOptions(**{"inputs": ("gs://bucket",), **changes})


def manifest_of(**changes: Any) -> ManifestOptions:
    return ManifestOptions(**{"url": "gs://bucket/m.csv", **changes})


def output_of(**changes: Any) -> OutputOptions:
    return OutputOptions(**{"output": "out", **changes})


def job_of(**changes: Any) -> JobOptions:
    return JobOptions(**{"input": INPUT, "model": ModelOptions(), "output": OUTPUT, **changes})


GOOD: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (ModelOptions, {}),
    (ModelOptions, {"model": "./models/mine", "revision": "v1.0"}),
    (ModelOptions, {"model": "models/Größe und Form"}),
    (ModelOptions, {"revision": "0123456789abcdef" * 2 + "01234567"}),
    (ModelOptions, {"top_k": 1}),
    (ModelOptions, {"top_k": None}),
    (ModelOptions, {"top_k": 10**6, "batch_size": 1}),
    *((ModelOptions, {"function_to_apply": each}) for each in ("sigmoid", "softmax", "none", None)),
    *((ModelOptions, {"device": each}) for each in ("auto", "cpu", "cuda")),
    *((ModelOptions, {"dtype": each}) for each in ("auto", "float32", "bfloat16", "float16")),
    *((ModelOptions, {"engine": each}) for each in ("auto", "torch", "openvino")),
    (ModelOptions, {"engine": "openvino", "dtype": "bfloat16!", "device": "cpu"}),
    (ModelOptions, {"engine": "torch", "dtype": "float16", "device": "cuda"}),
    *((input_of, {"inputs": (f"{scheme}://bucket/a b/*.jpg",)}) for scheme in SCHEMES),
    (input_of, {"inputs": ("GS://bucket/x",)}),
    (input_of, {"inputs": ("/data/a[1].jpg", "C:/pictures", "~/b", "pictures/äöü 🐈.jpg")}),
    (input_of, {"inputs": ["a", "b"]}),
    (input_of, {"inputs": ("https://example.invalid/",), "allow_schemes": ("https",)}),
    (input_of, {"limit": 1, "sample_ratio": 1}),
    (input_of, {"sample_ratio": 1e-9}),
    (InputOptions, {"requests": ("gs://bucket/r.jsonl", "r/*.jsonl")}),
    (InputOptions, {"manifest": ManifestOptions("m.parquet", image_column="image")}),
    (manifest_of, {"uri_column": "Bild URI", "carry_columns": ("a", "b.c")}),
    (output_of, {"output": None, "jsonl": "gs://bucket/answers.jsonl"}),
    (output_of, {"jsonl": "answers.jsonl"}),
    (ReadOptions, {}),
    (ReadOptions, {"tries": 1, "first_wait_s": 0, "concurrency": 1}),
    (DecodeOptions, {"max_pixels": 1, "max_scans": 1}),
    *((DecodeOptions, {"preprocess": each}) for each in ("exact", "fast")),
    *((DecodeOptions, {"sandbox": each}) for each in ("auto", "require", "off")),
    (output_of, {"output": "gs://bucket/out", "run_id": "2026-11-23.night_1"}),
    (output_of, {"run_id": "r" * 128}),
    (output_of, {"run_id": "7", "run_date": DAY}),
    (job_of, {"max_error_ratio": 0}),
    (job_of, {"max_error_ratio": 1.0}),
]

COUNTS = [0, -1, True, 1.0, 2.5, "5", math.nan]

BAD: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    *((ModelOptions, {"model": each}, "model") for each in ("", "  ", None, 5, "a\nb", "a\x00")),
    *((ModelOptions, {"revision": each}, "revision") for each in ("", "main\r", 7)),
    *((ModelOptions, {"top_k": each}, "top_k") for each in [*COUNTS, "all", [5]]),
    *(
        (ModelOptions, {"function_to_apply": each}, "function_to_apply")
        for each in ("Softmax", "soft", "", "NONE", 1, False, ["none"])
    ),
    *((ModelOptions, {"device": each}, "device") for each in ("cuda:0", "gpu", "", None, ["cpu"])),
    *((ModelOptions, {"dtype": each}, "dtype") for each in ("fp16", "int8", "Float32", None)),
    *((ModelOptions, {"engine": each}, "engine") for each in ("onnx", "OpenVINO", "", None)),
    (ModelOptions, {"engine": "openvino", "device": "cuda"}, "engine"),
    (ModelOptions, {"engine": "openvino", "dtype": "float16"}, "engine"),
    *((ModelOptions, {"batch_size": each}, "batch_size") for each in [*COUNTS, "auto"]),
    *((input_of, {"inputs": (each,)}, "input") for each in ("", " ", None, 5, "a\tb", "a\x7f")),
    *(
        (input_of, {"inputs": ("gs://good", url)}, "input")
        for url in ("http://a/b", "https://a/b", "ftp://a", "github://a", "reference://a", "x://")
    ),
    (input_of, {"inputs": ("http://a",), "allow_schemes": ("https",)}, "input"),
    (input_of, {"inputs": ()}, "input"),
    (input_of, {"inputs": "gs://bucket"}, "input"),
    (input_of, {"inputs": {"gs://bucket": 1}}, "input"),
    *((input_of, {"requests": (each,)}, "requests") for each in ("", None, "http://a", "a\nb")),
    (input_of, {"requests": "gs://bucket/r.jsonl"}, "requests"),
    *((manifest_of, {"url": each}, "input_manifest") for each in ("", None, 5, "a\nb")),
    *((manifest_of, {"uri_column": each}, "uri_column") for each in ("", 5, "a\nb")),
    *((manifest_of, {"image_column": each}, "image_column") for each in ("", 5)),
    (manifest_of, {"image_column": "image", "uri_column": "uri"}, "image_column"),
    (manifest_of, {"carry_columns": "a,b"}, "carry_columns"),
    *((manifest_of, {"carry_columns": (each,)}, "carry_columns") for each in ("", None, 7)),
    *((input_of, {"limit": each}, "limit") for each in COUNTS),
    *(
        (input_of, {"sample_ratio": each}, "sample")
        for each in (0, 0.0, -0.1, 1.1, math.nan, math.inf, "0.5", True, None)
    ),
    *((ReadOptions, {"max_bytes": each}, "max_image_bytes") for each in COUNTS),
    *((ReadOptions, {"tries": each}, "read_tries") for each in COUNTS),
    *((ReadOptions, {"concurrency": each}, "read_concurrency") for each in COUNTS),
    *((ReadOptions, {"batch_bytes": each}, "read_batch_bytes") for each in COUNTS),
    *(
        (ReadOptions, {"first_wait_s": each}, "read_first_wait_s")
        for each in (-0.1, 3601, math.nan, math.inf, "1", True, None)
    ),
    *((DecodeOptions, {"max_pixels": each}, "max_image_pixels") for each in COUNTS),
    *((DecodeOptions, {"max_scans": each}, "max_jpeg_scans") for each in COUNTS),
    *((DecodeOptions, {"max_seconds": each}, "max_image_seconds") for each in COUNTS),
    *((DecodeOptions, {"sandbox": each}, "sandbox") for each in ("", "on", None, True)),
    *((DecodeOptions, {"preprocess": each}, "preprocess") for each in ("", "Fast", None, True)),
    *((output_of, {"output": each}, "output") for each in ("", None, "http://a", "a\nb")),
    *((output_of, {"jsonl": each}, "output_jsonl") for each in ("", 5, "http://a", "a\nb")),
    *(
        (output_of, {"run_id": each}, "run_id")
        for each in ("", "a/b", "..", ".hidden", "-x", "a b", "ä", "r" * 129, "r\n", "r=1", 5)
    ),
    *(
        (output_of, {"run_date": each}, "run_date")
        for each in ("2026-11-23", "today", None, datetime.datetime(2026, 11, 23, 12))
    ),
    *((output_of, {"if_exists": each}, "if_exists") for each in ("merge", "", None, True)),
    *((output_of, {"only": each}, "only") for each in ("old", "", None, True)),
    (output_of, {"if_exists": "replace", "only": "errors"}, "if_exists"),
    (output_of, {"only": "new", "output": None, "jsonl": "a.jsonl"}, "only"),
    *((output_of, {"table": each}, "output_table") for each in ("", "a\nb", 5)),
    *(
        (job_of, {"max_error_ratio": each}, "max_error_ratio")
        for each in (-0.01, 1.01, 5, math.nan, "0.05", True, None)
    ),
]


@pytest.mark.parametrize(("make", "changes"), GOOD, ids=name_of)
def test_a_value_that_is_allowed_is_kept_as_it_is(
    make: Callable[..., Any], changes: dict[str, Any]
) -> None:
    made = make(**changes)
    assert {name: getattr(made, name) for name in changes} == changes


@pytest.mark.parametrize(("make", "changes", "option"), BAD, ids=name_of)
def test_a_value_that_is_not_allowed_is_refused_by_option_and_value(
    make: Callable[..., Any], changes: dict[str, Any], option: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        make(**changes)
    error = refused.value
    assert error.option == option
    assert str(error).startswith(f"{option}={error.value!r}: ")
    given = next(iter(changes.values()))
    culprits = [given, *(given if isinstance(given, tuple) else ())]
    assert any(error.value is each for each in culprits)
    assert any(word in error.problem for word in ("allowed", "give"))


def test_a_manifest_is_read_from_schemes_that_are_allowed() -> None:
    with pytest.raises(ConfigError, match=r"input_manifest='http://a/m\.csv'"):
        InputOptions(manifest=ManifestOptions("http://a/m.csv"))
    allowed = InputOptions(manifest=ManifestOptions("http://a/m.csv"), allow_schemes=("http",))
    assert allowed.inputs == ()


def test_a_scheme_that_is_allowed_for_reading_is_not_one_to_write_to() -> None:
    with pytest.raises(ConfigError, match="output"):
        job_of(input=INPUT, output=OutputOptions("https://example.invalid/out"))


@pytest.mark.parametrize(
    ("url", "scheme"),
    [
        ("gs://b/x", "gs"),
        ("S3://b/x", "s3"),
        ("a+b.c-d://x", "a+b.c-d"),
        ("/tmp/x", "file"),
        ("x", "file"),
        ("C:\\x", "file"),
        ("a/http://x", "file"),
        ("1http://x", "file"),
        ("://x", "file"),
        (" gs://b", "file"),
        ("simplecache::http://x", "file"),
    ],
)
def test_the_scheme_is_what_stands_before_the_first_colon_and_slashes(
    url: str, scheme: str
) -> None:
    assert scheme_of(url) == scheme


EXAMPLES: list[Any] = [
    ModelOptions("a/b", "main", None, "sigmoid", "cpu", "bfloat16", 8),
    INPUT,
    ReadOptions(1, 2, 3.5, 4, 5),
    DecodeOptions(1, 2, "fast"),
    OUTPUT,
    ManifestOptions("m.csv", "uri", None, ("a", "b")),
    job_of(read=ReadOptions(tries=1), max_error_ratio=0.5),
]


def test_every_option_class_has_an_example_here() -> None:
    assert {type(each) for each in EXAMPLES} == {
        each for each in vars(options).values() if dataclasses.is_dataclass(each)
    }


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_options_travel_and_stay_as_they_are(example: Any) -> None:
    twin = pickle.loads(pickle.dumps(example))
    assert twin == example
    assert hash(twin) == hash(example)
    assert not hasattr(example, "__dict__")
    for field in dataclasses.fields(example):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(example, field.name, None)


def test_a_change_of_a_copy_is_checked_too() -> None:
    with pytest.raises(ConfigError, match="top_k=0"):
        dataclasses.replace(ModelOptions(), top_k=0)


def test_run_ids_and_attempts_are_new_each_time_and_allowed() -> None:
    outputs = [OutputOptions("out") for _ in range(50)]
    assert len({each.run_id for each in outputs}) == 50
    assert len({each.session_id for each in outputs}) == 50
    assert OutputOptions("out", make_run_id()).run_id


def test_the_defaults_are_those_of_the_contract() -> None:
    model = ModelOptions()
    assert (model.model, model.top_k) == ("google/vit-base-patch16-224", 5)
    assert (model.function_to_apply, model.device, model.dtype) == (None, "auto", "auto")
    assert job_of().max_error_ratio == 0.05
    assert (OUTPUT.if_exists, input_of().sample_ratio) == ("fail", 1.0)


def test_keywords_are_the_fields_of_the_options() -> None:
    assert ("model", *ModelKeywords.__annotations__) == MODEL_FIELDS
    assert get_type_hints(ModelOptions) == {"model": str, **get_type_hints(ModelKeywords)}
