"""Images of a report are read again within limits; whatever became of them, the report goes on."""

import base64
import io
import json
import os
import pathlib
import tarfile
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from imgcls_beam.analysis.report_page import picturing
from imgcls_beam.analysis.report_page.page_facts import Picture, ReportedImage, ReportFacts
from imgcls_beam.analysis.report_page.picturing import EDGE_PX, make_pictures
from imgcls_beam.elements import ImageRef
from imgcls_beam.errors import FailureCode, ImageError
from imgcls_beam.listing import list_images
from imgcls_beam.options import DecodeOptions, InputOptions, ManifestOptions
from imgcls_beam.sandbox import draw_all_in_box, draw_in_box
from tests.pictures import encode, exif_block
from tests.reports import make_empty
from tests.scenes import draw_photo, write_broken


def make_facts(*refs: ImageRef) -> ReportFacts:
    """A report that shows these images."""
    images = tuple(
        ReportedImage(ref.uri, ref.version, "ok", size_bytes=ref.size_bytes) for ref in refs
    )
    return ReportFacts(
        make_empty().run, images, len(images), least_certain=tuple(range(len(images)))
    )


def list_refs(**how: Any) -> list[ImageRef]:
    return [each for each in list_images(InputOptions(**how)) if isinstance(each, ImageRef)]


def picture_all(*refs: ImageRef, configuration: dict[str, Any] | None = None) -> list[Picture]:
    made = make_pictures(make_facts(*refs), configuration or {})
    return [made[index] for index in range(len(refs))]


def open_picture(picture: Picture) -> Image.Image:
    head, _, text = picture.data_uri.partition(",")
    assert head == "data:image/jpeg;base64"
    opened = Image.open(io.BytesIO(base64.b64decode(text)))
    assert opened.size == (picture.width_px, picture.height_px)
    return opened


def test_a_photograph_becomes_small_and_upright(tmp_path: pathlib.Path) -> None:
    data = encode(draw_photo(1, (1200, 800)), "JPEG", exif=exif_block(6))
    (tmp_path / "a.jpg").write_bytes(data)
    (picture,) = picture_all(*list_refs(inputs=(str(tmp_path),)))
    assert open_picture(picture).size == (EDGE_PX * 2 // 3, EDGE_PX)
    assert len(picture.data_uri) < 20_000


@pytest.mark.parametrize("edge_px", [289, 380, 400, 500, 576, 577, 800, 4000])
def test_a_jpeg_is_reduced_to_no_less_than_two_thirds_of_the_edge(edge_px: int) -> None:
    for size_px in ((edge_px, edge_px // 2), (edge_px // 2, edge_px)):
        data = encode(draw_photo(3, size_px), "JPEG")
        _, *drawn_px = draw_in_box(data, EDGE_PX, DecodeOptions())
        assert EDGE_PX * 2 // 3 <= max(drawn_px) <= EDGE_PX
        assert abs(min(drawn_px) - max(drawn_px) / 2) <= 1


@pytest.mark.parametrize("size_px", [(1, 1), (20, 10), (3000, 1), (1, 3000), (289, 288)])
def test_small_and_narrow_images_keep_their_ratio(size_px: tuple[int, int]) -> None:
    data = encode(draw_photo(3, size_px), "PNG")
    drawn, *size = draw_in_box(data, EDGE_PX, DecodeOptions())
    assert Image.open(io.BytesIO(drawn)).size == tuple(size)
    scale = min(1, EDGE_PX / max(size_px))
    assert size == [max(1, round(edge * scale)) for edge in size_px]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "AVIF"])
def test_a_picture_is_the_same_whoever_decodes(kind: str) -> None:
    data = encode(draw_photo(4, (700, 500)), kind)
    boxed = draw_in_box(data, EDGE_PX, DecodeOptions())
    assert boxed == draw_in_box(data, EDGE_PX, DecodeOptions(sandbox="off"))


@pytest.mark.parametrize("sandbox", ["auto", "off"])
def test_pictures_that_are_drawn_together_are_those_drawn_alone(sandbox: Any) -> None:
    options = DecodeOptions(max_pixels=1 << 20, sandbox=sandbox)
    kinds = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "AVIF", "BMP")
    images = [encode(draw_photo(seed, (90 * seed, 400)), kinds[seed % 7]) for seed in range(1, 12)]
    images[2:2] = [b"", b"no image", images[0][:99], encode(Image.new("L", (2000, 2000)), "PNG")]
    *together, lone = draw_all_in_box([*images, images[1]], EDGE_PX, options)
    alone = [draw_all_in_box([each], EDGE_PX, options)[0] for each in images]
    assert list(map(describe, together)) == list(map(describe, alone))
    assert lone == draw_in_box(images[1], EDGE_PX, options)
    assert [isinstance(each, ImageError) for each in together[:7]] == [False] * 2 + [True] * 4 + [
        False
    ]
    assert draw_all_in_box([], EDGE_PX, options) == []


def describe(drawn: object) -> object:
    return (drawn.code, drawn.message) if isinstance(drawn, ImageError) else drawn


def test_a_picture_has_the_colours_of_its_image() -> None:
    """A reduced decoding, as of large JPEGs, shows what the whole one does."""
    photo = draw_photo(8, (1600, 1200))
    small = Image.open(io.BytesIO(draw_in_box(encode(photo, "JPEG"), 64, DecodeOptions())[0]))
    expected = photo.resize((64, 48), Image.Resampling.LANCZOS)
    for x, y in ((5, 5), (40, 10), (20, 40), (60, 44)):
        pairs = zip(small.getpixel((x, y)), expected.getpixel((x, y)), strict=True)  # type: ignore[arg-type]
        assert max(abs(one - other) for one, other in pairs) < 24


def test_hostile_and_lost_images_cost_their_picture(tmp_path: pathlib.Path) -> None:
    write_broken(tmp_path, 5)
    for name in ("good", "lost", "other"):
        (tmp_path / f"{name}.jpg").write_bytes(encode(draw_photo(1), "JPEG"))
    bomb = Image.new("L", (9000, 9000))
    (tmp_path / "bomb.png").write_bytes(encode(bomb, "PNG"))
    refs = {pathlib.Path(ref.uri).name: ref for ref in list_refs(inputs=(str(tmp_path),))}
    (tmp_path / "lost.jpg").unlink()
    (tmp_path / "other.jpg").write_bytes(encode(draw_photo(2), "JPEG"))
    os.utime(tmp_path / "other.jpg", (1, 1))
    pictures = dict(zip(refs, picture_all(*refs.values()), strict=True))
    problems = {name: picture.problem for name, picture in pictures.items() if not picture.data_uri}
    assert set(refs) - set(problems) == {"good.jpg"}
    assert problems["lost.jpg"] == "the object is gone"
    assert problems["other.jpg"] == "the object is another one by now"
    assert "9000 × 9000 pixels" in problems["bomb.png"]
    assert all(problems.values())


def test_the_limits_of_the_run_hold(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encode(draw_photo(1, (300, 200)), "JPEG"))
    refs = list_refs(inputs=(str(tmp_path),))
    for limits in ({"read": {"max_bytes": 100}}, {"decode": {"max_pixels": 100}}):
        (picture,) = picture_all(*refs, configuration=limits)
        assert not picture.data_uri
        assert "100" in picture.problem


def test_a_scheme_that_the_run_did_not_allow_is_not_read() -> None:
    (picture,) = picture_all(ImageRef("https://example.invalid/a.jpg", "1"))
    assert "scheme" in picture.problem


def test_images_inside_archives_tables_and_requests_are_found(tmp_path: pathlib.Path) -> None:
    photos = {f"{index}.jpg": encode(draw_photo(index, (40, 30)), "JPEG") for index in range(3)}
    with tarfile.open(tmp_path / "shard.tar", "w") as archive:
        for name, data in photos.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    pq.write_table(pa.table({"image": list(photos.values())}), tmp_path / "part.parquet")
    lines = [json.dumps({"inputs": base64.b64encode(data).decode()}) for data in photos.values()]
    (tmp_path / "asked.jsonl").write_text("\n".join(lines))
    manifest = ManifestOptions(str(tmp_path / "part.parquet"), image_column="image")
    cells = list_refs(manifest=manifest)
    others = list_refs(
        inputs=(str(tmp_path / "shard.tar"),), requests=(str(tmp_path / "asked.jsonl"),)
    )
    assert (len(cells), len(others)) == (3, 6)
    configuration = {"input": {"manifest": {"image_column": "image"}}}
    (tmp_path / "a::b.jpg").write_bytes(photos["0.jpg"])
    (named,) = list_refs(inputs=(str(tmp_path / "a::b.jpg"),))
    for picture in (
        *picture_all(*cells, *others, named, configuration=configuration),
        *picture_all(*others),
    ):
        assert open_picture(picture).size == (40, 30)
    gone = ImageRef(f"file://{tmp_path}/shard.tar::9.jpg", "1")
    lost = ImageRef(f"file://{tmp_path}/lost.tar::9.jpg", "1")
    assert [each.problem for each in picture_all(gone, lost)] == ["it is not found any more"] * 2


def test_pictures_have_a_limit_in_number_and_in_bytes(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(6):
        (tmp_path / f"{index}.jpg").write_bytes(encode(draw_photo(index, (400, 300)), "JPEG"))
    refs = list_refs(inputs=(str(tmp_path),))
    whole = make_pictures(make_facts(*refs), {})
    assert all(picture.data_uri for picture in whole.values())
    room = sum(len(whole[index].data_uri) for index in range(2)) + 10
    some = make_pictures(make_facts(*refs), {}, max_chars=room)
    assert sum(len(picture.data_uri) for picture in some.values()) <= room
    assert [bool(some[index].data_uri) for index in range(2)] == [True, True]
    assert "small" in some[5].problem
    monkeypatch.setattr(picturing, "MAX_PICTURES", 4)
    few = make_pictures(make_facts(*refs), {})
    assert [bool(few[index].data_uri) for index in range(6)] == [True] * 4 + [False] * 2


def test_many_images_are_read_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def read(refs: list[ImageRef], *_: object) -> list[object]:
        sizes.append(len(refs))
        error = ImageError(FailureCode.ARCHIVED, "it is archived")
        from imgcls_beam.elements import Failure

        return [Failure.from_error(ref, error) for ref in refs]

    monkeypatch.setattr(picturing, "read_images", read)
    refs = [ImageRef(f"gs://b/{index}", "1", 8 << 20) for index in range(11)]
    pictures = picture_all(*refs)
    assert sizes == [5, 5, 1]
    assert {picture.problem for picture in pictures} == {"the object is archived"}
