"""The step that loads a table is made from what the job found when it began; nothing is asked."""

import pytest

from imgcls_beam.bigquery import TableName
from imgcls_beam.options import OutputOptions
from imgcls_beam.warehouse import CurrentRun
from pipelines.table_output import make_writer


@pytest.mark.parametrize(
    ("is_scratch", "held", "is_local", "expected", "removes"),
    [
        (False, "a1", False, None, False),  # records say which session is the later
        (True, "a1", True, "a1", False),
        (True, "a1", False, "a1", True),
        (True, "", False, "", True),
    ],
)
def test_a_table_alone_replaces_only_what_it_held_when_the_job_began(
    is_scratch: bool, held: str, is_local: bool, expected: str | None, removes: bool
) -> None:
    output = OutputOptions("out", table="my-project.d.predictions", is_scratch=is_scratch)
    writer = make_writer(output, CurrentRun(held), is_local)
    assert writer is not None
    assert (writer.table, writer.output) == (TableName("my-project", "d", "predictions"), "out")
    assert (writer.expected_session, writer.removes_output) == (expected, removes)


def test_without_a_table_there_is_no_step() -> None:
    assert make_writer(OutputOptions("out"), CurrentRun(), is_local=True) is None
