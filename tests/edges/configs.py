"""Models: labels, the rule, weights, config, processor."""

import functools
from collections.abc import Callable

from tests.edges.case import ANSWERS, OTHER, Answer, Difference, table
from tests.models import LABELS
from tests.pictures import encode
from tests.scenes import draw_photo

MISSING_LABELS = Difference(
    "Ids without a label",
    "An id that has no label is called LABEL_<id>, and the labels that there are stay. The "
    "reference fails at the first image, or forgets them all.",
)
TEXT_LABELS = Difference(
    "Labels that are not text",
    "The task's labels are text. A number is written as text; a model whose label is anything "
    "else, or that has two for one id, is refused. The reference passes on what the config holds.",
)
AT_RANDOM = Difference(
    "Models that would answer at random",
    "A model that reads weights which are missing or not finite, or whose processor divides by "
    "zero, would answer at random, or not with numbers. It is refused before the first image; the "
    "reference draws missing weights by lot, with a warning.",
)
OLD_NAME = Difference(
    "Feature extractors",
    "Many repositories of the hub name a feature extractor of transformers 4. The image processor "
    "that took its place has the same settings and is used; the reference does not load them.",
)
FLOAT32 = Difference(
    "Half precision on the CPU",
    "On the CPU a model of half precision runs in float32; the reference runs it as it is stored. "
    "`--dtype` gives the reference's scores.",
)

_labels = table("labels")
_rule = table("activation")
_weights = table("weights")
_random = table("weights", ours="ModelError", difference=AT_RANDOM)
_config = table("config")
_processor = table("processor")


def _is_text(answer: Answer) -> bool:
    return all(isinstance(each["label"], str) for each in answer)


def _begins(text: str) -> Callable[[Answer], bool]:
    return lambda answer: all(each["label"].startswith(text) for each in answer)


_OWN_SIZE = functools.partial(encode, draw_photo(3, (32, 32)), "PNG")
_ALL = {"top_k": LABELS}

LABEL_CASES = (
    _labels("none, but their number", model="a number of labels only", shows=_begins("LABEL_")),
    _labels("null", model="labels are null", shows=_begins("LABEL_")),
    _labels("no label2id", model="no label2id", shows=_begins("name ")),
    _labels("label2id whose values are text", model="label2id of text", shows=_begins("name ")),
    _labels("label2id of other labels", model="label2id of others", shows=_begins("name ")),
    _labels("ids in another order", model="in another order"),
    _labels("ids of two digits", model="keys of two digits"),
    _labels(
        "fewer than their number",
        ours=OTHER,
        difference=MISSING_LABELS,
        model="too few labels, and a number",
        parameters=_ALL,
        shows=lambda answer: {"name 0", "LABEL_9"} <= {each["label"] for each in answer},
    ),
    _labels("an id twice", ours="ModelError", difference=TEXT_LABELS, model="an id twice"),
    _labels("equal ones", model="equal labels"),
    _labels("empty ones", model="empty labels"),
    _labels("other scripts", model="labels in other scripts"),
    _labels("with commas", model="labels with commas"),
    _labels("of HTML", model="labels of HTML", shows=_begins("<script>")),
    _labels("as formulas", model="labels as formulas", shows=_begins("=HYPERLINK")),
    _labels("with quotes and backslashes", model="labels with quotes"),
    _labels("with line ends", model="labels with line ends", shows=_begins("a\nb\r\n\t")),
    _labels("with NUL", model="labels with NUL"),
    _labels("with half a character", model="labels with half a character"),
    _labels(
        "a gap",
        "KeyError",
        ANSWERS,
        MISSING_LABELS,
        model="a gap",
        parameters=_ALL,
        shows=lambda answer: "LABEL_10" in {each["label"] for each in answer},
    ),
    _labels(
        "counted from one",
        "KeyError",
        ANSWERS,
        MISSING_LABELS,
        model="counted from one",
        parameters=_ALL,
        shows=lambda answer: "LABEL_0" in {each["label"] for each in answer},
    ),
    _labels(
        "numbers",
        ours=OTHER,
        difference=TEXT_LABELS,
        model="labels are numbers",
        shows=_is_text,
    ),
    _labels("null for one", ours="ModelError", difference=TEXT_LABELS, model="one label is null"),
    _labels(
        "a list for one", ours="ModelError", difference=TEXT_LABELS, model="one label is a list"
    ),
    _labels("ids of letters", "ValueError", "ModelError", model="keys of letters"),
    _labels("a list", "AttributeError", "ModelError", model="a list of labels"),
    _labels("none, and no number", "ValueError", "ModelError", model="no labels"),
    _labels("too few", "ValueError", "ModelError", model="too few labels"),
    _labels("too many", "ValueError", "ModelError", model="too many labels"),
)

RULES = (
    _rule("regression", model="regression", shows=lambda answer: answer[0]["score"] > 1),
    _rule("multi-label", model="multi-label"),
    _rule("single-label", model="single-label"),
    _rule("an unknown problem type", model="an unknown problem"),
    _rule("a problem type of null", model="a problem of null"),
    _rule("one label", model="one label", shows=lambda answer: 0.57 < answer[0]["score"] < 0.58),
    _rule(
        "one label, regression",
        model="one label, regression",
        shows=lambda answer: abs(answer[0]["score"] - 0.3) < 1e-6,
    ),
    _rule(
        "one label, softmax",
        model="one label",
        parameters={"function_to_apply": "softmax"},
        shows=lambda answer: answer[0]["score"] == 1,
    ),
    _rule("one label, multi-label", model="one label, multi-label"),
    _rule("two labels", model="two labels"),
    _rule(
        "a request over regression", model="regression", parameters={"function_to_apply": "softmax"}
    ),
    _rule(
        "a request over multi-label", model="multi-label", parameters={"function_to_apply": "none"}
    ),
    _rule("a function in the config", model="a function of its own"),
    _rule("one label, single-label", "ValueError", "ModelError", model="one label, single-label"),
)

WEIGHTS = (
    _random("NaN in the head", model="NaN in the head"),
    _random("infinity in the head", model="infinity in the head"),
    _random("a bias of minus infinity", model="bias of minus infinity"),
    _random("no head", model="no head"),
    _random("no bias of the head", model="no bias of the head"),
    _random("no first layer", model="no first layer"),
    _weights("a head of another size", "ValueError", "ModelError", model="head of another size"),
    _weights("cut", "SafetensorError", "ConfigError", model="cut weights"),
    _weights("an empty file", "SafetensorError", "ConfigError", model="empty weights"),
    _weights("none", "ValueError", "ConfigError", model="no weights"),
    _random("NaN in a norm", model="NaN in a norm"),
    _weights("in two files", model="shards"),
    _weights("in two files, one missing", "ValueError", "ConfigError", model="a shard missing"),
    _weights("pickled code", "UnpicklingError", "ConfigError", model="bin with code"),
    _weights("pickled", model="bin"),
    _weights("a broken pickle beside", model="a broken bin beside"),
    _weights("more than the model has", model="more weights"),
    _weights("float64", model="float64"),
    _weights("float16", ours=OTHER, difference=FLOAT32, model="float16"),
    _weights("bfloat16", ours=OTHER, difference=FLOAT32, model="bfloat16"),
    _weights("float16, asked for", model="float16", options={"dtype": "float16"}),
    _weights("bfloat16, asked for", model="bfloat16", options={"dtype": "bfloat16!"}),
)

CONFIGS = (
    _config("none", "ValueError", "ConfigError", model="no config"),
    _config("broken JSON", "OSError", "ConfigError", model="a broken config"),
    _config("no model type", "ValueError", "ModelError", model="no model type"),
    _config("an unknown model type", "ValueError", "ModelError", model="an unknown model type"),
    _config("a model of text", "ValueError", "ModelError", model="a model of text"),
    _config("another image size", "ValueError", "ModelError", model="another image size"),
    _config("remote code", "ValueError", "ModelError", model="remote code"),
    _config("remote code that is not needed", model="remote code that is not needed"),
    _config("the architecture of a backbone", model="a backbone"),
    _config("no architecture", model="no architecture"),
    _config("dropout", model="dropout"),
    _processor("none", "OSError", "ModelError", model="no processor"),
    _processor("broken JSON", "OSError", "ConfigError", model="a broken processor"),
    _processor("of an old type", "ValueError", ANSWERS, OLD_NAME, model="processor of an old type"),
    _processor("of an unknown type", "ValueError", "ModelError", model="an unknown processor"),
    _processor("of no type", model="processor without a type"),
    _processor("of an old field", model="processor of an old field"),
    _processor("of torchvision", model="processor of torchvision"),
    _processor("another size", "ValueError", "ModelError", model="processor of another size"),
    _processor("a size of zero", "ValueError", "ModelError", model="size of zero"),
    _processor("a size that is a number", model="size of a number"),
    _processor("no rescale", model="no rescale"),
    _processor("no normalise", model="no normalise"),
    _processor("no resample", model="no resample"),
    _processor("resample in words", model="resample in words"),
    _processor("nearest", model="nearest"),
    _processor("Lanczos", model="lanczos"),
    _processor("mean and deviation of one number", model="a scalar mean"),
    _processor("two means", "ValueError", "ModelError", model="two means"),
    _processor(
        "a deviation of 0", ours="ModelError", difference=AT_RANDOM, model="standard deviation of 0"
    ),
    _processor("no resize, an image of the model's size", image=_OWN_SIZE, model="no resize"),
    _processor("no resize", "ValueError", "inference_failed", model="no resize"),
)
