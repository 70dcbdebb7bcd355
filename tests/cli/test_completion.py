"""`modelpack completion`, in the real shells that this machine has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

COMPLETE = """
eval "$(modelpack completion bash)"
cd "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
_modelpack_completion modelpack "${COMP_WORDS[$COMP_CWORD]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH with a `modelpack` of these sources."""
    command = tmp_path / "bin" / "modelpack"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\nfrom modelpack.cli import run\nrun()\n")
    command.chmod(0o755)
    return f"{command.parent}{os.pathsep}{os.environ['PATH']}"


def complete(path: str, folder: Path, *words: str) -> list[str]:
    done = subprocess.run(
        ["bash", "--norc", "-c", COMPLETE, "bash", str(folder), *words],
        env={**os.environ, "PATH": path},
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "replies"),
    [
        (["modelpack", "pa"], ["package"]),
        (["modelpack", "package", "m.pkl", "--engine", "po"], ["podman"]),
        (["modelpack", "package", "m.pkl", "--exp"], ["--expected"]),
        (["modelpack", "package", "--allow"], ["--allow-untested"]),
        (["modelpack", "base", "b"], ["build"]),
        (["modelpack", "completion", "f"], ["fish"]),
    ],
)
def test_bash_completes_commands_options_and_values(path, tmp_path, words, replies) -> None:
    assert complete(path, tmp_path, *words) == replies


def test_bash_completes_files_where_a_file_is_expected(path, tmp_path) -> None:
    """With readline in a terminal: only it follows `compopt -o default`."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "churn.joblib").touch()
    keys = 'eval "$(modelpack completion bash)"\ncd work\nPS1=\nmodelpack package chu\t\x01echo \n'
    done = subprocess.run(
        ["script", "-qec", "bash --norc -i", "/dev/null"],
        input=keys + "exit\n",
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "TERM": "dumb", "INPUTRC": "/dev/null"},
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert "modelpack package churn.joblib" in done.stdout


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_read_their_script(path, shell, tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "modelpack", "completion", shell],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    assert f"_MODELPACK_COMPLETE={shell}_complete" in done.stdout
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "script"
    script.write_text(done.stdout)
    subprocess.run([shell, "-n", script], check=True)
