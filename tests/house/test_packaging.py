"""What a package index would show, and how the environments are made."""

import email
import email.message
import os
import pathlib
import re
import subprocess
import sys

import pytest

import imgcls_beam
from pipelines.__main__ import main

ROOT = pathlib.Path(__file__).parents[2]
COPIED = ("README.md", "LICENSE", "sbom.cdx.json", "imgcls_beam", "pipelines", "schemas")
HAS_GPU = pathlib.Path("/dev/nvidia0").exists()


def read_metadata(folder: pathlib.Path, repository: str) -> email.message.Message:
    """The metadata that setup.py writes when the repository has such a page."""
    for name in COPIED:
        (folder / name).symlink_to(ROOT / name)
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    replaced, count = re.subn(
        r'^REPOSITORY = ".*"$', f'REPOSITORY = "{repository}"', text, flags=re.M
    )
    assert count == 1
    (folder / "setup.py").write_text(replaced, encoding="utf-8")
    command = [sys.executable, "setup.py", "--quiet", "egg_info", "--egg-base", str(folder)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    written = folder / "imgcls_beam.egg-info" / "PKG-INFO"
    return email.message_from_string(written.read_text(encoding="utf-8"))


@pytest.mark.parametrize("repository", ["", "https://host.invalid/owner/imgcls_beam"])
def test_the_metadata_have_one_version_a_licence_and_no_link_to_nowhere(
    repository: str, tmp_path: pathlib.Path
) -> None:
    metadata = read_metadata(tmp_path, repository)
    assert metadata["Version"] == imgcls_beam.__version__
    assert (metadata["License-Expression"], metadata["License-File"]) == ("Apache-2.0", "LICENSE")
    assert metadata["Author"] == "imgcls_beam authors"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Project-URL"] == (f"Source, {repository}" if repository else None)
    links = re.findall(r"\]\(([^)]+)\)", metadata.get_payload())
    ours = [each for each in links if repository and each.startswith(f"{repository}/blob/main/")]
    assert (len(ours) > 8) == bool(repository)
    assert [each for each in links if "://" not in each] == []


def test_the_licence_is_there_whole() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_version_is_told_with_those_of_the_libraries(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--version"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"imgcls_beam {imgcls_beam.__version__}"
    assert [line.split()[0] for line in lines[1:]] == ["apache-beam", "transformers", "torch"]


def test_telling_the_version_imports_nothing_heavy() -> None:
    program = (
        "import sys; from pipelines.__main__ import main; main(['--version']); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"torch", "transformers", "apache_beam"} & set(done.stdout.splitlines()[-1].split())


@pytest.mark.slow
@pytest.mark.parametrize(
    "python",
    ["3.11", "3.14", *(pytest.param(each, marks=pytest.mark.long) for each in ("3.12", "3.13"))],
)
def test_the_constraints_hold_for_every_python_that_beam_supports(
    python: str, tmp_path: pathlib.Path
) -> None:
    """Solved from the sources, for that Python, without installing anything."""
    solve = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--python-version", python]
    solve += ["--all-extras", "-c", "constraints.txt", "setup.py", "--no-annotate"]
    solve += ["--python-platform", "x86_64-manylinux_2_28", "-o", str(tmp_path / "solved.txt")]
    done = subprocess.run(solve, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names = re.findall(r"^(\S+)==", (tmp_path / "solved.txt").read_text(), re.MULTILINE)
    pinned = re.findall(r"^(\S+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert "apache-beam" in names
    assert set(names) <= set(pinned), "make constraints"


def install(folder: pathlib.Path, uv: str | None, **settings: str) -> list[str]:
    """Installs into an environment whose programs only say how they were called.

    Args:
        folder: for the environment.
        uv: the shell's line that ends it; None where PyPI has none.
        settings: variables of the environment.

    Returns:
        The calls, in order, without the interpreter that they name.
    """
    programs = folder / "bin"
    programs.mkdir()
    note = folder / "calls"
    for name, last in (("pip", "exit 0"), ("uv", uv)):
        if last is not None:
            said = f'#!/bin/bash\necho "{name} $*" >> {note}\n{last}\n'
            (programs / name).write_text(said)
            (programs / name).chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [ROOT / "tools" / "install.sh", folder, "-e", "."],
        env={**kept, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    calls = note.read_text().replace(f" --python {programs}/python", "").splitlines()
    return [each for each in calls if "config get" not in each]


ASKED = "uv pip install --quiet --dry-run"
NOTHING_ANSWERS = '[[ "$*" != *--torch-backend* ]]'
WITH_PIP = "pip install --disable-pip-version-check -e ."


@pytest.mark.parametrize(
    ("uv", "settings", "asks", "installed_with"),
    [
        pytest.param(
            *("exit 0", {}, True, ["uv pip install --torch-backend=cpu -e ."]),
            marks=pytest.mark.skipif(HAS_GPU, reason="a GPU wants CUDA"),
            id="PyTorch's index answers",
        ),
        pytest.param(
            *(NOTHING_ANSWERS, {}, True, ["uv pip install -e ."]),
            marks=pytest.mark.skipif(HAS_GPU, reason="a GPU wants CUDA"),
            id="PyTorch's index does not answer",
        ),
        pytest.param(
            *("exit 0", {"TORCH": "pypi"}, False, ["uv pip install -e ."]), id="PyPI's torch"
        ),
        pytest.param(
            *("exit 1", {"TORCH": "pypi"}, False, ["uv pip install -e .", WITH_PIP]),
            id="uv does not manage",
        ),
        pytest.param(
            *("exit 0", {"TORCH": "pypi", "PYTHONDONTWRITEBYTECODE": "1"}, False),
            ["uv pip install --compile-bytecode -e ."],
            id="Python may not write bytecode",
        ),
    ],
)
def test_packages_are_installed_with_uv_and_with_pip_where_uv_does_not_manage(
    uv: str,
    settings: dict[str, str],
    asks: bool,
    installed_with: list[str],
    tmp_path: pathlib.Path,
) -> None:
    calls = install(tmp_path, uv, **settings)
    assert any(each.startswith(ASKED) for each in calls) == asks
    assert [each for each in calls if not each.startswith(ASKED)] == installed_with


def test_packages_are_installed_with_pip_where_there_is_no_uv(tmp_path: pathlib.Path) -> None:
    first, last = install(tmp_path, None)
    assert first.startswith("pip install") and first.endswith("-c constraints.txt uv")
    assert last == WITH_PIP


def test_a_python_that_is_not_there_is_said_so(tmp_path: pathlib.Path) -> None:
    done = subprocess.run(
        [ROOT / "tools" / "install.sh", tmp_path / "new", "six"],
        env={**os.environ, "PYTHON": "python-that-is-not-there"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no Python 3.11 or newer" in done.stderr
    assert "python-that-is-not-there" in done.stderr
