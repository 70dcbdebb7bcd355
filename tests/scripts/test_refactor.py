"""Recordings are compared file by file, and hold nothing that varies between two runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts" / "refactor"


def compare(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SCRIPTS / "compare.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def recordings(tmp_path: Path) -> tuple[Path, Path]:
    folders = tmp_path / "before", tmp_path / "after"
    for folder in folders:
        for part in ("errors", "help"):
            (folder / part).mkdir(parents=True)
            (folder / part / "a.txt").write_text("one\ntwo\n")
    return folders


def test_equal_recordings_have_no_differences(recordings: tuple[Path, Path]) -> None:
    done = compare(*recordings)
    assert (done.returncode, done.stdout) == (0, "errors: equal\nhelp: equal\n")


@pytest.mark.parametrize("content", ["one\n2\n", "one\ntwo", "", None])
def test_a_file_that_differs_is_shown(recordings: tuple[Path, Path], content: str | None) -> None:
    path = recordings[1] / "help" / "a.txt"
    path.unlink() if content is None else path.write_text(content)
    done = compare(*recordings)
    assert done.returncode == 1
    assert done.stdout.startswith("errors: equal\nhelp: different\n--- a/a.txt\n+++ b/a.txt\n")


def test_a_part_that_was_not_recorded_again_differs(recordings: tuple[Path, Path]) -> None:
    (recordings[1] / "errors" / "a.txt").unlink()
    assert compare(*recordings, "errors").returncode == 1


@pytest.mark.parametrize("text", ["built in 0.3 s", '"seconds": 1.25', "on 127.0.0.1:40123"])
def test_what_varies_is_masked(text: str, tmp_path: Path) -> None:
    other = text.translate(str.maketrans("0345", "0456"))
    script = "import sys; from checkout import Checkout; from pathlib import Path; " + (
        "print({Checkout(Path('/a'), Path('/b')).masked(text) for text in sys.argv[1:]})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, text, other],
        env={"PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert text != other
    assert done.stdout.count(",") == 0
