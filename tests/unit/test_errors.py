import copy
import pickle

import pytest

from imgcls_beam.errors import (
    STAGE_OF,
    ConfigError,
    FailureCode,
    ImageError,
    ImgclsError,
    ModelError,
    PublishError,
    RowsGoneError,
    RunExistsError,
    Stage,
)
from imgcls_beam.spec import SpecError

ERRORS = [
    ConfigError("top_k", 0, "allowed: 1 or more"),
    ConfigError("input", ("gs://a", None), "allowed: texts"),
    RunExistsError("run_id", "r1", "give another"),
    RowsGoneError("output_table", "p.d.t", "it has 0 of the 3 rows"),
    ModelError("its head is missing"),
    PublishError("3 rows, 4 images"),
    ImageError(FailureCode.EMPTY, "the object has no bytes"),
    ImageError(FailureCode.UNAVAILABLE, "the store did not answer", retryable=True),
    SpecError("parameters.top_k", 0, "1 or more"),
]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_errors_travel_with_type_text_and_attributes(error: Exception) -> None:
    twins = [pickle.loads(pickle.dumps(error, p)) for p in range(pickle.HIGHEST_PROTOCOL + 1)]
    for twin in [*twins, copy.copy(error), copy.deepcopy(error)]:
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)
        assert twin.args == error.args


@pytest.mark.parametrize("error", ERRORS[:-1], ids=repr)
def test_everything_raised_on_purpose_has_one_root(error: Exception) -> None:
    assert isinstance(error, ImgclsError)


def test_a_used_run_id_is_a_wrong_option_to_those_who_catch() -> None:
    assert issubclass(RunExistsError, ConfigError)


def test_an_image_error_is_not_caught_as_a_wrong_option() -> None:
    others = (ConfigError, ModelError, PublishError)
    assert not issubclass(ImageError, others)
    assert not any(issubclass(each, ImageError) for each in others)


@pytest.mark.parametrize(
    ("value", "shown"),
    [("5", "'5'"), (5, "5"), (None, "None"), (True, "True"), ("a\nb", "'a\\nb'"), ((), "()")],
)
def test_a_config_error_says_option_value_and_problem(value: object, shown: str) -> None:
    error = ConfigError("top_k", value, "allowed: 1 or more")
    assert str(error) == f"top_k={shown}: allowed: 1 or more"
    assert (error.option, error.value, error.problem) == ("top_k", value, "allowed: 1 or more")


def test_an_image_error_is_not_worth_another_run_unless_it_says_so() -> None:
    assert not ImageError(FailureCode.EMPTY, "no bytes").retryable
    assert ImageError(FailureCode.UNAVAILABLE, "no answer", retryable=True).retryable


def test_an_image_error_says_code_and_message() -> None:
    assert str(ImageError(FailureCode.TOO_MANY_SCANS, "101 scans")) == "too_many_scans: 101 scans"


def test_every_code_has_a_stage_and_nothing_else_has() -> None:
    assert set(STAGE_OF) == set(FailureCode)
    assert set(STAGE_OF.values()) == {Stage.LIST, Stage.READ, Stage.PREPARE, Stage.PREDICT}


@pytest.mark.parametrize(
    ("stage", "codes"),
    [
        (Stage.LIST, "invalid_reference unlistable"),
        (
            Stage.READ,
            "invalid_request not_found permission_denied archived unavailable too_many_bytes empty "
            "changed unreadable",
        ),
        (
            Stage.PREPARE,
            "not_an_image unsupported truncated corrupt too_many_pixels too_many_scans "
            "too_much_memory timeout crashed "
            "unpreparable",
        ),
        (Stage.PREDICT, "non_finite_score inference_failed out_of_memory"),
    ],
)
def test_the_codes_of_each_stage_are_these(stage: Stage, codes: str) -> None:
    """The list is closed: whoever adds a code changes the contract, and this line."""
    assert {code for code in FailureCode if STAGE_OF[code] is stage} == set(codes.split())
    for code in codes.split():
        assert ImageError(FailureCode(code), "").stage is stage


def test_stages_stand_in_the_order_in_which_an_image_passes_them() -> None:
    assert list(Stage) == ["list", "read", "prepare", "predict", "row", "sink", "publish"]


@pytest.mark.parametrize("word", [*FailureCode, *Stage])
def test_codes_and_stages_are_plain_words_in_text_and_after_travelling(
    word: FailureCode | Stage,
) -> None:
    assert f"{word}" == word.value == word.name.lower()
    assert pickle.loads(pickle.dumps(word)) is word
