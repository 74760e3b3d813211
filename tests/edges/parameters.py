"""A request's parameters, and the job's."""

import math
from collections.abc import Callable
from typing import Any

from tests.edges.case import OTHER, Answer, Difference, table
from tests.models import LABELS

ODD_TOP_K = Difference(
    "top_k that is no count",
    "Not a count of 1 or more. The reference hands it to a slice: 0 and false give nothing, -1 all "
    "but the last, true one.",
)
SMALL_LETTERS = Difference(
    "function_to_apply in capitals",
    "The task's schema has three words, in small letters. The reference takes capitals, too.",
)
NOT_OF_THE_TASK = Difference(
    "Parameters that are not of the task",
    "The task knows top_k and function_to_apply. What else the pipeline takes (waiting times, "
    "batch sizes) is the job's affair.",
)
ALL_LABELS = Difference(
    "Every label, in Python",
    "At the handler, None is every label; to the reference it is its default, 5.",
)

_ask = table("parameters")
_both_refuse = table("parameters", reference="TypeError", ours="invalid_request")
_odd = table("parameters", ours="invalid_request", difference=ODD_TOP_K)
_unknown = table("parameters", ours="invalid_request", difference=NOT_OF_THE_TASK)
_capital = table("parameters", ours="invalid_request", difference=SMALL_LETTERS)
_job = table("the job's parameters")

_NO_FUNCTIONS: tuple[Any, ...] = ("", " softmax", "relu", "default", True, 0, ["none"], {})


def _has(count: int) -> Callable[[Answer], bool]:
    return lambda answer: len(answer) == count


def _sum_of(answer: Answer) -> float:
    return math.fsum(each["score"] for each in answer)


PARAMETERS = (
    _ask("none", shows=_has(5)),
    _ask("an empty object", parameters={}, shows=_has(5)),
    _ask("top_k of 1", parameters={"top_k": 1}, shows=_has(1)),
    _ask("top_k of 5", parameters={"top_k": 5}, shows=_has(5)),
    _ask("top_k of every label", parameters={"top_k": LABELS}, shows=_has(LABELS)),
    _ask("top_k beyond the labels", parameters={"top_k": 99}, shows=_has(LABELS)),
    _ask("top_k beyond 64 bits", parameters={"top_k": 10**30}, shows=_has(LABELS)),
    _ask("top_k of null", parameters={"top_k": None}, shows=_has(5)),
    _odd("top_k of 0", parameters={"top_k": 0}),
    _odd("top_k of -1", parameters={"top_k": -1}),
    _odd("top_k of -20", parameters={"top_k": -20}),
    _odd("top_k of true", parameters={"top_k": True}),
    _odd("top_k of false", parameters={"top_k": False}),
    _both_refuse("top_k of 1.5", parameters={"top_k": 1.5}),
    _both_refuse("top_k of 3.0", parameters={"top_k": 3.0}),
    _both_refuse("top_k in quotes", parameters={"top_k": "3"}),
    _both_refuse("top_k of all, in a request", parameters={"top_k": "all"}),
    _both_refuse("top_k in a list", parameters={"top_k": [3]}),
    _ask(
        "softmax",
        parameters={"function_to_apply": "softmax", "top_k": LABELS},
        shows=lambda answer: abs(_sum_of(answer) - 1) < 1e-6,
    ),
    _ask(
        "sigmoid",
        parameters={"function_to_apply": "sigmoid", "top_k": LABELS},
        shows=lambda answer: all(0 <= e["score"] <= 1 for e in answer) and _sum_of(answer) > 1.5,
    ),
    _ask(
        "none of the functions",
        parameters={"function_to_apply": "none", "top_k": LABELS},
        shows=lambda answer: any(each["score"] < 0 for each in answer),
    ),
    _ask("a function of null", parameters={"function_to_apply": None}),
    _ask("both of null", parameters={"function_to_apply": None, "top_k": None}, shows=_has(5)),
    _ask("both", parameters={"function_to_apply": "sigmoid", "top_k": 2}, shows=_has(2)),
    _capital("the function SOFTMAX", parameters={"function_to_apply": "SOFTMAX"}),
    _capital("the function Sigmoid", parameters={"function_to_apply": "Sigmoid"}),
    *(
        _both_refuse(
            f"the function {value!r}", "ValueError", parameters={"function_to_apply": value}
        )
        for value in _NO_FUNCTIONS
    ),
    _unknown("timeout", parameters={"timeout": 5}),
    _unknown("batch_size", parameters={"batch_size": 4}),
    _unknown("num_workers", parameters={"num_workers": 0}),
    *(
        _both_refuse(f"the unknown {name}", parameters={name: 3})
        for name in ("topk", "TOP_K", "temperature", "candidate_labels", "images", "inputs", "")
    ),
    *(
        _both_refuse(f"parameters that are {name}", parameters=value)
        for name, value in (
            ("an empty list", []),
            ("a list", ["softmax"]),
            ("text", "softmax"),
            ("a number", 5),
            ("false", False),
        )
    ),
    _job("top_k of 2", options={"top_k": 2}, shows=_has(2)),
    _job("a request over the job", options={"top_k": 2}, parameters={"top_k": 7}, shows=_has(7)),
    _job("a request of null over the job", options={"top_k": 2}, parameters={"top_k": None}),
    _job(
        "each gives one",
        options={"function_to_apply": "sigmoid"},
        parameters={"top_k": 3},
        shows=_has(3),
    ),
    _job(
        "top_k of None",
        ours=OTHER,
        difference=ALL_LABELS,
        options={"top_k": None},
        shows=_has(LABELS),
    ),
    _job("top_k of 0", ours="ConfigError", difference=ODD_TOP_K, options={"top_k": 0}),
    _job("top_k of True", ours="ConfigError", difference=ODD_TOP_K, options={"top_k": True}),
    _job("top_k in quotes", "TypeError", "ConfigError", options={"top_k": "3"}),
    _job(
        "a function in capitals",
        ours="ConfigError",
        difference=SMALL_LETTERS,
        options={"function_to_apply": "SOFTMAX"},
    ),
    _job("an unknown function", "ValueError", "ConfigError", options={"function_to_apply": "relu"}),
)
