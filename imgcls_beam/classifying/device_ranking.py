"""Logits → the best classes, on the device that has them. Heavy: imports torch.

Classes come in the order of the host's `ranking`. They are chosen by their logits, which are the
same bits there; equal ones stand in the order of their index. Where two neighbours are not equal,
but so close that rounding on the host might make their scores equal, the image is not clear, and
the host is left to rank it. So are images with scores that vanish, and with logits that are NaN.
"""

from collections.abc import Sequence

import torch

from imgcls_beam.classifying.protocol import Best, RankSpec
from imgcls_beam.spec import FunctionToApply

_ROUNDING = 1e-6
"""Of two scores on the host, relative: NumPy's exp is wrong by 2.5 units in the last place at most,
3e-7, and what follows by one."""

_DEPTH_ROUNDING = 3e-7
"""And for each unit that a logit lies below the largest: the host subtracts in float32."""

_LEAST_SCORE = 1e-30
"""Below it float32 soon has fewer digits."""


def rank_logits(logits: torch.Tensor, wanted: RankSpec) -> torch.Tensor:
    """The best classes of each image, in one tensor, for one copy.

    Args:
        logits: float32 (N, C).
        wanted: the activation, and how many of C classes.

    Returns:
        float64 (N, 1 + 2 K), K as many as are wanted, two at least, C at most: whether the image is
        clear, the classes, and their scores rounded to float32, best first.
    """
    count = min(max(wanted.top_k, 2), logits.shape[1])  # the margin is of two
    classes = _find_best(logits + 0.0, count)  # of the two zeros, which are equal, one
    best = logits.gather(1, classes)
    # Behind the last one: what is equal to it stands behind it on the host too.
    behind = logits.masked_fill(logits >= best[:, -1:], -torch.inf).amax(dim=1, keepdim=True)
    ranked = torch.cat([best, behind], dim=1).to(torch.float64)
    scores = _apply_function(ranked, logits.to(torch.float64), wanted.function_to_apply)
    is_clear = torch.isfinite(logits).all(dim=1) & _are_apart(ranked, scores, wanted)
    packed = (is_clear[:, None], classes, scores[:, :-1].to(torch.float32))
    return torch.cat([each.to(torch.float64) for each in packed], dim=1)


def _find_best(logits: torch.Tensor, count: int) -> torch.Tensor:
    """Classes by their logits, int64 (N, count).

    topk promises no order of ties. So it is given numbers of which none are equal: the bits of a
    logit, as an integer that is ordered as the logits are, and then the class, from the last.
    """
    bits = logits.contiguous().view(torch.int32)
    ordered = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).to(torch.int64)
    last = logits.shape[1] - 1
    from_last = torch.arange(last, -1, -1, device=logits.device)
    keys = ordered * (last + 1) + from_last
    return last - keys.topk(count, dim=1).values.remainder(last + 1)


def _apply_function(
    ranked: torch.Tensor, logits: torch.Tensor, function: FunctionToApply
) -> torch.Tensor:
    """Scores of some logits (N, K), in float64, of all of them (N, C)."""
    if function == "none":
        return ranked
    if function == "sigmoid":
        return torch.sigmoid(ranked)
    largest = logits.amax(dim=1, keepdim=True)
    return torch.exp(ranked - largest) / torch.exp(logits - largest).sum(dim=1, keepdim=True)


def _are_apart(ranked: torch.Tensor, scores: torch.Tensor, wanted: RankSpec) -> torch.Tensor:
    """Whether rounding can change the order of no two neighbours, bool (N,)."""
    if wanted.function_to_apply == "none":
        return torch.ones_like(ranked[:, 0], dtype=torch.bool)
    upper, lower = scores[:, :-1], scores[:, 1:]
    are_equal = ranked[:, :-1] == ranked[:, 1:]
    depth = ranked[:, :1] - ranked[:, :-1] if wanted.function_to_apply == "softmax" else 0.0
    rounding = upper * (_ROUNDING + _DEPTH_ROUNDING * depth)
    are_apart = (upper - lower > rounding) & (upper >= _LEAST_SCORE)
    return (are_equal | are_apart).all(dim=1)


def unpack(packed: Sequence[Sequence[float]], wanted: RankSpec) -> list[Best | None]:
    """What `rank_logits` gave, as rows of numbers; None for images that are not clear."""
    return [_unpack_one(row, wanted) if row[0] else None for row in packed]


def _unpack_one(row: Sequence[float], wanted: RankSpec) -> Best:
    count = len(row) // 2
    scores = tuple(row[1 + count :])
    margin = scores[0] - scores[1] if count > 1 else None
    classes = tuple(map(int, row[1 : 1 + min(count, wanted.top_k)]))
    return Best(classes, scores[: len(classes)], margin, wanted)
