"""The script that counts verdicts over the test files of other projects."""

from __future__ import annotations

import importlib
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

Run = Callable[[], tuple[int, str]]

ROOT = Path(__file__).parents[2]
CALL = b"cos\nsystem\n(Vtrue\ntR."
SOURCE = b"""
raise SystemExit("a test file is read and not run")
payload = (b"cos\\nsystem\\n"
           b"(Vtrue\\ntR.")
folded = b"(" + b"N" * 3 + b"t."
again = b"(" + b"NNNt."
fragment = b"no end"
"""


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("count_corpora")


@pytest.fixture
def reading(count: ModuleType) -> ModuleType:
    return importlib.import_module("corpora.reading")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Files of a project that are named as those of picklescan."""
    folder = tmp_path / "picklescan" / "tests" / "data"
    folder.mkdir(parents=True)
    (folder / "benign.pkl").write_bytes(pickle.dumps([1, 2]))
    (folder / "malicious.pkl").write_bytes(CALL)
    (folder / "README.md").write_bytes(b"no model.")
    (folder.parent / "test_scanner.py").write_bytes(SOURCE)
    return tmp_path / "picklescan"


@pytest.fixture
def run(
    count: ModuleType,
    corpus: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Counts the corpus, and returns the exit status and the output."""

    def counted() -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["count_corpora.py", f"picklescan={corpus}"])
        return count.main(), capsys.readouterr().out

    return counted


def test_models_and_literals_are_read_once_each(reading: ModuleType, corpus: Path) -> None:
    found = {payload.path: payload.data for payload in reading.payloads(corpus)}
    assert found == {
        "tests/data/benign.pkl": pickle.dumps([1, 2]),
        "tests/data/malicious.pkl": CALL,
        "tests/test_scanner.py:3": CALL,
        "tests/test_scanner.py:6": b"(NNNt.",
    }


def test_the_newest_commit_of_a_git_directory_is_read(reading: ModuleType, corpus: Path) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    for command in (("init", "-q"), ("add", "."), (*identity, "commit", "-qm", "All")):
        subprocess.run(["git", *command], cwd=corpus, check=True)
    (corpus / "tests" / "data" / "later.pkl").write_bytes(b"N.")
    paths = [payload.path for payload in reading.payloads(corpus)]
    assert "tests/data/malicious.pkl" in paths
    assert "tests/data/later.pkl" not in paths
    assert len(reading.revision(corpus)) == 40


def test_source_of_another_python_has_no_literals(reading: ModuleType) -> None:
    assert list(reading.literals(b"print 'a', b'N.'")) == []


def test_counts_are_printed(run: Run) -> None:
    status, out = run()
    assert status == 0
    assert "| picklescan | 2 | 2 | 2 | 0 | 2 | 0 | 0 | 0 of 1 | 0 of 1 |" in out
    assert "tests/data" not in out


@pytest.mark.parametrize(
    ("name", "data"), [("malicious_none.pkl", b"\x80\x02N."), ("benign_call.pkl", CALL)]
)
def test_a_disagreement_is_listed_and_fails(run: Run, corpus: Path, name: str, data: bytes) -> None:
    (corpus / "tests" / "data" / name).write_bytes(data)
    status, out = run()
    assert status == 1
    assert f"picklescan: 'tests/data/{name}'" in out


def test_a_bug_of_the_inspector_is_counted_and_fails(
    run: Run, count: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> None:
        raise count.isolation.InspectorError(path.name)

    monkeypatch.setattr(count.isolation, "inspect", fail)
    status, out = run()
    assert status == 1
    assert "| 0 | 0 | 0 | 0 | 4 | 0 of 1 | 0 of 1 |" in out


def test_only_listed_files_have_an_explanation(count: ModuleType) -> None:
    path = "tests/assets/samples/pickles/nested_pickle_raw.pkl"
    assert count.label("modelaudit", path) == "malicious"
    assert count.explanation("modelaudit", path)
    assert not count.explanation("picklescan", path)
    assert not count.explanation("modelaudit", "tests/assets/samples/pickles/evil.pickle")
