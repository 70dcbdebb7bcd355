"""Models that nine releases of scikit-learn saved are packaged, and answer as at saving.

One file a release, in turn of each kind; `python scripts/make_ages.py --all` does them all.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

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
QUERIED = "0.20"
"""The release whose file is packaged without its answers."""


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
    if name == QUERIED:
        result = script.package_and_query(release, NINE[name])
        verdict, chosen = result.verdict, result.chosen
    else:
        verdict, chosen = package_with_answers(release, NINE[name])
    if verdict.startswith("exit 8") and not os.environ.get("CI"):
        pytest.skip(verdict)
    assert verdict == "as at saving"
    assert f"scikit-learn {name}." in chosen


def package_with_answers(release: Any, file: str) -> tuple[str, str]:
    """Return the verdict of the smoke test, which gets the saved answers, and the versions.

    The script packages without options, and starts another container for its query.
    """
    matrix = sys.modules["ages.matrix"]
    path = matrix.saved(release) / file
    answers, tag = str(path.with_suffix(".json")), f"modelpack-ages/{release.name}:{file}"
    options = ("--tag", tag, "--example", answers, "--expected", answers)
    packaged = matrix.containers.package([path], *options)
    if packaged.document is None:
        return f"exit {packaged.code}: {packaged.stderr}", ""
    matrix.containers.remove(tag)
    parity = packaged.document["smoke"]["parity"]
    is_same = (
        parity["largest_difference"] == 0.0 and "POST /predict, rows by name" in parity["routes"]
    )
    chosen = matrix._chosen(packaged.document["environment"])
    return "as at saving" if is_same else f"differs: {parity}", chosen


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
