"""Models trained on DataFrames answer their own training rows as their authors do.

Some models of `scripts/frames`, trained and served with the libraries of the tests;
`make frames` runs all of them with four sets of libraries.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TRAIN = ROOT / "scripts" / "frames" / "inside" / "train.py"
NAMES = (
    "titanic",
    "remainder",
    "dummies",
    "booleans",
    "nullable",
    "string_categories",
    "integer_categories",
    "boolean_categories",
    "histogram_dtype",
    "dates",
    "linear",
    "odd_names",
    "lightgbm_integers",
    "xgboost_strings",
    "catboost_pickle",
    "oversampled",
    "own_before_columns",
    "own_classifier",
    "own_pipeline",
    "set_output",
    "scaler_in_dict",
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scripts() -> Iterator[None]:
    sys.path.insert(0, str(ROOT / "scripts"))
    yield
    sys.path.remove(str(ROOT / "scripts"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the models, trained with the libraries of the tests."""
    folder = tmp_path_factory.mktemp("frames")
    command = [sys.executable, "-W", "ignore", str(TRAIN), str(folder), str(ROOT), *NAMES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def verdicts(scripts: None) -> ModuleType:
    return importlib.import_module("frames.verdicts")


def case(folder: Path) -> Any:
    release = SimpleNamespace(name="tests", interpreter=Path(sys.executable))
    return importlib.import_module("frames.sets").Case(release, folder)


@pytest.mark.parametrize("name", NAMES)
def test_training_rows_get_the_answers_of_the_author(
    name: str, trained: Path, verdicts: ModuleType
) -> None:
    verdict = verdicts.judge(case(trained / name), quick=True)
    assert verdict.state == "right", "\n".join(verdict.details)


def test_a_wrong_answer_is_noticed(trained: Path, verdicts: ModuleType, tmp_path: Path) -> None:
    """One expected label is changed: the verdict follows from the answers themselves."""
    document = json.loads((trained / "titanic" / "case.json").read_text())
    predictions = document["ways"][0]["predictions"]
    predictions[0] = "yes" if predictions[0] == "no" else "no"
    document["record"] = document["example"] = None
    for path in (trained / "titanic").iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "case.json").write_text(json.dumps(document))
    verdict = verdicts.judge(case(tmp_path), quick=True)
    assert verdict.state == "wrong"
    assert [answer.way for answer in verdict.outcomes[0].answers if answer.state == "wrong"] == [
        document["ways"][0]["name"]
    ]
