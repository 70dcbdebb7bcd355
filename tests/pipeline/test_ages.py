"""Models that nine releases of scikit-learn saved are packaged, and answer as at saving.

One file a release, in turn of each kind; `python scripts/make_ages.py --all` does them all.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from modelpack.engines import interpreters

ROOT = Path(__file__).parents[2]
NINE = {
    "0.20": "mixed.joblib",
    "0.22": "forest.joblib",
    "0.24": "text.pkl",
    "1.0": "boosting.joblib",
    "1.2": "dicts.pkl",
    "1.3": "iris.joblib",
    "1.5": "mixed.pkl",
    "1.7": "forest.pkl",
    "1.9": "text.joblib",
}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return importlib.import_module("make_ages")


def test_fixtures_contain_nine_releases_and_all_kinds(script: ModuleType) -> None:
    assert tuple(NINE) == script.NINE
    assert set(NINE.values()) <= set(script.FILES)
    kinds = {name.partition(".")[0] for name in script.FILES}
    assert {file.partition(".")[0] for file in NINE.values()} == kinds


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.parametrize("name", NINE)
def test_a_model_of_a_release_answers_as_at_saving(name: str, script: ModuleType) -> None:
    release = next(release for release in script.RELEASES if release.name == name)
    if not interpreters.find(release.python) and not os.environ.get("CI"):
        pytest.skip(f"there is no Python {release.python} here")
    result = script.package_and_query(release, NINE[name])
    if result.verdict.startswith("exit 8") and not os.environ.get("CI"):
        pytest.skip(result.verdict)
    assert result.verdict == "as at saving"
    assert f"scikit-learn {name}." in result.chosen


def test_difference_in_the_last_bit_is_reported(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = {"instances": [[1.0]], "predictions": [0.1], "probabilities": None}
    matrix = sys.modules["ages.matrix"]
    for answer, verdict in ((0.1, "as at saving"), (0.10000000000000002, "differs")):
        monkeypatch.setattr(
            matrix.containers,
            "predict",
            lambda *_, probabilities, answer=answer: (200, {"predictions": [answer]}),
        )
        assert matrix._compared("", expected).startswith(verdict)
