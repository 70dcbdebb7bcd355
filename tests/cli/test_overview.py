"""`modelpack` alone shows the models in the folder and the next command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

DATA = Path(__file__).parents[1] / "data"
SAMPLES = Path(__file__).parents[2] / "sample_models"
SVC = SAMPLES / "kserve-svc" / "model.joblib"
X, Y = np.arange(8.0).reshape(4, 2), [0, 1, 0, 1]


def overview(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "modelpack"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    return done.stdout


def test_folder_without_models_gets_the_help(tmp_path) -> None:
    (tmp_path / "rows.csv").write_text("a\n1\n")
    (tmp_path / "data.json").write_text("{}")
    assert overview(tmp_path).startswith("Usage: modelpack")


def test_model_is_described_with_the_next_command(tmp_path) -> None:
    shutil.copy(SVC, tmp_path / "my model.joblib")
    shown = overview(tmp_path)
    assert "my model.joblib" in shown
    assert "SVC, scikit-learn 1.3.2, 4 inputs" in shown
    assert "modelpack package 'my model.joblib'" in shown
    assert "modelpack serve 'my model.joblib'" in shown


def test_newest_model_comes_first(tmp_path) -> None:
    for seconds, name in enumerate(("old.joblib", "new.joblib")):
        shutil.copy(SVC, tmp_path / name)
        os.utime(tmp_path / name, (seconds, seconds))
    shown = overview(tmp_path)
    assert shown.index("new.joblib") < shown.index("old.joblib")
    assert "modelpack package new.joblib" in shown


def test_transformer_and_classifier_are_one_command(tmp_path) -> None:
    scaler = StandardScaler().fit(X)
    joblib.dump(LogisticRegression().fit(scaler.transform(X), Y), tmp_path / "model.pkl")
    joblib.dump(scaler, tmp_path / "scaler.pkl")
    assert "modelpack package scaler.pkl model.pkl" in overview(tmp_path)


def test_models_of_subfolders_are_shown_if_the_folder_has_none(tmp_path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / ".venv").mkdir()
    for folder in ("models", ".venv"):
        shutil.copy(SVC, tmp_path / folder / "svc.joblib")
    shown = overview(tmp_path)
    assert "modelpack package models/svc.joblib" in shown
    assert ".venv" not in shown


def test_unsafe_and_foreign_files_lead_to_inspect(tmp_path) -> None:
    (tmp_path / "evil\x1b[2J.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    shown = overview(tmp_path)
    assert "refused: unsafe" in shown
    assert "modelpack inspect" in shown
    assert "modelpack package" not in shown


def test_bundle_is_listed(tmp_path) -> None:
    (tmp_path / "churn-bundle").mkdir()
    (tmp_path / "churn-bundle" / "modelpack.json").write_text("{}")
    assert "modelpack build churn-bundle" in overview(tmp_path)


def test_only_the_first_files_are_inspected(tmp_path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "modelpack.json").write_text("{}")
    os.utime(tmp_path / "bundle", (2**31, 2**31))
    for number in range(14):
        shutil.copy(SVC, tmp_path / f"{number:02}.joblib")
    shown = overview(tmp_path)
    assert shown.count("SVC, scikit-learn") == 6
    assert shown.count("not inspected") == 5
    assert "and 3 more" in shown


@pytest.mark.parametrize("name", ["-t.pkl", "--help.joblib"])
def test_name_like_an_option_stays_a_path(tmp_path, name) -> None:
    shutil.copy(SVC, tmp_path / name)
    assert f"modelpack package ./{name}" in overview(tmp_path)
