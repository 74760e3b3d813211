"""`imgcls sql` over runs that lie in a bucket."""

import pytest

from pipelines.__main__ import main
from tests.gallery import hang_gallery
from tests.servers import Server

BY_RUN = "SELECT run_id, count(*) AS images FROM predictions_current GROUP BY ALL ORDER BY ALL"


def test_runs_in_a_bucket_are_asked_as_those_on_disk_are(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    output = f"{server.root}/sql/labels"
    server.fill({"sql/photo.jpg": b"1"})  # the GCS stand-in drops the line on an empty bucket
    hang_gallery(output)
    capsys.readouterr()
    assert main(["sql", f"--output={output}", BY_RUN, "--format=csv"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        *("run_id,images", "20261122,6", "nightly-2026-11-21,2", "nightly-2026-11-22,8")
    ]
    assert printed.err == ""


def test_a_bucket_without_runs_is_exit_2(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sql", f"--output={server.root}/sql/nothing", BY_RUN]) == 2
    assert "no finished run" in capsys.readouterr().err
