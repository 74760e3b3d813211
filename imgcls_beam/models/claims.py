"""What a model's settings claim, held against limits before anything is built of them.

`num_labels: 1000000000` makes the library number a billion names, `size: 20000` every image 1.2 GB
of pixels. Both are a line of text, so they are judged as text.
"""

from collections.abc import Iterator, Mapping
from typing import Any

MAX_LABELS = 1_000_000
"""Of a model."""
MAX_COUNT = 10_000_000
"""Any other number of a config.json: the largest vocabularies have 256,000 words."""
MAX_EDGE_PX = 4096
"""Of an image as it enters a model."""

_LABELS = ("num_labels", "num_classes")
_MIN_CROP_RATIO = 0.05
"""Of an image's edge that a crop keeps; it is enlarged by the inverse before that."""
_AREAS = ("max_pixels", "min_pixels")
_KERNELS = "attn_implementation"
_SEED = "seed"


def find_claim(config: Mapping[str, Any], weights_bytes: int) -> str | None:
    """What a config.json claims that cannot be, or would be code of others; None for nothing.

    Args:
        config: its object.
        weights_bytes: of the files that its weights are in; a weight is a byte or more.
    """
    for name, value in _walk(config):
        key = name.rpartition(".")[2]
        if key.endswith(_KERNELS) and isinstance(value, str) and not value.isidentifier():
            return f"{name} of its config.json names code of others, which is never run here"
        if not isinstance(value, int | float) or isinstance(value, bool):
            continue
        if key in _LABELS and value > min(MAX_LABELS, weights_bytes):
            known = f"{MAX_LABELS:,} labels at most" if value > MAX_LABELS else ""
            limit = known or f"its weights have {weights_bytes:,} bytes"
            return f"{name} of its config.json is {value:,}; {limit}"
        if isinstance(value, int) and value > MAX_COUNT and _SEED not in key:
            return f"{name} of its config.json is {value:,}, which no model has"
    pretrained = config.get("pretrained_cfg")
    claim = find_large_size(pretrained) if isinstance(pretrained, dict) else None
    return claim and f"pretrained_cfg.{claim}"


def find_large_size(settings: Mapping[str, Any]) -> str | None:
    """A setting of an image processor that makes images too large; None for none."""
    for name, value in _walk(settings):
        key = name.rpartition(".")[2]
        if not isinstance(value, int | float) or isinstance(value, bool) or key in _LABELS:
            continue
        limit = MAX_EDGE_PX**2 if key in _AREAS else MAX_EDGE_PX
        if value > limit:
            return f"{name} is {value:,}, and images of {limit:,} pixels are the largest here"
        if key == "crop_pct" and 0 < value < _MIN_CROP_RATIO:
            return f"{name} is {value}, and {_MIN_CROP_RATIO} is the smallest here"
    return None


def _walk(settings: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Dotted names and values; of a list of numbers their sum, too, as of layers of each stage."""
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            yield from _walk(value, f"{name}.{key}" if name else str(key))
    elif isinstance(settings, list):
        yield name, sum(each for each in settings if type(each) is int)
        for value in settings:
            yield from _walk(value, name)
    else:
        yield name, settings
