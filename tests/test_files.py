"""Writes replace a file or a directory as a whole, or leave it and its folder as they were."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modelpack import files

WRITERS = {
    "file": """
with files.atomic_writer(target) as stream:
    stream.write(b"new")
    stream.flush()
    wait()
""",
    "directory": """
with files.atomic_directory(target, replace=True) as directory:
    (directory / "new").write_text("new")
    wait()
""",
    "cached directory": """
with files.atomic_directory(target) as directory:
    directory.mkdir()
    (directory / "new").write_text("new")
    wait()
""",
}
HEAD = """
import sys, time
from pathlib import Path
from modelpack import files
target = Path(sys.argv[1])
def wait():
    print("written", flush=True)
    time.sleep(60)
"""


def create(kind: str, target: Path) -> None:
    if kind == "file":
        target.write_text("old")
    elif kind == "directory":
        target.mkdir()
        (target / "old").write_text("old")


def contents(folder: Path) -> dict[str, str | None]:
    return {
        str(path.relative_to(folder)): path.read_text() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_writer_leaves_everything_as_it_was(
    tmp_path: Path, kind: str, number: signal.Signals
) -> None:
    target = tmp_path / "target"
    create(kind, target)
    before, kept = contents(tmp_path), {*tmp_path.iterdir()}
    command = [sys.executable, "-c", HEAD + WRITERS[kind], str(target)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "written\n"
        assert contents(tmp_path) != before
        process.send_signal(number)
        process.wait(10)
    deadline = time.monotonic() + 10
    # The watcher of the killed writer may be deleting the files, so only the folder is listed.
    while {*tmp_path.iterdir()} - kept and time.monotonic() < deadline:
        time.sleep(0.05)
    assert contents(tmp_path) == before


def test_error_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), files.atomic_writer(target) as stream:
        stream.write(bytes(1 // 0))
    assert contents(tmp_path) == {"target": "old"}


def test_failed_writes_leave_no_partial_file(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        files.atomic_write_text(target, "new \ud800")
    assert contents(tmp_path) == {"target": "old"}
    with pytest.raises(FileNotFoundError):
        files.link_or_copy(tmp_path / "missing", target)
    (tmp_path / "directory").mkdir()
    with pytest.raises(IsADirectoryError):
        files.link_or_copy(target, tmp_path / "directory")
    assert contents(tmp_path) == {"target": "old", "directory": None}


def test_file_and_directory_are_replaced_as_a_whole(tmp_path: Path) -> None:
    create("file", tmp_path / "file")
    create("directory", tmp_path / "directory")
    with files.atomic_writer(tmp_path / "file") as stream:
        stream.write(b"new")
    with files.atomic_directory(tmp_path / "directory", replace=True) as directory:
        (directory / "new").write_text("new")
    expected = {"file": "new", "directory": None, "directory/new": "new"}
    assert contents(tmp_path) == expected


def test_first_of_two_cached_directories_wins(tmp_path: Path) -> None:
    target = tmp_path / "target"
    with files.atomic_directory(target) as late:
        late.mkdir()
        (late / "name").write_text("late")
        with files.atomic_directory(target) as early:
            early.mkdir()
            (early / "name").write_text("early")
    assert contents(tmp_path) == {"target": None, "target/name": "early"}


def test_directory_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    create("directory", tmp_path / "target")
    with pytest.raises(IsADirectoryError), files.atomic_writer(tmp_path / "target"):
        pytest.fail("the block must not run")
    assert contents(tmp_path) == {"target": None, "target/old": "old"}
