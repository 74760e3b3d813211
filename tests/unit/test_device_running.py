"""A model on a device that has a queue: what comes back, when, and how often the host waits."""

import concurrent.futures
import threading
import types

import numpy as np
import pytest
import torch

from imgcls_beam.classifying import ClassifierCard, RankSpec
from imgcls_beam.classifying.device_running import DeviceRunner
from imgcls_beam.classifying.feeding import Feed
from imgcls_beam.classifying.running import RunningClassifier
from imgcls_beam.elements import ModelInputs
from imgcls_beam.errors import ModelError
from imgcls_beam.scoring import ChannelAffine, EngineChoice
from tests.lanes import LateLane

LABELS = ("cat", "dog", "eel", "fox")
CARD = ClassifierCard(LABELS, "softmax", "cuda:0", "float32", 0)
AFFINE = ChannelAffine((1 / 255,) * 3, (0.0,) * 3)
NAN_LEVEL = 77


class Levels(torch.nn.Module):
    """Logits that follow from the mean of each channel; a level of 77 gives NaN."""

    dtype = torch.float32

    def forward(self, pixel_values: torch.Tensor) -> types.SimpleNamespace:
        assert torch.is_inference_mode_enabled()
        means = pixel_values.mean(dim=(2, 3))
        logits = torch.cat([means * 4, means.sum(dim=1, keepdim=True)], dim=1)
        logits[(means * 255).round()[:, 0] == NAN_LEVEL] = torch.nan
        return types.SimpleNamespace(logits=logits)


def make(
    lane: LateLane, model: torch.nn.Module | None = None
) -> tuple[DeviceRunner, RunningClassifier]:
    feed = Feed(torch.device("cpu"), AFFINE)
    runner = DeviceRunner(EngineChoice("torch", "a test"), model or Levels(), feed, lane)
    return runner, RunningClassifier(CARD, runner, lambda: runner)


def draw(*levels: tuple[int, int, int]) -> list[ModelInputs]:
    return [{"pixel_values": np.full((2, 2, 3), each, np.uint8)} for each in levels]


BATCH = draw((10, 200, 30), (250, 20, 99), (0, 0, 0))


def expect() -> torch.Tensor:
    means = torch.tensor([[10, 200, 30], [250, 20, 99], [0, 0, 0]]) / 255
    return torch.cat([means * 4, means.sum(dim=1, keepdim=True)], dim=1)


def test_logits_come_back_with_one_wait_and_the_time_of_the_device() -> None:
    lane = LateLane()
    found = make(lane)[1].classify(BATCH)
    np.testing.assert_allclose(found.logits, expect().numpy(), atol=1e-6)
    assert (lane.waits, found.elapsed_ms) == (1, 10.0)
    assert found.engine == EngineChoice("torch", "a test")


def test_what_is_ranked_comes_back_alone_with_one_wait() -> None:
    lane = LateLane()
    found = make(lane)[1].rank(BATCH[:2], RankSpec("softmax", 2))
    scores = expect()[:2].softmax(dim=1)
    assert [each and each.classes for each in found.best] == [(1, 3), (0, 2)]
    for best, row in zip(found.best, scores, strict=True):
        assert best is not None
        assert best.scores == pytest.approx([float(row[each]) for each in best.classes], abs=1e-7)
    assert list(found.logits) == [None, None]
    assert [tuple(host.shape) for host, _ in lane.queue] == [(2, 5)]
    assert lane.waits == 1


def test_logits_that_are_wanted_too_come_with_the_same_wait() -> None:
    lane = LateLane()
    found = make(lane)[1].rank(BATCH, RankSpec("softmax", 1, keeps_logits=True))
    np.testing.assert_allclose(np.stack(found.logits), expect().numpy(), atol=1e-6)
    assert [each and each.classes for each in found.best] == [(1,), (0,), (0,)]
    assert lane.waits == 1


def test_only_the_logits_of_images_that_are_not_clear_are_fetched_beside() -> None:
    lane = LateLane()
    found = make(lane)[1].rank([*BATCH, *draw((NAN_LEVEL, 1, 2))], RankSpec("none", 2))
    assert [each is None for each in found.best] == [False, False, False, True]
    assert [each is None for each in found.logits] == [True, True, True, False]
    assert np.isnan(found.logits[3]).all()


def test_passes_are_queued_before_the_first_is_waited_for() -> None:
    lane = LateLane()
    runner, _ = make(lane)
    queued = [runner.queue(runner.stack([each]), RankSpec("none", 1)) for each in BATCH]
    assert lane.waits == 0
    found = [each.wait() for each in reversed(queued)]
    assert [each.best[0] and each.best[0].classes for each in found] == [(0,), (0,), (1,)]


def test_threads_fill_the_queue_while_others_wait_for_it() -> None:
    """Each waits until both have queued: who waited inside its turn would wait for ever."""
    both = threading.Barrier(2)
    _, classifier = make(LateLane(before_wait=lambda: both.wait(timeout=60)))
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        found = list(threads.map(classifier.classify, [BATCH, BATCH]))
    for each in found:
        np.testing.assert_allclose(each.logits, expect().numpy(), atol=1e-6)


def test_a_card_says_that_the_device_ranks() -> None:
    assert make(LateLane())[1].describe().ranks


@pytest.mark.parametrize("wanted", [None, RankSpec("none", 1)])
def test_another_number_of_scores_than_of_labels_is_refused(wanted: RankSpec | None) -> None:
    class Five(Levels):
        def forward(self, pixel_values: torch.Tensor) -> types.SimpleNamespace:
            return types.SimpleNamespace(logits=pixel_values.new_zeros(len(pixel_values), 5))

    _, classifier = make(LateLane(), Five())
    with pytest.raises(ModelError, match=r"scores of shape \(3, 5\) for 4 labels"):
        classifier.rank(BATCH, wanted) if wanted else classifier.classify(BATCH)
