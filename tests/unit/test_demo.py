"""The demo's pictures are what they say they are, and its model tells them apart."""

import importlib
import io
import json
import pathlib
import sys
from types import ModuleType

import numpy as np
import pytest
from PIL import Image, ImageOps
from transformers import pipeline

ROOT = pathlib.Path(__file__).resolve().parents[2]
FRESH_SEED = 4
MODEL_BYTES_MAX = 2_000_000
IMAGES_BYTES_MAX = 1_500_000
MODEL_FILES = {"README.md", "config.json", "model.safetensors", "preprocessor_config.json"}
LOSSLESS = {"plain", "alpha", "lossless", "bitmap", "greyscale"}


def _demo(name: str) -> ModuleType:
    """A module of demo/, which no wheel carries: found from the repository root."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    return importlib.import_module(f"demo.{name}")


draw = _demo("draw")
make_images = _demo("make_images")
train = _demo("train")
card = _demo("card")
demo_main = _demo("__main__")


@pytest.fixture(scope="module")
def written() -> dict[str, bytes]:
    files: dict[str, bytes] = make_images.demo_files()
    return files


def _committed(pattern: str) -> list[pathlib.Path]:
    return sorted(make_images.IMAGES_DIR.glob(pattern))


def _good() -> list[pathlib.Path]:
    return [path for path in _committed("*") if not path.name.startswith("broken")]


def _encoding(name: str) -> str:
    return pathlib.Path(name).stem.split("-")[2]


def _pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture).astype(np.int16)


# Drawing


@pytest.mark.parametrize("label", draw.LABELS)
def test_a_seed_draws_the_same_picture_again_and_another_seed_another(label: str) -> None:
    first, again, other = (
        draw.draw_picture(label, np.random.default_rng(seed), (90, 70)) for seed in (5, 5, 6)
    )
    assert first.mode == "RGB"
    assert first.size == (90, 70)
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_one_number_as_size_means_a_square_picture() -> None:
    assert draw.draw_picture("star", np.random.default_rng(5), 40).size == (40, 40)


def test_an_unknown_label_is_refused() -> None:
    with pytest.raises(KeyError):
        draw.draw_picture("pentagon", np.random.default_rng(5), 40)


def test_a_numbered_picture_does_not_depend_on_those_before_it() -> None:
    in_turn = [draw.draw_numbered(FRESH_SEED, number) for number in range(12)]
    index, picture = draw.draw_numbered(FRESH_SEED, 11)
    assert (index, picture.tobytes()) == (in_turn[11][0], in_turn[11][1].tobytes())
    assert {index for index, _ in in_turn} == set(range(len(draw.LABELS)))


@pytest.mark.parametrize("label", draw.LABELS)
def test_a_figure_can_be_seen_without_colour(label: str) -> None:
    for seed in range(5):
        grey = draw.draw_picture(label, np.random.default_rng(seed), 96).convert("L")
        low, high = np.percentile(_pixels(grey), (2, 98))
        assert high - low > 0.15 * 255


# Images


def test_there_are_27_good_images_and_3_broken_ones() -> None:
    assert len(_good()) == 27
    assert [path.name for path in _committed("broken-*")] == [
        "broken-empty.png",
        "broken-page.jpg",
        "broken-truncated.jpg",
    ]
    assert sum(path.stat().st_size for path in _committed("*")) < IMAGES_BYTES_MAX


def test_every_label_has_images_named_after_it() -> None:
    assert {path.name.split("-")[0] for path in _good()} == set(draw.LABELS)


def test_the_committed_names_are_those_that_the_script_writes(written: dict[str, bytes]) -> None:
    assert {path.name for path in _committed("*")} == set(written)


@pytest.mark.parametrize("path", _good(), ids=lambda path: path.name)
def test_a_committed_image_is_what_the_script_writes(
    path: pathlib.Path, written: dict[str, bytes]
) -> None:
    with Image.open(path) as committed, Image.open(io.BytesIO(written[path.name])) as fresh:
        assert (fresh.format, fresh.mode, fresh.size) == (
            committed.format,
            committed.mode,
            committed.size,
        )
        if _encoding(path.name) in LOSSLESS:
            # One step of 255: the last bit of a sine may differ from one processor to the next.
            assert np.abs(_pixels(fresh) - _pixels(committed)).max() <= 1


@pytest.mark.parametrize(
    ("encoding", "file_format", "mode"),
    [
        ("baseline", "JPEG", "RGB"),
        ("progressive", "JPEG", "RGB"),
        ("turned", "JPEG", "RGB"),
        ("cmyk", "JPEG", "CMYK"),
        ("plain", "PNG", "RGB"),
        ("palette", "PNG", "P"),
        ("greyscale", "PNG", "L"),
        ("alpha", "PNG", "RGBA"),
        ("lossy", "WEBP", "RGB"),
        ("lossless", "WEBP", "RGB"),
        ("still", "GIF", "P"),
        ("animated", "GIF", "P"),
        ("bitmap", "BMP", "RGB"),
    ],
)
def test_an_encoding_is_the_format_and_mode_it_claims(
    encoding: str, file_format: str, mode: str
) -> None:
    paths = _committed(f"*-{encoding}.*")
    assert paths
    for path in paths:
        with Image.open(path) as image:
            assert (image.format, image.mode) == (file_format, mode)
            assert (getattr(image, "n_frames", 1) > 1) == (encoding == "animated")
            assert bool(image.info.get("progressive")) == (encoding == "progressive")


def test_webp_is_lossless_only_where_the_name_says_so() -> None:
    for path in _committed("*.webp"):
        # The first chunk of a plain WebP file says its coder: "VP8L" lossless, "VP8 " lossy.
        assert (path.read_bytes()[12:16] == b"VP8L") == (_encoding(path.name) == "lossless")


def test_the_turned_image_stands_upright_once_its_exif_is_heeded() -> None:
    (path,) = _committed("*-turned.jpg")
    number = int(path.name.split("-")[1])
    image = make_images.DEMO_IMAGES[number - 1]
    with Image.open(path) as stored:
        assert stored.getexif()[make_images.ORIENTATION_TAG] == 6
        upright = ImageOps.exif_transpose(stored)
    assert upright.size == (image.width_px, image.height_px)
    rng = np.random.default_rng([make_images.IMAGES_SEED, number])
    drawn = draw.draw_picture(image.label, rng, upright.size)
    assert np.abs(_pixels(upright) - _pixels(drawn)).mean() < 10


def test_the_alpha_image_is_partly_see_through_and_whole_below() -> None:
    (path,) = _committed("*-alpha.png")
    with Image.open(path) as image:
        assert image.getchannel("A").getextrema() == make_images.OPACITY_RANGE


@pytest.mark.parametrize("path", _committed("broken-*"), ids=lambda path: path.name)
def test_a_broken_image_cannot_be_read(path: pathlib.Path) -> None:
    with pytest.raises(OSError), Image.open(path) as image:
        image.load()


def test_the_images_are_of_many_sizes_upright_and_level() -> None:
    sizes_px = [Image.open(path).size for path in _good()]
    assert min(map(min, sizes_px)) <= 80
    assert (1024, 768) in sizes_px
    assert any(width < height for width, height in sizes_px)


# Model


def test_the_models_folder_holds_its_four_files_and_is_small() -> None:
    files = list(train.MODEL_DIR.iterdir())
    assert {path.name for path in files} == MODEL_FILES
    assert sum(path.stat().st_size for path in files) < MODEL_BYTES_MAX


def test_the_models_labels_are_those_of_the_drawings() -> None:
    config = json.loads((train.MODEL_DIR / "config.json").read_text(encoding="utf-8"))
    assert tuple(config["id2label"][str(index)] for index in range(10)) == draw.LABELS
    assert config["label2id"] == {label: index for index, label in enumerate(draw.LABELS)}
    assert config["problem_type"] == "single_label_classification"


def test_the_models_image_processor_is_named_without_a_backend() -> None:
    saved = json.loads((train.MODEL_DIR / "preprocessor_config.json").read_text(encoding="utf-8"))
    assert saved["image_processor_type"] == "ViTImageProcessor"
    assert saved["size"] == {"height": 64, "width": 64}


def test_the_model_is_right_on_fresh_pictures_of_a_third_seed() -> None:
    measured = train.measure(train.MODEL_DIR, seed=FRESH_SEED, count=200)
    assert measured.accuracy >= card.ACCURACY_MIN, measured.mistakes()


def test_the_hugging_face_pipeline_gets_the_committed_images_right() -> None:
    classify = pipeline("image-classification", model=str(train.MODEL_DIR))
    paths = _good()
    answers = {path.name: classify(str(path))[0]["label"] for path in paths}
    wrong = {name: got for name, got in answers.items() if name.split("-")[0] != got}
    assert len(wrong) <= 1, wrong


@pytest.mark.slow
def test_training_that_falls_short_writes_nothing_over(tmp_path: pathlib.Path) -> None:
    (tmp_path / "config.json").write_text("kept")
    assert train.main(["--steps", "2", "--seed", "9", "--out", str(tmp_path)]) == 1
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"config.json": "kept"}


def test_the_seed_that_the_model_is_measured_on_cannot_be_trained_on() -> None:
    with pytest.raises(SystemExit):
        train.main(["--seed", str(train.MEASURING_SEED)])


@pytest.mark.parametrize(
    ("variables", "is_terminal", "opens"),
    [
        ({"DISPLAY": ":0"}, True, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True, True),
        ({"DISPLAY": ":0"}, False, False),
        ({"DISPLAY": ":0", "CI": "true"}, True, False),
        ({}, True, False),
    ],
)
def test_the_report_is_opened_where_somebody_sees_it(
    variables: dict[str, str], is_terminal: bool, opens: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "CI"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    opened: list[str] = []
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("sys.stdout", io.StringIO())
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal, raising=False)
    monkeypatch.setattr("webbrowser.open", opened.append)
    demo_main._show(pathlib.Path("out") / "r.html")
    assert "out/r.html" in sys.stdout.getvalue()  # type: ignore[attr-defined]
    assert [url.startswith("file:///") for url in opened] == [True] * opens
