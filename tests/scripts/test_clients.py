"""The environments of other projects' clients."""

from __future__ import annotations

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import clients
import pytest

LOCKS = sorted(clients.DIRECTORY.glob("*.lock"))


def test_concurrent_requests_get_the_same_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(clients, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(clients, "DIRECTORY", tmp_path)
    (tmp_path / "none.lock").write_text("# nothing\n")
    with ThreadPoolExecutor() as pool:
        pythons = set(pool.map(clients.environment, ["none"] * 4))
    (python,) = pythons
    subprocess.run([python, "-c", ""], check=True)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [python.parents[1].name]


def test_failed_lock_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(clients, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(clients, "DIRECTORY", tmp_path)
    (tmp_path / "bad.lock").write_text("no hash\n")
    with pytest.raises(AssertionError):
        clients.environment("bad")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_locks_have_hashes_and_name_no_index(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    pins = re.findall(r"^[\w.-]+==\S+.*\\\n    --hash=sha256:", text, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^[a-z]", text, re.MULTILINE)) > 10
    assert lock.with_suffix(".in").exists()
