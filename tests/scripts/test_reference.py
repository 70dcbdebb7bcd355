"""The pages of docs/reference are those that scripts/make_reference.py writes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "make_reference.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_reference", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_that_of_the_code(script: ModuleType) -> None:
    folder = ROOT / "docs" / "reference"
    assert sorted(script.PAGES) == sorted(path.name for path in folder.iterdir())
    old = [name for name, write in script.PAGES.items() if (folder / name).read_text() != write()]
    assert old == [], "run: make reference"


def test_a_variable_without_a_description_is_an_error(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "INTERNAL", script.INTERNAL - {"UV_OFFLINE"})
    with pytest.raises(SystemExit, match=r"without a description: .'UV_OFFLINE'."):
        script.variables()


def test_keys_are_those_that_a_function_returns(script: ModuleType) -> None:
    def document() -> dict[str, object]:
        return {"one": 1, **({"two": 2} if script else {})}

    assert script.returned_keys(document) == ["one", "two"]
