"""A disk that is full in the middle of a run: one sentence, nothing published, nothing left."""

import pathlib
import resource
from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest

from pipelines.__main__ import main
from tests.scenes import write_photos

IMAGES = 60


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("photos")
    write_photos(folder, IMAGES)
    return folder


@pytest.fixture
def limit() -> Iterator[None]:
    """The limit of this process for the size of a file, as it was before."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.slow
@pytest.mark.usefixtures("limit")
@pytest.mark.parametrize("most_bytes", [16, 1000, 5000])
@pytest.mark.parametrize("form", ["rows", "responses"])
def test_a_disk_that_is_full_leaves_nothing_half(
    form: str,
    most_bytes: int,
    photos: pathlib.Path,
    vit_folder: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The note of a session, the staged rows, and the responses each come to the limit once."""
    output = tmp_path / ("out" if form == "rows" else "answers.jsonl")
    place = [f"--output={output}", "--run_id=a"] if form == "rows" else [f"--output_jsonl={output}"]
    words = ["classify", f"--input={photos}", f"--model={vit_folder}", "--engine=torch", *place]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    code = main(words)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    lines = capsys.readouterr().err.splitlines()
    assert (code, len(lines)) in ((1, 1), (2, 1)), lines
    assert "nothing was published" in lines[0] or "output" in lines[0]
    assert sorted(tmp_path.iterdir()) == []

    assert main([*words, "--quiet"]) == 0
    if form == "rows":
        (part,) = output.glob("predictions/*/*/*/*.parquet")
        assert pq.ParquetFile(part).metadata.num_rows == IMAGES
    else:
        assert output.read_bytes().count(b"\n") == IMAGES
