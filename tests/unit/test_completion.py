"""A shell completes programs, flags and values from what `imgcls --completion` prints."""

import shutil
import subprocess
import sys

import pytest

from pipelines.__main__ import main

_ASK = """
source /dev/stdin <<'SCRIPT'
{script}
SCRIPT
COMP_WORDS=({words})
COMP_CWORD={last}
COMP_LINE="{words}"
COMP_POINT=${{#COMP_LINE}}
_shtab_imgcls
printf '%s\\n' "${{COMPREPLY[@]}}"
"""

LIMITS = ("bytes", "pixels", "seconds")


def print_completion(capsys: pytest.CaptureFixture[str], shell: str) -> str:
    assert main(["--completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("imgcls", "cl"), {"classify"}),
        (("imgcls", "classify", "--max_image_"), {f"--max_image_{each}" for each in LIMITS}),
        (("imgcls", "classify", "--engine", "open"), {"openvino"}),
        (("imgcls", "evaluate", "--truth_c"), {"--truth_column"}),
        (("imgcls", "retry", "--if_ex"), set()),
    ],
)
@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes(
    words: tuple[str, ...], expected: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    script = print_completion(capsys, "bash")
    asked = _ASK.format(script=script, words=" ".join(words), last=len(words) - 1)
    done = subprocess.run(["bash"], input=asked, capture_output=True, text=True, check=False)
    found = {line for line in done.stdout.splitlines() if line}
    assert found == expected, done.stderr


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_get_every_program(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    script = print_completion(capsys, shell)
    for name in ("classify", "plan", "report", "evaluate", "doctor", "template"):
        assert name in script


def test_zsh_gets_the_values_of_a_flag_behind_a_blank_and_behind_an_equals_sign(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = print_completion(capsys, "zsh").splitlines()
    values = ":engine:(auto torch openvino torch.compile)"
    assert [line for line in lines if line.startswith('  "--engine=[') and values in line]
    assert not [line for line in lines if line.startswith('  "--engine[')]
    assert [line for line in lines if line.startswith('  "--quiet[')]  # it takes no value


@pytest.mark.parametrize("words", [["--completion", "fish"], ["--completion"], ["--completion="]])
def test_another_shell_is_refused_by_name(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert "bash, zsh, tcsh" in capsys.readouterr().err


def test_without_shtab_it_is_said_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["--completion=bash"]) == 2
    assert "pip install shtab" in capsys.readouterr().err
