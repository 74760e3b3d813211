"""The ways in which people write down a model of the hub."""

import re

import pytest

from imgcls_beam.errors import ConfigError
from imgcls_beam.models.spellings import HubModel, read_spelling

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SPELLINGS = {
    "google/vit": ("google/vit", None),
    "google/vit/": ("google/vit", None),
    " google/vit ": ("google/vit", None),
    "google/vit@v1.0": ("google/vit", "v1.0"),
    "google/vit@refs/pr/3": ("google/vit", "refs/pr/3"),
    f"google/vit@{COMMIT}": ("google/vit", COMMIT),
    "gpt2": ("gpt2", None),
    "hf-hub:timm/resnet50.a1_in1k": ("timm/resnet50.a1_in1k", None),
    "hf_hub:timm/resnet50.a1_in1k@main": ("timm/resnet50.a1_in1k", "main"),
    "https://huggingface.co/google/vit": ("google/vit", None),
    "https://huggingface.co/google/vit/": ("google/vit", None),
    "http://hf.co/google/vit": ("google/vit", None),
    "huggingface.co/google/vit": ("google/vit", None),
    "https://huggingface.co/google/vit.git": ("google/vit", None),
    "https://huggingface.co/google/vit?library=transformers#usage": ("google/vit", None),
    "https://huggingface.co/google/vit/tree/main": ("google/vit", "main"),
    "https://huggingface.co/google/vit/blob/v2/config.json": ("google/vit", "v2"),
    "https://huggingface.co/google/vit/tree/refs%2Fpr%2F3": ("google/vit", "refs/pr/3"),
    f"https://huggingface.co/google/vit/commit/{COMMIT}": ("google/vit", COMMIT),
}


@pytest.mark.parametrize("spelled", SPELLINGS)
def test_the_ways_to_write_down_a_hub_model_are_one(spelled: str) -> None:
    model, revision = SPELLINGS[spelled]
    assert read_spelling(spelled, None) == HubModel(model, revision)
    assert read_spelling(spelled, revision) == HubModel(model, revision)
    if revision is not None:
        with pytest.raises(ConfigError, match=f"asks for {revision}; give one of them"):
            read_spelling(spelled, "another")


@pytest.mark.parametrize(
    ("spelled", "words"),
    [
        ("https://huggingface.co/datasets/beans", "owner/name"),
        ("https://huggingface.co/google", "owner/name"),
        ("https://huggingface.co/google/vit/discussions/3", "write google/vit"),
        ("https://huggingface.co/google/vit/tree/main/onnx", "a folder inside a hub model"),
        ("google/vit@", "owner/name@revision"),
        ("google/vit:v1", "owner/name@revision"),
    ],
)
def test_other_spellings_are_told_what_to_write(spelled: str, words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        read_spelling(spelled, None)
