"""Folders of pictures, drawn when they are first asked for."""

import dataclasses
import itertools
import os
import pathlib
from typing import Literal

from bench import images

Pictures = Literal["photographs", "large", "many"]
_COMMENT = b"\n# "


@dataclasses.dataclass(slots=True)
class Gallery:
    """The pictures of a benchmark.

    Attributes:
        folder: takes them.
        drawn: how many photographs are drawn; folders of fewer have the first of them.
        large: how many photographs of 12 megapixels.
    """

    folder: pathlib.Path
    drawn: int
    large: int

    def find(self, pictures: Pictures, count: int) -> pathlib.Path:
        """A folder of so many pictures.

        Args:
            pictures: `photographs` of mixed sizes, `large` ones of 12 megapixels, or `many`: the
                photographs over and over, each file of other bytes.
            count: how many.
        """
        found = self.folder / f"{pictures}-{count}"
        if not found.exists():
            sources = self._draw("large" if pictures == "large" else "photographs")
            if pictures == "many":
                _copy(sources, found, count)
            else:
                _link(sources[:count], found)
        return found

    def _draw(self, pictures: Pictures) -> list[pathlib.Path]:
        folder = self.folder / pictures
        if folder.exists():
            return sorted(folder.iterdir())
        draw = images.make_large_images if pictures == "large" else images.make_images
        return draw(folder, self.large if pictures == "large" else self.drawn)


def _link(sources: list[pathlib.Path], folder: pathlib.Path) -> None:
    folder.mkdir()
    for source in sources:
        os.link(source, folder / source.name)


def _copy(sources: list[pathlib.Path], folder: pathlib.Path, count: int) -> None:
    """Copies that end differently: what follows an image's end is in nobody's pixels."""
    folder.mkdir()
    for index, source in enumerate(itertools.islice(itertools.cycle(sources), count)):
        end = _COMMENT + str(index).encode()
        (folder / f"{index:06d}{source.suffix}").write_bytes(source.read_bytes() + end)
