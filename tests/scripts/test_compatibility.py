"""The script that packages published models judges as it should, and its table is complete."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BUILT = {
    "model": {"signature": {"inputs": [{"example": 4.5}]}},
    "environment": {"python": "3.11", "requirements": {"numpy": "1.26.2"}},
}


@pytest.fixture
def verdicts(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("compatibility.verdicts")


@pytest.fixture
def judge_row(verdicts: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Judges a row of a model that has been packaged (or not) and answers so."""

    def judge(row: Any, answer: Any = None, status: int = 200, packaged: Any = None) -> Any:
        result = packaged or verdicts.containers.Packaged(0, BUILT, "")
        monkeypatch.setattr(verdicts, "_recorded", lambda _: "scikit-learn 1.3.2")
        monkeypatch.setattr(verdicts.containers, "package", lambda *_: result)
        monkeypatch.setattr(verdicts.containers, "remove", lambda _: None)
        monkeypatch.setattr(verdicts.containers, "container", _Container)
        monkeypatch.setattr(
            verdicts.containers, "predict", lambda *_, probabilities: (status, answer)
        )
        return verdicts.judge(row, Path("/models"))

    return judge


class _Container:
    def __init__(self, image: str) -> None:
        self.image = image

    def __enter__(self) -> str:
        return "http://127.0.0.1:1"

    def __exit__(self, *_: object) -> None: ...


def test_result_must_equal_the_documentation(verdicts: ModuleType, judge_row: Any) -> None:
    request = verdicts.Request([[1.0]], [0.5], [[0.25, 0.75]], tolerance=0.01)
    row = verdicts.Row("svc", ("model.pkl",), (request,))
    good = {"predictions": [0.505], "probabilities": [{"a": 0.25, "b": 0.7499}]}
    assert judge_row(row, good).verdict == "as documented"
    for wrong in (
        {**good, "predictions": [0.52]},
        {**good, "predictions": ["0.5"]},
        {**good, "predictions": [0.5, 0.5]},
        {**good, "probabilities": [{"a": 0.25, "b": 0.7}]},
    ):
        assert not judge_row(row, wrong).passed
    assert not judge_row(row, {"detail": "no"}, status=422).passed


def test_a_label_is_not_taken_for_another_type(verdicts: ModuleType, judge_row: Any) -> None:
    row = verdicts.Row("svc", ("model.pkl",), (verdicts.Request([[1.0]], [1]),))
    assert judge_row(row, {"predictions": [1]}).passed
    assert not judge_row(row, {"predictions": [True]}).passed


def test_explanation_needs_the_exit_code_and_the_message(
    verdicts: ModuleType, judge_row: Any
) -> None:
    row = verdicts.Row("empty", ("model.pkl",), codes=(3,), words="0 bytes")
    refusal = verdicts.containers.Packaged(3, None, "error: it has 0 bytes.\nhint: save it again")
    assert judge_row(row, packaged=refusal).verdict == "explained"
    assert judge_row(row, packaged=refusal).outcome == "exit 3: it has 0 bytes."
    assert not judge_row(row, packaged=verdicts.containers.Packaged(1, None, "0 bytes")).passed
    assert not judge_row(
        row, packaged=verdicts.containers.Packaged(3, None, "something else")
    ).passed
    assert not judge_row(row, packaged=verdicts.containers.Packaged(0, BUILT, "")).passed


def test_a_model_that_is_not_packaged_is_a_failure(verdicts: ModuleType, judge_row: Any) -> None:
    row = verdicts.Row("svc", ("model.pkl",), (verdicts.Request([[1.0]], [1]),))
    result = judge_row(row, packaged=verdicts.containers.Packaged(5, None, "error: no versions"))
    assert (result.passed, result.verdict) == (False, "FAILED: exit 5")


def test_the_document_has_a_line_for_every_row(verdicts: ModuleType) -> None:
    rows = importlib.import_module("compatibility.rows").ROWS
    document = (ROOT / "docs" / "compatibility.md").read_text()
    lines = [line for line in document.splitlines() if line.startswith("| ")]
    missing = [
        row
        for row in rows
        if not any(f"| {row.folder}: {' + '.join(row.files)}" in line for line in lines)
    ]
    assert missing == []
