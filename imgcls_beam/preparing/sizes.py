"""How large an image becomes: the rules of `transformers`' image processors.

A size is (height, width) in pixels. Each rule rounds as its original does, which is always by `int`
of a product in the original's order: another order gives another pixel here and there.
"""

import dataclasses
from collections.abc import Callable, Iterable

Size = tuple[int, int]
"""(height, width) in pixels."""

CentreRule = Callable[[int], int]
"""An edge's pixels beyond a centre crop → the first of them that the crop keeps. Where the image is
smaller both are negative: how many pixels are added."""

SizeRule = Callable[[Size], Size]
"""An image's size → its size after the resize; an edge may become 0, which no image can have."""

TargetRule = Callable[[Size], Size | None]
"""An image's size → the size to which it is resized first of all; None where every pixel of it is
needed."""

PixelBox = tuple[float, float, float, float]
"""Left, top, right and bottom edge of a part of an image, in its pixels."""


@dataclasses.dataclass(frozen=True, slots=True)
class Extent:
    """What an image shows that may have been reduced.

    Attributes:
        full: its size, upright, before that.
        box: where the picture is in the pixels that there are. The last of each row and column of a
            reduced image stand for pixels of which some may be beyond the picture.
    """

    full: Size
    box: PixelBox

    @classmethod
    def of_whole(cls, size: Size) -> "Extent":
        """Of an image that was not reduced."""
        return cls(size, (0, 0, size[1], size[0]))


@dataclasses.dataclass(frozen=True, slots=True)
class Warp:
    """Every image becomes `size`, whatever its aspect ratio."""

    size: Size

    def __call__(self, size: Size, /) -> Size:
        """The fixed size."""
        return self.size


@dataclasses.dataclass(frozen=True, slots=True)
class ShortestEdge:
    """The shorter edge becomes `edge_px`, the other follows.

    Attributes:
        edge_px: of the shorter edge.
        divisor_px: both edges are rounded up to a multiple of it.
    """

    edge_px: int
    divisor_px: int = 1

    def __call__(self, size: Size, /) -> Size:
        """`get_resize_output_image_size`, and TextNet's rounding."""
        short_px = _round_up(self.edge_px, self.divisor_px)
        long_px = _round_up(int(self.edge_px * max(size) / min(size)), self.divisor_px)
        return (short_px, long_px) if size[1] > size[0] else (long_px, short_px)


@dataclasses.dataclass(frozen=True, slots=True)
class BothEdges:
    """The shorter edge becomes `shortest_px`, or less where the longer would pass `longest_px`."""

    shortest_px: int
    longest_px: int

    def __call__(self, size: Size, /) -> Size:
        """`get_size_with_aspect_ratio`."""
        short_px, long_px = min(size), max(size)
        edge_px, exact_px = self.shortest_px, float(self.shortest_px)
        if long_px / short_px * edge_px > self.longest_px:
            exact_px = self.longest_px * float(short_px) / float(long_px)
            edge_px = round(exact_px)
        if short_px == edge_px:
            return size
        if size[1] < size[0]:
            return int(exact_px * size[0] / size[1]), edge_px
        return edge_px, int(exact_px * size[1] / size[0])


@dataclasses.dataclass(frozen=True, slots=True)
class Within:
    """As large as fits into `limit`, up or down, at the image's own aspect ratio."""

    limit: Size

    def __call__(self, size: Size, /) -> Size:
        """`get_image_size_for_max_height_width`."""
        scale = min(self.limit[0] / size[0], self.limit[1] / size[1])
        return int(size[0] * scale), int(size[1] * scale)


@dataclasses.dataclass(frozen=True, slots=True)
class Thumbnail:
    """Donut's: each edge is cut to `limit`, and then the shorter one follows the longer."""

    limit: Size

    def __call__(self, size: Size, /) -> Size:
        """`DonutImageProcessor.thumbnail`; an image that fits keeps its size."""
        height_px, width_px = min(size[0], self.limit[0]), min(size[1], self.limit[1])
        if (height_px, width_px) == size:
            return size
        if size[0] > size[1]:
            width_px = int(size[1] * height_px / size[0])
        elif size[1] > size[0]:
            height_px = int(size[0] * width_px / size[1])
        return height_px, width_px


@dataclasses.dataclass(frozen=True, slots=True)
class KeepRatio:
    """timm's: the aspect ratio stays, and one edge becomes that of `size`.

    Attributes:
        size: the target.
        longest: 1 where the image shall fit into it, 0 where it shall cover it.
    """

    size: Size
    longest: float

    def __call__(self, size: Size, /) -> Size:
        """`ResizeKeepRatio.get_params`."""
        ratios = size[0] / self.size[0], size[1] / self.size[1]
        ratio = max(ratios) * self.longest + min(ratios) * (1.0 - self.longest)
        return round(size[0] * 1.0 / ratio), round(size[1] * 1.0 / ratio)


def choose_target(rules: Iterable[TargetRule], full: Size) -> Size | None:
    """The largest height and width that one of several models resizes an image to."""
    targets = [rule(full) for rule in rules]
    known = [target for target in targets if target is not None]
    if len(known) < len(targets):
        return None
    return max(height_px for height_px, _ in known), max(width_px for _, width_px in known)


def centre_down(spare_px: int) -> int:
    """As `transformers` finds the middle: half a pixel goes above and to the left."""
    return spare_px // 2


def centre_even(spare_px: int) -> int:
    """As torchvision finds it: half a pixel goes to the even one, or below where some are added."""
    return round(spare_px / 2.0) if spare_px >= 0 else -(-spare_px // 2)


def _round_up(edge_px: int, divisor_px: int) -> int:
    return -(-edge_px // divisor_px) * divisor_px
