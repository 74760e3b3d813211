"""One line of JSON an outcome, and one file of them or none."""

import dataclasses
import datetime
import hashlib
import json
import pathlib
from collections.abc import Sequence

import pytest

from imgcls_beam.elements import Failure, ImageRef, Outcome, Prediction
from imgcls_beam.errors import FailureCode, PublishError, Stage
from imgcls_beam.lines import encode_line
from imgcls_beam.scoring import AppliedParameters, Execution
from imgcls_beam.sinks import JsonlFile, JsonlSession, abandon_jsonl, begin_jsonl
from imgcls_beam.sinks.jsonl_files import LineWriter, commit_jsonl, sweep_jsonl
from imgcls_beam.sinks.leftovers import STALE
from imgcls_beam.sinks.staged_lines import StagedLines
from imgcls_beam.spec import LabelScore
from imgcls_beam.stores import open_parent
from tests import by_url
from tests.spec_parsers import parse_response
from tests.staged import FUSE, NOON, SCORING, Killed, empty_stores

SESSION, OTHER = "ab" * 16, "cd" * 16
STORES = ["mortal://{tmp}", "mortalbucket://out"]


def make_prediction(ref: ImageRef, labels: Sequence[LabelScore]) -> Prediction:
    return Prediction(
        ref=ref,
        labels=tuple(labels),
        margin=0.5,
        applied=AppliedParameters(5, "softmax", "model"),
        execution=Execution("cpu", "float32", 8, 2.0, NOON),
        scoring=SCORING,
    )


def make_outcome(index: int) -> Outcome:
    ref = ImageRef(f"file:///r.jsonl::{index}", request_id=index)
    if index % 3 == 2:
        return Failure(
            ref, Stage.READ, FailureCode.INVALID_REQUEST, "no", failed_at=NOON, scoring=SCORING
        )
    return make_prediction(ref, [LabelScore("cat", 0.75)])


def stage(url: str, counts: Sequence[int], session_id: str = SESSION) -> list[StagedLines]:
    """One staged file per count; together they hold the outcomes 0, 1, 2, …, the last one first."""
    staged = []
    start = sum(counts)
    for count in counts:
        writer = LineWriter(JsonlSession.of_url(url, session_id))
        for index in reversed(range(start - count, start)):
            writer.write(make_outcome(index))
        start -= count
        file = writer.close()
        assert file is not None
        staged.append(file)
    return staged


def read(url: str) -> bytes:
    with by_url.open_existing(url) as source:
        return source.read()


def make_lines(count: int) -> bytes:
    return b"".join(encode_line(make_outcome(index)) for index in range(count))


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> str:
    empty_stores()
    return f"{request.param.format(tmp=tmp_path)}/responses.jsonl"


@pytest.mark.parametrize(
    ("request_id", "expected"),
    [(7, {"id": 7}), ("7", {"id": "7"}), ("", {"id": ""}), (0, {"id": 0}), (None, {})]
    + [(-(10**1000), {"id": -(10**1000)}), ("Ä\n😀", {"id": "Ä\n😀"})],
)
def test_an_id_comes_back_as_it_was_given(
    request_id: str | int | None, expected: dict[str, str | int]
) -> None:
    for make in (
        lambda ref: make_prediction(ref, ()),
        lambda ref: Failure(ref, Stage.READ, FailureCode.EMPTY, "it has no bytes"),
    ):
        line = json.loads(encode_line(make(ImageRef("a", request_id=request_id))))
        assert {name: line[name] for name in line if name == "id"} == expected
        assert list(line)[:-1] == [*expected, "image_uri"]


def test_a_prediction_is_the_response_of_the_task_and_its_scores_come_back_bit_by_bit() -> None:
    labels = [LabelScore("cat", 0.1 + 0.2), LabelScore("dog", 5e-324), LabelScore("eel", -1e300)]
    line = json.loads(encode_line(make_prediction(ImageRef("gs://b/ä.jpg"), labels)))
    assert line.keys() == {"image_uri", "response"}
    assert line["image_uri"] == "gs://b/ä.jpg"
    assert parse_response(line["response"]) == tuple(labels)


def test_a_failure_says_stage_code_and_message() -> None:
    failure = Failure(ImageRef("a"), Stage.PREPARE, FailureCode.TRUNCATED, "cut short", tries=3)
    assert encode_line(failure).decode() == (
        '{"image_uri": "a", "error":'
        ' {"stage": "prepare", "code": "truncated", "message": "cut short"}}\n'
    )


HOSTILE = ['a"b', "a\\u2028", "a\nb\r\tc", "\x00\x1c\x7f", "a\x85b\u2028c\u2029d", "<script>😀"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_on_its_line_and_comes_back(text: str) -> None:
    ref = ImageRef(f"file:///{text}", request_id=text)
    line = encode_line(make_prediction(ref, [LabelScore(text, 1.0)])).decode()
    assert line.splitlines() == [line.removesuffix("\n")]
    parsed = json.loads(line)
    assert (parsed["id"], parsed["image_uri"]) == (text, f"file:///{text}")
    assert parsed["response"] == [{"label": text, "score": 1.0}]


def test_lone_surrogates_are_replaced_and_text_beyond_ascii_is_written_as_it_is() -> None:
    line = encode_line(make_prediction(ImageRef("\udcff.jpg"), [LabelScore("ä\ud800😀", 1.0)]))
    assert '"image_uri": "\ufffd.jpg"'.encode() in line
    assert '"label": "ä\ufffd😀"'.encode() in line


@pytest.mark.parametrize("counts", [[], [1], [2, 3, 1], [1] * 12])
def test_staged_files_become_one_file_in_the_order_of_the_requests(
    url: str, counts: list[int]
) -> None:
    staged = stage(url, counts)
    file = commit_jsonl(staged[::-1], sum(counts), JsonlSession.of_url(url, SESSION))
    lines = make_lines(sum(counts))
    assert read(url) == lines
    assert file == JsonlFile(url, sum(counts), len(lines), hashlib.sha256(lines).hexdigest())
    assert by_url.list_names(url.rpartition("/")[0]) == ["responses.jsonl"]
    assert commit_jsonl(staged, sum(counts), JsonlSession.of_url(url, SESSION)) == file


@pytest.mark.parametrize("listed", [4, 6])
def test_lines_that_are_not_as_many_as_the_images_are_not_published(url: str, listed: int) -> None:
    staged = stage(url, [5])
    with pytest.raises(PublishError, match=f"listed {listed} images, but 5 lines"):
        commit_jsonl(staged, listed, JsonlSession.of_url(url, SESSION))
    assert by_url.find_size(url) is None


@pytest.mark.parametrize("standing", [b"", b"mine\n", make_lines(4), make_lines(6)])
def test_a_file_that_stands_there_is_left_as_it_is(url: str, standing: bytes) -> None:
    by_url.write_file(url, standing)
    with pytest.raises(PublishError, match="another file is there"):
        commit_jsonl(stage(url, [2, 3]), 5, JsonlSession.of_url(url, SESSION))
    assert read(url) == standing


@pytest.mark.parametrize("damage", [b"", b"x", make_lines(3)])
def test_a_staged_file_that_is_not_what_was_written_is_not_published(
    url: str, damage: bytes
) -> None:
    staged = stage(url, [2, 2])
    by_url.write_file(f"{url.rpartition('/')[0]}/{staged[1].path}", damage)
    with pytest.raises(PublishError, match="not what was written"):
        commit_jsonl(staged, 4, JsonlSession.of_url(url, SESSION))
    assert by_url.find_size(url) is None


@pytest.mark.parametrize("after", [False, True])
def test_a_program_that_dies_at_any_operation_leaves_the_whole_file_or_none(
    url: str, after: bool
) -> None:
    deaths = 0
    for left in range(100):
        empty_stores()
        by_url.remove_files([url])
        staged = stage(url, [2, 3])
        FUSE.set(left, after=after)
        try:
            commit_jsonl(staged, 5, JsonlSession.of_url(url, SESSION))
        except Killed:
            deaths += 1
        FUSE.set(None)
        assert by_url.find_size(url) is None or read(url) == make_lines(5)
        assert commit_jsonl(staged, 5, JsonlSession.of_url(url, SESSION)).lines == 5
        assert read(url) == make_lines(5)
        assert by_url.list_names(url.rpartition("/")[0]) == ["responses.jsonl"]
        if deaths <= left:
            break
    assert deaths >= 4


def test_of_two_sessions_the_second_is_told_and_changes_nothing(url: str) -> None:
    first, second = stage(url, [2, 3]), stage(url, [4], OTHER)
    commit_jsonl(first, 5, JsonlSession.of_url(url, SESSION))
    with pytest.raises(PublishError, match="another file is there"):
        commit_jsonl(second, 4, JsonlSession.of_url(url, OTHER))
    assert read(url) == make_lines(5)
    abandon_jsonl(JsonlSession.of_url(url, OTHER))
    assert by_url.list_names(url.rpartition("/")[0]) == ["responses.jsonl"]


def test_a_file_is_not_moved_over_another_one(url: str) -> None:
    by_url.write_file(url, b"mine\n")
    by_url.write_file(f"{url}.new", b"yours\n")
    folder, name = open_parent("output_jsonl", url)
    with pytest.raises(FileExistsError):
        folder.move_new(f"{name}.new", name)
    assert (read(url), read(f"{url}.new")) == (b"mine\n", b"yours\n")


def test_what_a_session_staged_is_removed_and_that_of_another_stays(url: str) -> None:
    stage(url, [2, 3])
    (other,) = stage(url, [4], OTHER)
    abandon_jsonl(JsonlSession.of_url(url, SESSION))
    folder = url.rpartition("/")[0]
    assert by_url.list_names(folder) == [other.path]


def test_a_bundle_that_fails_leaves_no_staged_file(url: str) -> None:
    writer = LineWriter(JsonlSession.of_url(url, SESSION))
    writer.write(make_outcome(0))
    labels = (LabelScore("cat", "no number"),)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="number"):
        writer.write(dataclasses.replace(make_outcome(1), labels=labels))
    assert by_url.list_names(f"{url}.staging") == []
    assert writer.close() is None


def test_what_is_not_its_own_in_the_staging_folder_stays(url: str) -> None:
    """A folder of that name may be there for other reasons."""
    theirs = [f"{url}.staging/notes.txt", f"{url}.staging/{'ef' * 16}/mine.csv"]
    for each in theirs:
        by_url.write_file(each, b"mine")
    session = begin_jsonl(url, SESSION)
    commit_jsonl(stage(url, [2]), 2, session)
    abandon_jsonl(session)
    assert all(by_url.find_size(each) == 4 for each in theirs)
    assert len(by_url.list_names(url.rpartition("/")[0])) == 3


def test_begin_takes_a_free_place_and_leaves_it_when_it_is_abandoned(
    url: str, tmp_path: pathlib.Path
) -> None:
    deep = f"{url.rpartition('/')[0]}/new/deep/r.jsonl"
    session = begin_jsonl(deep, SESSION)
    assert begin_jsonl(deep, SESSION) == session
    stage(deep, [1])
    abandon_jsonl(session)
    abandon_jsonl(session)
    assert by_url.list_names(url.rpartition("/")[0]) == []
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_session_staged_is_swept_after_a_week(url: str) -> None:
    begin_jsonl(url, SESSION)
    stage(url, [2])
    now = datetime.datetime.now(datetime.UTC)
    sweep_jsonl(JsonlSession.of_url(url, ""), now + STALE - datetime.timedelta(hours=1))
    assert len(by_url.list_names(f"{url}.staging")) == 1
    sweep_jsonl(JsonlSession.of_url(url, ""), now + STALE + datetime.timedelta(hours=1))
    assert by_url.list_names(url.rpartition("/")[0]) == []
