"""Models that old releases of scikit-learn saved: their compiled forms answer as they did.

`scripts/make_compiled.py --corpus` makes the models. They are compiled and compared in a process
that can import neither scikit-learn nor scipy.
"""

from __future__ import annotations

import importlib
import zipfile
from pathlib import Path

import pytest

from modelpack.compilation.proof import BOUND

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "data" / "compiled"
LEAST_MODELS = 180
LEAST_CLASSES = 120
REFUSED = {"MultiOutputClassifier"}
"""Classes without a compiled form, because they return a list of probabilities."""
CANCELLED = {("0.24", "RegressorChain")}
"""Release and class of sums of 1e12 that nearly cancel, in one row alone. The proof refuses it."""


@pytest.mark.parametrize("release", sorted(path.stem for path in CORPUS.glob("*.zip")))
def test_compiled_models_answer_as_their_release(
    release: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    processes = importlib.import_module("compiled.processes")
    with zipfile.ZipFile(CORPUS / f"{release}.zip") as archive:
        archive.extractall(tmp_path)
    results = processes.compare(tmp_path)
    inexact = [each for each in results if each.ulp > BOUND]
    assert {each.kind for each in results if each.refused} == REFUSED
    findings = [each for each in results if each.wrong]
    findings += [each for each in inexact if (release, each.kind) not in CANCELLED]
    assert findings == []
    assert len(results) > LEAST_MODELS
    assert len({each.kind for each in results}) > LEAST_CLASSES
