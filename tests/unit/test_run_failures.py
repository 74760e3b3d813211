"""Why a run failed, from whatever Beam makes of it."""

import os
import pathlib
import subprocess
import sys

import pytest

from imgcls_beam import board, stopping
from imgcls_beam.errors import RunExistsError, SickModelError
from pipelines import run_failures

SICK = "the model gives other scores: it is sick, or its device is"
FROM_A_PROCESS = f"""Error processing instruction 7. Original traceback is
Traceback (most recent call last):
  File "apache_beam/runners/common.py", line 1512, in process
imgcls_beam.errors.SickModelError: {SICK} [while running 'PredictImages/RunInference-ptransform-1']
"""

OF_PRISM = """bundle inst003 stage-002 failed:Traceback (most recent call last):
  File "apache_beam/runners/common.py", line 1512, in process
RuntimeError: imgcls_beam.errors.RunExistsError: run_id [while running 'W/Publish']='r1': it is
goroutine 7: after it
"""
OF_A_DEAD_WORKER = (
    "Pipeline job-001 failed in state FAILED: bundle inst005 stage-005 failed:SDK worker "
    "disconnected: worker[job-001[job]_env], 2 active instructions, error: context canceled"
)
OF_NO_WORKER = (
    "Pipeline job-001 failed in state FAILED: prism worker[job-001[job]_env] didn't get control "
    "connection to localhost:44019 after 1m0s"
)
OF_ANOTHER = """Traceback (most recent call last):
OSError: [Errno 28] No space left on device [while running 'W']

Note that this is followed by a paragraph of advice.
"""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SickModelError(f"{SICK} [while running 'PredictImages']"), SICK),
        (RuntimeError(FROM_A_PROCESS), SICK),
        (
            OSError("[Errno 28] No space left on device"),
            "OSError: [Errno 28] No space left on device",
        ),
        (ValueError(""), "ValueError: no reason given"),
        (RunExistsError("run_id [while running 'Publish']", "r1", "it is"), "run_id='r1': it is"),
        (RuntimeError(OF_PRISM), "run_id='r1': it is"),
        (RuntimeError(OF_ANOTHER), "OSError: [Errno 28] No space left on device"),
        (RuntimeError(OF_A_DEAD_WORKER), "a worker process was killed, or ended by itself"),
        (RuntimeError(OF_NO_WORKER), "no worker process has come to work for the job"),
        (RuntimeError("Pipeline job-1 failed"), "RuntimeError: Pipeline job-1 failed"),
    ],
    ids=[
        "own",
        "of a worker",
        "another",
        "none",
        "option",
        "of Prism",
        "wrapped",
        "dead",
        "none came",
        "plain",
    ],
)
def test_an_error_of_a_run_is_one_sentence(error: Exception, said: str) -> None:
    assert run_failures._describe(error) == said


WORKER = """
import sys, importlib.machinery
sys.modules["__main__"].__spec__ = importlib.machinery.ModuleSpec(
    "apache_beam.runners.worker.sdk_worker_main", None)
from imgcls_beam.stopping import stop_process
stop_process("the model has not come back")
print("it goes on")
"""


def test_a_worker_ends_and_leaves_a_word_to_the_program_that_follows_it() -> None:
    with board.follow_boards(several=True):
        done = subprocess.run(
            [sys.executable, "-c", WORKER],
            cwd=pathlib.Path(__file__).parents[2],
            env=dict(os.environ),
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert run_failures._describe(ValueError("recv")) == "the model has not come back"
    assert board.read_words() == []


def test_another_process_is_interrupted_as_by_ctrl_c_and_goes_on() -> None:
    assert not stopping.is_worker()
    with stopping.stoppable(abandon=int) as run:
        with pytest.raises(KeyboardInterrupt):
            stopping.stop_process("a reason")
        assert run.reason == "a reason"
    with stopping.stoppable(abandon=int) as another:
        assert another.reason is None
