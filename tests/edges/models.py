"""The small models of the table: what each changes in the folder of the plain one."""

import functools

import numpy as np
import torch

from tests.edges.changes import (
    CONFIG,
    HEAD_BIAS,
    HEAD_WEIGHT,
    PROCESSOR,
    WEIGHTS,
    Change,
    cast_weights,
    change_weights,
    cut_weights,
    do_all,
    drop_weights,
    give_logits,
    name_all,
    overflow,
    remove,
    set_config,
    set_labels,
    set_processor,
    set_value,
    to_bin,
    to_bin_with_code,
    to_shards,
    write,
)
from tests.models import LABELS

_NAMES = {str(i): f"name {i}" for i in range(LABELS)}
_NAMES_BUT_THE_LAST = {str(i): f"name {i}" for i in range(LABELS - 1)}
_CROPPED = {"do_center_crop": True, "crop_size": {"height": 32, "width": 32}}
_MINE = {"AutoConfig": "mine.Config", "AutoModelForImageClassification": "mine.Model"}
_STOP = b"raise SystemExit('this ran')"

MODELS: dict[str, Change] = {
    "plain": lambda folder: None,
    # labels
    "no labels": set_config("id2label", "label2id"),
    "a number of labels only": set_config("id2label", "label2id", num_labels=LABELS),
    "labels are null": set_config(id2label=None, label2id=None, num_labels=LABELS),
    "no label2id": set_config("label2id", id2label=_NAMES),
    "label2id of text": set_config(id2label=_NAMES, label2id={v: k for k, v in _NAMES.items()}),
    "label2id of others": set_config(id2label=_NAMES, label2id={"dog": 0}),
    "a gap": set_labels({**_NAMES_BUT_THE_LAST, "42": "far"}),
    "counted from one": set_labels({str(i + 1): f"name {i}" for i in range(LABELS)}),
    "in another order": set_labels(dict(reversed(_NAMES.items()))),
    "keys of two digits": set_labels({f"{i:02}": f"name {i}" for i in range(LABELS)}),
    "an id twice": set_labels({**_NAMES, "010": "twice"}),
    "keys of letters": set_labels({f"k{i}": f"name {i}" for i in range(LABELS)}),
    "too few labels": set_labels({str(i): f"name {i}" for i in range(9)}),
    "too few labels, and a number": set_labels(
        {str(i): f"name {i}" for i in range(9)}, num_labels=LABELS
    ),
    "too many labels": set_labels({str(i): f"name {i}" for i in range(14)}),
    "a list of labels": set_labels(list(_NAMES.values())),
    "labels are numbers": set_labels({str(i): i * 10 for i in range(LABELS)}),
    "one label is null": set_labels({**_NAMES, "10": None}),
    "one label is a list": set_labels({**_NAMES, "10": ["cat", "dog"]}),
    "equal labels": name_all("same"),
    "empty labels": name_all(""),
    "labels in other scripts": name_all("ネコ 😀 é {}"),
    "labels with commas": name_all("tench, Tinca tinca {}"),
    "labels of HTML": name_all("<script>alert({})</script>"),
    "labels as formulas": name_all('=HYPERLINK("http://x/{}")'),
    "labels with quotes": name_all("a 'b' \"c\" \\ {}"),
    "labels with line ends": name_all("a\nb\r\n\t{}"),
    "labels with NUL": name_all("a\0{}"),
    "labels with half a character": name_all("\ud83d {}"),
    # the rule
    "regression": set_config(problem_type="regression"),
    "multi-label": set_config(problem_type="multi_label_classification"),
    "single-label": set_config(problem_type="single_label_classification"),
    "an unknown problem": set_config(problem_type="ranking"),
    "a problem of null": set_config(problem_type=None),
    "one label": give_logits(0.3),
    "one label, regression": give_logits(0.3, problem_type="regression"),
    "one label, single-label": give_logits(0.3, problem_type="single_label_classification"),
    "one label, multi-label": give_logits(0.3, problem_type="multi_label_classification"),
    "two labels": give_logits(0.3, 0.9),
    "a function of its own": set_config(function_to_apply="none"),
    # logits
    "ties": give_logits(1, 2, 2, 2, 0, 2),
    "all equal": give_logits(*[0] * 7),
    "zero and minus zero": give_logits(0.0, -0.0, 0.0),
    "sigmoid saturates": give_logits(90, 100, 200, problem_type="multi_label_classification"),
    "softmax vanishes": give_logits(300, 200, 50, 40),
    "beyond exp": give_logits(1000, 999, -1000),
    "largest float32": give_logits(3.4e38, -3.4e38, 0),
    "subnormal": give_logits(1e-40, 2e-40, 0),
    "one ulp apart": give_logits(1, 1.0000001192092896, 1),
    "a thousand labels": give_logits(*np.linspace(-3, 3, 1000).tolist()),
    "infinite for the photo": overflow(1),
    "minus infinite for the photo": overflow(-1),
    # weights
    "NaN in the head": set_value(HEAD_WEIGHT, float("nan")),
    "infinity in the head": set_value(HEAD_WEIGHT, float("inf")),
    "bias of minus infinity": give_logits(0, float("-inf"), 1),
    "no head": drop_weights("classifier"),
    "no bias of the head": drop_weights(HEAD_BIAS),
    "no first layer": drop_weights("layer.0", "layers.0"),
    "head of another size": change_weights(
        lambda weights: {**weights, HEAD_WEIGHT: torch.zeros(7, 24), HEAD_BIAS: torch.zeros(7)}
    ),
    "more weights": change_weights(lambda weights: {**weights, "pooler.weight": torch.zeros(3, 3)}),
    "cut weights": cut_weights,
    "empty weights": write(WEIGHTS, b""),
    "shards": to_shards,
    "a shard missing": functools.partial(to_shards, missing=1),
    "NaN in a norm": set_value("vit.layernorm.weight", float("nan")),
    "no weights": remove(WEIGHTS),
    "bin": to_bin,
    "bin with code": to_bin_with_code,
    "a broken bin beside": write("pytorch_model.bin", b"rubbish"),
    "float16": cast_weights(torch.float16),
    "bfloat16": cast_weights(torch.bfloat16),
    "float64": cast_weights(torch.float64),
    # config
    "no config": remove(CONFIG),
    "a broken config": write(CONFIG, b"{oops"),
    "no model type": set_config("model_type"),
    "an unknown model type": set_config(model_type="no_such_model"),
    "a model of text": set_config(model_type="bert", architectures=["BertForMaskedLM"]),
    "a backbone": set_config(architectures=["ViTModel"]),
    "no architecture": set_config("architectures"),
    "another image size": set_config(image_size=64),
    "dropout": set_config(hidden_dropout_prob=0.9, attention_probs_dropout_prob=0.9),
    "remote code": do_all(set_config(model_type="mine", auto_map=_MINE), write("mine.py", _STOP)),
    "remote code that is not needed": do_all(set_config(auto_map=_MINE), write("mine.py", _STOP)),
    # processor
    "no processor": remove(PROCESSOR),
    "a broken processor": write(PROCESSOR, b"{oops"),
    "processor without a type": set_processor("image_processor_type"),
    "processor of an old type": set_processor(image_processor_type="ViTFeatureExtractor"),
    "processor of an old field": set_processor(
        "image_processor_type", feature_extractor_type="ViTFeatureExtractor"
    ),
    "processor of torchvision": set_processor(image_processor_type="ViTImageProcessorFast"),
    "an unknown processor": set_processor(image_processor_type="NoSuchImageProcessor"),
    "processor of another size": set_processor(size={"height": 48, "width": 48}),
    "size of a number": set_processor(size=32),
    "size of zero": set_processor(size={"height": 0, "width": 0}),
    "no resize": set_processor(do_resize=False),
    "no rescale": set_processor(do_rescale=False),
    "no normalise": set_processor(do_normalize=False),
    "no resample": set_processor("resample"),
    "resample in words": set_processor(resample="bilinear"),
    "nearest": set_processor(resample=0),
    "lanczos": set_processor(resample=1),
    "a scalar mean": set_processor(image_mean=0.3, image_std=0.2),
    "two means": set_processor(image_mean=[0.5, 0.5]),
    "standard deviation of 0": set_processor(image_std=[0, 0.5, 0.5]),
    "shortest edge": set_processor(size={"shortest_edge": 36}, **_CROPPED),
    "shortest edge, called": set_processor(
        size={"shortest_edge": 36}, do_pad=True, pad_size={"height": 32, "width": 32}, **_CROPPED
    ),
    "crop beyond the image": set_processor(size={"height": 20, "width": 20}, **_CROPPED),
}
