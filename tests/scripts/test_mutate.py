"""The changes of the script that plants bugs, and its choice."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def mutate(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("mutate")


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("a < b", {"(a <= b)"}),
        ("a and b", {"(a or b)"}),
        ("not a", {"(a)"}),
        ("x = 3", {"x = (4)", "x = (2)"}),
        ("x = True", {"x = (False)"}),
        ("f(a, b)", {"pass", "(f(a))"}),
        ("f(a, k=b)", {"pass", "(f(a))"}),
        ("def f(a: int = b) -> 3:\n    return a", {"def f(a: int = b) -> 3:\n    return None"}),
        ("raise E(1, 2)", set()),
    ],
)
def test_each_kind_of_change(
    mutate: ModuleType,
    text: str,
    changes: set[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mutate, "ROOT", tmp_path)
    (tmp_path / "m.py").write_text(text)
    assert {m.source.decode() for m in mutate._mutants(tmp_path / "m.py", "")} == changes


def test_the_choice_depends_on_the_seed_alone(mutate: ModuleType) -> None:
    first, again, other = (mutate._choose(["oci/"], 20, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert {mutant.module.split("/")[1] for mutant in first} == {"oci"}
