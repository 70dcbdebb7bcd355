"""Folders of the cache lose what was not used for longest, and nothing that is in use."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelpack import cache
from modelpack.pipeline import doctor

FOLDERS = ["environments", "answers"]
DAY = 86400.0


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for folder in FOLDERS:
        monkeypatch.setitem(cache.LIMITS, folder, cache.Limit(3, 10_000))
    return tmp_path / "modelpack"


def add(name: str, days: float, size: int = 10, folder: str = "environments") -> Path:
    """Add a directory, or a file to a folder of files, that was used some days ago."""
    path = cache.directory(folder) / name
    if folder == "environments":
        (path / "lib").mkdir(parents=True)
        (path / "lib" / "module.py").write_bytes(bytes(size))
    else:
        path.write_bytes(bytes(size))
    used = time.time() - days * DAY
    os.utime(path, (used, used))
    return path


def names(folder: str = "environments") -> set[str]:
    return {path.name for path in cache.directory(folder).iterdir()}


@pytest.mark.parametrize("folder", FOLDERS)
def test_entries_beyond_the_number_that_were_not_used_for_longest_go(folder: str) -> None:
    for name, days in [("c", 3), ("e", 5), ("a", 1), ("d", 4), ("b", 2)]:
        add(name, days, folder=folder)
    cache.prune(folder)
    assert names(folder) == {"a", "b", "c"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_entries_beyond_the_size_go(folder: str) -> None:
    add("a", 1, 6000, folder)
    add("b", 2, 6000, folder)
    cache.prune(folder)
    assert names(folder) == {"a"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_an_entry_of_the_last_hour_stays(folder: str) -> None:
    for number in range(5):
        add(str(number), 0.01, 9000, folder)
    cache.prune(folder)
    assert len(names(folder)) == 5


def test_reading_an_entry_is_a_use() -> None:
    for name, days in [("a", 1), ("b", 2), ("c", 3), ("d", 4)]:
        add(name, days, folder="answers")
    cache.read("answers", "d")
    cache.prune("answers")
    assert names("answers") == {"a", "b", "d"}


def test_writing_an_entry_removes_old_ones() -> None:
    for name, days in [("a", 1), ("b", 2), ("c", 3)]:
        add(name, days, folder="answers")
    cache.write("answers", "new", "text")
    assert names("answers") == {"a", "b", "new"}


def test_an_entry_that_is_being_written_stays() -> None:
    for name in ["a", "b", "c", ".partial"]:
        add(name, 9)
    cache.prune("environments")
    assert ".partial" in names()


HOLD = """
import sys
from pathlib import Path
from modelpack import cache
print(cache.hold(Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a directory until its input ends."""
    path = add("held", 9)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "True\n"
        os.utime(path, (0, 0))  # a service that has run for long
        yield process


def test_a_directory_that_another_process_holds_stays(holder: subprocess.Popen[str]) -> None:
    for number in range(4):
        add(str(number), 2)
    cache.prune("environments")
    assert "held" in names()
    holder.communicate()
    cache.prune("environments")
    assert "held" not in names()


def test_a_directory_that_was_removed_is_not_held() -> None:
    path = add("a", 9)
    assert cache.hold(path)
    path.rename(path.with_name("other"))
    assert not cache.hold(path)
    add("a", 9)
    assert cache.hold(path)


def test_removal_by_another_process_while_it_is_opened_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = add("a", 9)
    monkeypatch.setattr(cache.fcntl, "flock", lambda *_: path.rename(path.with_name(".old")))
    assert not cache.hold(path)


def test_an_unwritable_cache_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    cache.write("answers", "a", "text")
    cache.prune("answers")
    with pytest.raises(OSError, match="file"):
        cache.read("answers", "a")


def test_documentation_has_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    large = {name for name, limit in cache.LIMITS.items() if limit.size == 10 * cache.GIB}
    assert large == {"bases", "blobs", "environments", "wheels"}
    assert cache.LIMITS["environments"].count == cache.LIMITS["bases"].count == 20
    others = sum(limit.size for name, limit in cache.LIMITS.items() if name not in large)
    text = (Path(__file__).parents[1] / "docs" / "environment.md").read_text("utf-8")
    assert f"together up to {others / cache.GIB:.1f} GiB" in text
    assert all(f"`{name}`" in text for name in large)


def test_doctor_shows_the_sizes(home: Path) -> None:
    add("a", 1, 2_500_000)
    add("b", 1, 10, "answers")
    finding = next(check() for check in doctor.EXAMINATIONS if check.__name__ == "_cache")
    assert finding.detail == f"{home}, 3 MB: environments 2 MB"
