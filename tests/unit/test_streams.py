"""A batch over several threads is the batch over one."""

import concurrent.futures
import pathlib
import threading

import pytest
import torch

from imgcls_beam.classifying.core_share import CoreShare
from imgcls_beam.classifying.feeding import Tensors
from imgcls_beam.classifying.streams import Streams


class Pass:
    """Twice each pixel; notes of each share how many images it has, and its threads."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int, str]] = []
        self._turn = threading.Lock()

    def __call__(self, stacked: Tensors) -> torch.Tensor:
        assert torch.is_inference_mode_enabled()
        pixels, mask = stacked["pixel_values"], stacked["mask"]
        name = threading.current_thread().name
        with self._turn:
            self.seen.append((len(pixels), torch.get_num_threads(), name))
        return pixels * 2 * mask


def stack(images: int) -> Tensors:
    pixels = torch.arange(images * 3, dtype=torch.float32).reshape(images, 3)
    return {"pixel_values": pixels, "mask": torch.ones(images, 1, dtype=torch.int64)}


def make_streams(tmp_path: pathlib.Path, cores: int) -> Streams:
    return Streams(CoreShare(tmp_path / "cores", cores))


@pytest.mark.parametrize(
    ("images", "cores", "shares"),
    [
        (1, 1, [(1, 1)]),
        (1, 4, [(1, 4)]),
        (2, 4, [(1, 2), (1, 2)]),
        (3, 2, [(1, 1), (2, 1)]),
        (16, 4, [(4, 1)] * 4),
        (5, 16, [(1, 3)] * 5),
    ],
)
def test_each_share_has_its_threads_and_all_images_come_in_order(
    tmp_path: pathlib.Path, images: int, cores: int, shares: list[tuple[int, int]]
) -> None:
    forward, before = Pass(), torch.get_num_threads()
    found = make_streams(tmp_path, cores).run(forward, stack(images))
    assert torch.equal(found, stack(images)["pixel_values"] * 2)
    assert sorted(each[:2] for each in forward.seen) == sorted(shares)
    assert torch.get_num_threads() == before, "the caller's own number has changed"


def test_its_threads_follow_the_share_and_are_used_again(tmp_path: pathlib.Path) -> None:
    class Share(CoreShare):
        now = 0

        def count(self) -> int:
            return self.now

    share = Share(tmp_path / "cores", 4)
    streams, forward = Streams(share), Pass()
    for share.now in (2, 1, 4, 1):
        streams.run(forward, stack(4))
    assert [each[:2] for each in forward.seen] == [
        *[(2, 1)] * 2,
        (4, 1),
        *[(1, 1)] * 4,
        (4, 1),
    ]


def test_what_a_share_raises_is_raised_when_all_have_ended(tmp_path: pathlib.Path) -> None:
    ended = threading.Event()

    def fail(stacked: Tensors) -> torch.Tensor:
        if float(stacked["pixel_values"][0, 0]) == 0.0:
            raise ValueError("the first share")
        ended.wait(0.05)
        ended.set()
        return stacked["pixel_values"]

    streams = make_streams(tmp_path, 2)
    with pytest.raises(ValueError, match="the first share"):
        streams.run(fail, stack(4))
    assert ended.is_set()
    assert len(streams.run(Pass(), stack(4))) == 4


def test_two_batches_take_turns(tmp_path: pathlib.Path) -> None:
    streams, images = make_streams(tmp_path, 2), threading.Semaphore(0)
    seen: list[int] = []

    def forward(stacked: Tensors) -> torch.Tensor:
        seen.append(int(stacked["pixel_values"][0, 0]) // 2)
        assert images.acquire(timeout=30)
        return stacked["pixel_values"] * 2

    batches = [{"pixel_values": torch.tensor([[2.0 * i], [2.0 * i + 1]])} for i in range(2)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        running = [pool.submit(streams.run, forward, each) for each in batches]
        concurrent.futures.wait(running, 0.2)
        assert len(seen) == 2
        assert len(set(seen)) == 1
        images.release(4)
        assert [each.result(30).tolist() for each in running] == [[[0.0], [2.0]], [[4.0], [6.0]]]
