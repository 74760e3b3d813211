"""What reads untrusted bytes keeps its promises: on the fuzzer's corpus, and on drawn bytes."""

import json
import pathlib
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.targets import TARGETS

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow says it of bad EXIF

ROOT = pathlib.Path(__file__).parents[2]
CORPUS = ROOT / "fuzz" / "corpus"
SEEDS = sorted(path.relative_to(CORPUS) for path in CORPUS.glob("*/*"))

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
LINES = st.lists(st.text(st.characters(codec="utf-8"), max_size=40), max_size=6)
NAMES = st.sampled_from(["uri", "a", "b", "id", "inputs", "parameters", "top_k", "id2label"])
OBJECTS = st.lists(st.dictionaries(NAMES | st.text(max_size=3), JSON, max_size=4), max_size=4)


def spoil(seed: bytes, at: int, change: bytes, cut: int) -> bytes:
    """A seed of which some bytes are others, and the end is missing."""
    at %= len(seed) + 1
    return (seed[:at] + change + seed[at + len(change) :])[: max(len(seed) - cut, 0)]


DRAWN = {
    "uris": st.text().map(lambda text: text.encode("utf-8", "surrogatepass")),
    "manifests": LINES.map(lambda lines: "\n".join(["uri,a,b.c", *lines]).encode()),
    "requests": OBJECTS.map(lambda lines: "\n".join(map(json.dumps, lines)).encode()),
    "configs": JSON.map(lambda value: json.dumps(value).encode()),
}


@pytest.mark.parametrize("path", SEEDS, ids=str)
def test_the_corpus_breaks_no_target(path: pathlib.Path) -> None:
    TARGETS[path.parent.name]((CORPUS / path).read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_spoiled_seeds_break_no_target(name: str) -> None:
    check_drawn(name, 20)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_many_spoiled_seeds_break_no_target(name: str) -> None:
    check_drawn(name, 150)


def check_drawn(name: str, count: int) -> None:
    seeds = [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
    spoiled = st.builds(
        spoil,
        st.sampled_from(seeds),
        st.integers(0, 1 << 12),
        st.binary(max_size=8),
        st.just(0) | st.integers(0, 64),
    )

    @settings(
        max_examples=count, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(spoiled | DRAWN.get(name, st.binary(max_size=200)))
    def check(data: bytes) -> None:
        TARGETS[name](data)

    check()


def test_each_target_has_a_program_and_a_corpus_to_start_from() -> None:
    programs = {path.stem.removeprefix("fuzz_") for path in (ROOT / "fuzz").glob("fuzz_*.py")}
    assert programs == set(TARGETS) == {path.name for path in CORPUS.iterdir()}
    sizes = [(CORPUS / path).stat().st_size for path in SEEDS]
    assert max(sizes) < 16 << 10
    assert sum(sizes) < 128 << 10


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="atheris has wheels for Linux only")
def test_the_fuzzer_starts(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "fuzz.fuzz_requests", "-runs=50", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Done 50 runs" in done.stderr
