"""Programs that are interrupted while the store of their rows is away: who waits is told soon."""

import os
import pathlib
import signal
import time
import uuid

import pytest

from imgcls_beam.stores.haste import HASTE_S
from tests.programs import Mother
from tests.servers import Server

_MODEL = pathlib.Path(__file__).parents[2] / "demo" / "model"
_SENTENCE = (
    "imgcls classify: interrupted; nothing was published; what this run has staged could not be "
    "removed now, which a later run does"
)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["503", "stall"])
def test_an_interrupt_does_not_wait_for_a_store_that_is_away(
    server: Server, how: str, mother: Mother, many: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    output, log = f"{server.root}/away-{uuid.uuid4().hex}", tmp_path / "log"
    places = [f"--input={many}", f"--output={output}", f"--model={_MODEL}"]
    lines = f"--output_jsonl={output}/lines.jsonl"
    program = mother.start(["classify", *places, lines, "--dedupe=off", "--run_id=a"], log)
    store = server.store
    while not any("session.json" in each for each in store.find(f"{output}/_staging")):
        time.sleep(0.05)
    time.sleep(0.5)  # until it is at work
    server.spoil(how, "", for_ever=True)
    os.kill(program.pid, signal.SIGINT)
    began_s = time.monotonic()
    code = program.wait()
    took_s = time.monotonic() - began_s
    server.take_asked()
    assert code == 1
    assert took_s < HASTE_S + 5
    assert log.read_text().splitlines()[-1] == _SENTENCE
