"""Models that old releases of scikit-learn saved: their compiled forms answer as they did.

`scripts/make_compiled.py --corpus` makes the models.
"""

from __future__ import annotations

import importlib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from modelpack.compilation.proof import BOUND
from modelpack.inspection import limits

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "data" / "compiled"
LEAST_MODELS = 180
LEAST_CLASSES = 125


@pytest.fixture
def comparison(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("KEPT_BYTES", "KEPT_TOTAL"):
        monkeypatch.setattr(limits, name, limits.STREAM_BYTES)
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("compiled.comparison")


@pytest.mark.parametrize("release", sorted(path.stem for path in CORPUS.glob("*.zip")))
def test_compiled_models_answer_as_their_release(
    comparison: Any, release: str, tmp_path: Path
) -> None:
    with zipfile.ZipFile(CORPUS / f"{release}.zip") as archive:
        archive.extractall(tmp_path)
    results = list(comparison.compare_all(tmp_path))
    findings = [each for each in results if each.refused or each.wrong or each.ulp > BOUND]
    assert findings == []
    assert len(results) > LEAST_MODELS
    assert len({each.kind for each in results}) > LEAST_CLASSES
