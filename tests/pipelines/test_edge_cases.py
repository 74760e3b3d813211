"""The edge cases: both sides of each are run, and do what the table says.

The table stands in `tests/edges/`.
"""

import collections
import functools
import http.server
import itertools
import json
import pathlib
import threading
from collections.abc import Iterator

import jsonschema
import pytest
import torch
from PIL import Image

from imgcls_beam import Failure
from schemas import load_schema
from tests import pictures
from tests.edges import CASES
from tests.edges.case import ANSWERS, BARE_NAME, FILE, PHOTO, SAME, URL, EdgeCase, encode_photo
from tests.edges.files import GREY_16_LEVELS
from tests.edges.sides import Sides, compare, is_same
from tests.models import LABELS

pytestmark = pytest.mark.slow

BARE = "pictures"
"""Eight letters: a file's name, and base64 of six bytes."""

AT_LEAST = {
    "inputs": 30,
    "formats": 60,
    "no images": 10,
    "damage": 15,
    "orientation": 20,
    "sizes": 10,
    "parameters": 30,
    "the job's parameters": 8,
    "labels": 20,
    "activation": 10,
    "weights": 15,
    "config": 8,
    "processor": 12,
    "outputs": 15,
}


class _PhotoServer(http.server.BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        data = encode_photo()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *words: object) -> None:
        del words


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, list[str]]]:
    """The address of a photo, and the paths that were asked for."""
    asked: list[str] = []
    kind = type("_Server", (_PhotoServer,), {"asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/photo.png", asked
        server.shutdown()


@pytest.fixture(scope="module")
def sides(
    tmp_path_factory: pytest.TempPathFactory,
    vit_folder: pathlib.Path,
    served: tuple[str, list[str]],
) -> Iterator[Sides]:
    root = tmp_path_factory.mktemp("edges")
    for name in ("photo.png", BARE):
        (root / name).write_bytes(encode_photo())
    places = {FILE: str(root / "photo.png"), BARE_NAME: BARE, URL: served[0]}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a model only waits for more of them
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield Sides(vit_folder, root, places)
    torch.set_num_threads(threads)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_both_sides_do_what_the_table_says(
    sides: Sides, served: tuple[str, list[str]], case: EdgeCase
) -> None:
    reference = sides.ask_reference(case)
    assert reference.outcome == case.reference
    asked = len(served[1])
    ours = sides.ask_ours(case)
    assert compare(reference, ours) == case.ours
    assert len(served[1]) == asked  # nothing that stands in a request is fetched
    jsonschema.validate(ours.answer, load_schema("response"))
    json.dumps(ours.answer, allow_nan=False)  # the schema's numbers include NaN
    assert case.shows is None or case.shows(ours.answer)


def test_a_difference_has_a_reason_and_a_reason_a_difference() -> None:
    assert [str(each) for each in CASES if each.is_different != (each.difference is not None)] == []


def test_no_case_stands_twice_and_each_group_is_large_enough() -> None:
    assert len({str(case) for case in CASES}) == len(CASES) >= 70
    counts = collections.Counter(case.group for case in CASES)
    assert set(counts) == set(AT_LEAST)
    assert [group for group, least in AT_LEAST.items() if counts[group] < least] == []
    assert sum(case.is_different for case in CASES) >= 30


def test_the_reference_opens_and_fetches_what_ours_never_does(
    sides: Sides, served: tuple[str, list[str]]
) -> None:
    """Else the cases of files and addresses would show nothing."""
    photo = sides.ask_reference(EdgeCase("", ""))
    for place in (FILE, BARE_NAME, URL):
        told = sides.ask_reference(EdgeCase("", "", inputs=place))
        assert told.outcome == ANSWERS
        assert is_same(told.answer, photo.answer)
    assert served[1][-1] == "/photo.png"


@pytest.mark.parametrize(
    ("top_k", "count"), [(0, 0), (False, 0), (True, 1), (-1, LABELS - 1), (-20, 0)]
)
def test_the_reference_slices_by_an_odd_top_k(sides: Sides, top_k: int, count: int) -> None:
    """What the reason of these differences says."""
    assert len(sides.ask_reference(EdgeCase("", "", parameters={"top_k": top_k})).answer) == count


def test_the_reference_takes_bright_16_bit_grey_for_white(sides: Sides) -> None:
    """What the reason of these differences says."""
    bright, white = (
        functools.partial(pictures.encode, image, "PNG")
        for image in (Image.fromarray(GREY_16_LEVELS | 0x100), Image.new("L", PHOTO.size, 255))
    )
    answers = [sides.ask_reference(EdgeCase("", "", image=each)).answer for each in (bright, white)]
    assert is_same(*answers)


def test_no_two_orientations_look_alike_to_the_model(sides: Sides) -> None:
    """Else a wrong turn would pass."""
    cases = [each for each in CASES if each.name in {f"{n} in a JPEG" for n in range(1, 9)}]
    answers = [sides.ask_reference(case).answer for case in cases]
    assert len(answers) == 8
    assert not any(is_same(a, b) for a, b in itertools.combinations(answers, 2))


def test_bad_images_in_a_batch_leave_the_good_ones_as_they_are(sides: Sides) -> None:
    """Every image of the table that needs the plain model only, in one batch."""
    groups = ("formats", "no images", "damage", "orientation", "sizes")
    cases = [each for each in CASES if each.group in groups]
    cases = [each for each in cases if each.model == "plain" and not each.options]
    handler, model = sides.load_ours(EdgeCase("", ""))
    results = handler.run_inference([case.data for case in cases], model)
    good = 0
    for case, result in zip(cases, results, strict=True):
        alone = sides.ask_ours(case)
        if isinstance(result.inference, Failure):
            assert alone.outcome == result.inference.code == case.ours
        else:
            assert is_same(alone.answer, result.inference)
            good += case.ours == SAME
    assert good >= 80
    assert len(cases) - good >= 40


def test_an_infinite_score_in_a_batch_leaves_the_others_as_they_are(sides: Sides) -> None:
    case = next(each for each in CASES if each.model == "infinite for the photo")
    handler, model = sides.load_ours(case)
    blank = pictures.encode(Image.new("RGB", (64, 64), (127, 127, 127)), "PNG")
    alone = handler.run_inference([blank], model)[0].inference
    first, last = (
        result.inference for result in handler.run_inference([blank, case.data, blank], model)[::2]
    )
    assert is_same(alone, first)
    assert is_same(alone, last)
    assert handler.run_inference([blank, case.data], model)[1].inference.code == case.ours
