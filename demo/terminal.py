"""Writes docs/terminal.svg: a terminal in which the commands of the first minute were run.

::

    python -m demo.terminal
"""

import io
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from rich.console import Console
from rich.text import Text

ROOT = pathlib.Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "terminal.svg"
HOME = "/home/you/imgcls_beam"
"""What the picture says in the place of the folder in which it was made."""
COMMANDS = (
    "imgcls plan --input=demo/images --model=demo/model --output=out",
    "imgcls classify --input=demo/images --model=demo/model --output=out --run_id=first"
    " --max_error_ratio=0.2 --report",
    'imgcls sql --output=out "select top_label, count(*) as images from predictions_latest'
    ' group by all order by images desc limit 4"',
)
_WIDTH_CHARS = 118


def main() -> None:
    """Runs the commands in a folder of their own, and draws what they said."""
    console = Console(record=True, width=_WIDTH_CHARS, file=io.StringIO())
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name).resolve()
        (folder / "demo").symlink_to(ROOT / "demo")
        for command in COMMANDS:
            console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
            console.print(Text(_run(command, folder)), soft_wrap=False)
    drawn = console.export_svg(title="imgcls", unique_id="imgcls")
    # The reader's own fonts: a picture of ours fetches nothing.
    PICTURE.write_text(re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.S), encoding="utf-8")


def _run(command: str, folder: pathlib.Path) -> str:
    """What a command prints.

    Raises:
        SystemExit: it failed.
    """
    ours = f'imgcls() {{ "{sys.executable}" -m pipelines "$@"; }}; {command}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": str(_WIDTH_CHARS)}
    done = subprocess.run(
        ["bash", "-c", ours],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{command}\n{done.stdout}")
    said = done.stdout
    for place in (str(ROOT), str(folder)):
        said = said.replace(place, HOME)
    return said


if __name__ == "__main__":
    main()
