"""`imgcls template build --write`: the template's file in a bucket."""

import json

import pytest

from pipelines.__main__ import main
from pipelines.template import make_spec
from tests.servers import Server


def test_the_file_is_written_where_it_is_said(
    gcs_server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    place = f"{gcs_server.root}/templates/imgcls.json"
    assert main(["template", "build", "--image=r/i:1", f"--spec={place}", "--write"]) == 0
    assert capsys.readouterr().out.endswith(f"written: {place}\n")
    assert json.loads(gcs_server.store.cat_file(place)) == make_spec("r/i:1")


@pytest.mark.usefixtures("gcs_server")
def test_a_bucket_that_is_not_there_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    place = "gs://no-such-bucket-of-ours/imgcls.json"
    assert main(["template", "build", "--image=r/i:1", f"--spec={place}", "--write"]) == 2
    assert "no file can be written and deleted there" in capsys.readouterr().err
