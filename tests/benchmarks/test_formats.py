"""The table of formats: which samples, which versions, and the comparison of predictions."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks import formats
from modelpack.inspection.inspector import inspect

RESULT = {
    "format": "onnx", "megabytes": 318.4, "compared": 1_000, "difference": 2.4e-7, "ready": 0.61,
    "rows": 50_000.0, "1 connection": 900.0, "library": {"rows": 100_000.0, "1 connection": 9e3},
}  # fmt: skip


@pytest.mark.parametrize(("ours", "theirs", "expected"), [
    ([1.5, 2.0], [1.5, 2.25], 0.25), ([[1.0, 2]], [[1.0, 2]], 0.0), (["a", 1, True], ["a", 1, True],
     0.0), (["a"], ["b"], math.inf), ([1.0], [1.0, 2.0], math.inf), ([], [], 0.0), ([0.5], ["a"],
     math.inf), ([1], [2], math.inf),
])  # fmt: skip
def test_the_largest_difference_counts(ours: Any, theirs: Any, expected: float) -> None:
    assert formats.difference(ours, theirs) == expected


def test_each_format_has_the_first_sample_of_the_table() -> None:
    found = formats.first_of_each_format()
    assert {spec.format for _, spec in found.values()} >= {
        "joblib", "pickle", "lightgbm", "xgboost", "catboost", "onnx"
    }  # fmt: skip
    labels = [formats.label(model.files[-1], spec) for model, spec in found.values()]
    assert len(set(labels)) == len(labels)
    assert {"skops", "torchscript", "torch-export", "keras", "MLflow folder (pickle)"} < {*labels}
    assert next(iter(found)) == "iris"  # no other sample of joblib
    with pytest.raises(SystemExit, match="missing is none of"):
        formats.chosen(["missing"])


def test_versions_come_from_files_and_from_the_matrix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = tmp_path / "matrix.md"
    matrix.write_text(
        "| xgboost 0.81 (2018) | 3.7 | 15 | 15 | 2 of 2: xgboost model, pickle 4 |  |\n"
        "| xgboost 10.0 (2030) | 3.7 | 15 | 15 | 2 of 2: xgboost JSON, joblib zlib |  |\n"
        "| skl2onnx 1.7.0 (2020) | 3.8 | 1 | 1 | 1 of 1: ONNX |  |\n"
        "| other 1.0 (2020) | 3.8 | 1 | 1 | 0 of 1 |  |\n"
    )
    data = tmp_path / "data"
    (data / "formats").mkdir(parents=True)
    sample = formats.SAMPLES / "xgboost-json" / "model.json"
    (data / "model.json").write_bytes(sample.read_bytes())
    (data / "rows.csv").write_text("a,b\n1,2\n")
    monkeypatch.setattr(formats, "MATRIX", matrix)
    monkeypatch.setattr(formats, "DATA", data)
    monkeypatch.setattr(formats, "SAMPLES", tmp_path / "none")
    tried = formats.versions()
    spec = inspect(sample)
    assert tried["xgboost", "xgboost"] == {"0.81", "10.0", str(spec.framework_version)}
    assert tried["joblib", "xgboost"] == {"10.0"}
    assert formats.span(tried, "xgboost", spec) == "xgboost 0.81 to 10.0 (3)"
    assert formats.span(tried, "onnx", spec) == "skl2onnx 1.7.0"
    assert formats.span(tried, "keras", spec) == ""


def test_rows_have_ratios_and_parity() -> None:
    row = formats.in_a_row("onnx", "skl2onnx 1.7.0", RESULT)
    assert row == [
        "onnx", "onnx", "skl2onnx 1.7.0", "318", "0.61", "50,000 / 100,000 (0.5)",
        "900 / 9,000 (0.1)", "1,000 rows, within 2e-07",
    ]  # fmt: skip
    assert formats.in_a_row("onnx", "", {**RESULT, "difference": 0.0})[-1] == "1,000 rows, equal"


def test_a_sample_that_fails_is_listed() -> None:
    assert formats.not_measured({}) == []
    lines = formats.not_measured({"torch": "No wheel."})
    assert lines == ["", "- Not measured: torch. No wheel."]


def test_the_table_replaces_that_of_the_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tmp_path / "formats.md"
    document.write_text("a\n<!-- formats -->\nold\n<!-- /formats -->\nb\n")
    monkeypatch.setattr(formats, "DOCUMENT", document)
    formats.write("| new |")
    assert document.read_text() == "a\n<!-- formats -->\n| new |\n<!-- /formats -->\nb\n"
    document.write_text("a\n")
    with pytest.raises(SystemExit, match="has no section formats"):
        formats.write("| new |")
