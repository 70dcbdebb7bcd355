"""Hints of the stages after inspection are followed literally, and lead to exit code 0.

Each case is a first command that fails. Its hint names an option, a command, or a change of a file,
which is what the test does next.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from hints import OWN, Case, follow, run_script
from sklearn.linear_model import LogisticRegression

import modelpack

BYTE_CODE = Path(__file__).parents[1] / "data" / "byte_code" / "function-dill-0.4.1.pkl"
FRAME = pd.DataFrame({"a": np.arange(12.0), "b": np.arange(12.0) % 5})
LABELS = np.array([0, 1] * 6)
TRAINING = """
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
import joblib

model = make_pipeline(Half(), LogisticRegression()).fit([[1.0], [4.0]], [0, 1])
joblib.dump(model, "model.joblib")
"""


def save_model() -> None:
    joblib.dump(LogisticRegression().fit(FRAME, LABELS), "m.pkl")
    FRAME.to_csv("rows.csv", index=False)


def save_script(script: str = "train.py", imported: str = "") -> None:
    """Save a model with a class of `script`, or of the module `imported`."""
    Path(script).write_text(OWN)
    Path("model.joblib").write_bytes(trained(imported))


@cache
def trained(imported: str) -> bytes:
    start = f"from {imported} import Half\n" if imported else OWN
    run_script(start + TRAINING)
    return Path("model.joblib").read_bytes()


def write(name: str, content: str, save: Callable[[], None] = save_model) -> Callable[[], None]:
    def both() -> None:
        save()
        Path(name).parent.mkdir(exist_ok=True, parents=True)
        Path(name).write_text(content)

    return both


def save_latin() -> None:
    save_script()
    Path("train.py").write_bytes(f"{OWN}NAME = 'é'\n".encode("latin-1"))


def save_notebook() -> None:
    save_script()
    cell = {"cell_type": "code", "source": OWN, "metadata": {}, "outputs": []}
    Path("train.ipynb").write_text(json.dumps({"cells": [cell], "nbformat": 4}))
    Path("train.py").unlink()


def save_byte_code() -> None:
    shutil.copy(BYTE_CODE, "model.joblib")


def save_reserved() -> None:
    save_script("app.py", "app")


def save_link() -> None:
    save_script("halves.py", "halves")
    Path("elsewhere").mkdir()
    Path("halves.py").rename("elsewhere/halves.py")
    Path("code").mkdir()
    Path("code/halves.py").symlink_to("../elsewhere/halves.py")


def save_recorded() -> None:
    save_model()
    modelpack.record(joblib.load("m.pkl"), FRAME, "m.pkl")
    joblib.dump(LogisticRegression(C=2).fit(FRAME, LABELS), "m.pkl")


def record() -> None:
    modelpack.record(joblib.load("m.pkl"), FRAME, "m.pkl")


def save_typed() -> None:
    save_model()
    FRAME.astype({"a": str}).to_parquet("rows.parquet")


def save_expected() -> None:
    save_model()
    np.savetxt("y.csv", LogisticRegression().fit(FRAME, LABELS).predict(FRAME), fmt="%d")


def rows_in(name: str) -> Callable[[], None]:
    return lambda: FRAME.to_csv(name, index=False)


TOML = "modelpack.toml"
CODE = "inspect model.joblib --code"
CASES = {
    # The author's code.
    "script without the class": Case(
        write("other.py", "x = 1\n", save_script),
        f"{CODE} other.py",
        values=(("FILE.py", "train.py"),),
    ),
    "no script at this path": Case(save_script, f"{CODE} trian.py"),
    "notebook": Case(
        save_notebook,
        f"{CODE} train.ipynb",
        "jupyter nbconvert --to script train.ipynb",
        lambda: Path("train.py").write_text(OWN),
    ),
    "script of Python 2": Case(
        write("train.py", f"{OWN}print 'done'\n", save_script),
        f"{CODE} train.py",
        "Correct the line",
        lambda: Path("train.py").write_text(f"{OWN}print('done')\n"),
    ),
    "script in another encoding": Case(
        save_latin,
        f"{CODE} train.py",
        "declare its encoding in the first line: # coding: latin-1",
        lambda: Path("train.py").write_bytes(
            b"# coding: latin-1\n" + Path("train.py").read_bytes()
        ),
    ),
    "script with data": Case(
        write("train.py", f"{OWN}DATA = '{'a' * 2**20}'\n", save_script),
        f"{CODE} train.py",
        "Move data out of the module",
        lambda: Path("train.py").write_text(OWN),
    ),
    "script with a deep expression": Case(
        write("train.py", f"{OWN}DEEP = {'-' * 100_000}1\n", save_script),
        f"{CODE} train.py",
        "Split its longest expression",
        lambda: Path("train.py").write_text(OWN),
    ),
    "module with a name of the bundle": Case(
        save_reserved,
        "inspect model.joblib --code app.py",
        "Rename it, and save the model again",
        lambda: (Path("app.py").unlink(), save_script("halves.py", "halves")),
        (("--code", "halves.py"),),
    ),
    "link to another folder": Case(
        save_link,
        f"{CODE} code",
        values=(("PATH", "elsewhere"),),
    ),
    "function as byte code": Case(
        save_byte_code,
        "inspect model.joblib",
        "import it from there in the training script, save the model again",
        lambda: save_script("halves.py", "halves"),
        (("FILE.py", "halves.py"),),
    ),
    "start-up module in a file": Case(
        write(
            TOML,
            'code = ["modelpack_startup.py"]\n',
            write("modelpack_startup.py", "SETTING = 1\n"),
        ),
        "bundle m.pkl -o b",
    ),
    # The environment.
    "path as a requirement": Case(save_model, "lock m.pkl --requirement ./pandas"),
    "version that does not exist": Case(save_model, "lock m.pkl --requirement scikit-learn==99"),
    "platform": Case(save_model, "lock m.pkl --platform windows"),
    "lock in no folder": Case(
        save_model, "lock m.pkl -o nowhere/x.lock", values=(("-o", "x.lock"),)
    ),
    # Bundle and configuration.
    "folder with other files": Case(
        write("full/x", ""), "bundle m.pkl -o full", values=(("-o", "b"),)
    ),
    "configuration that is no TOML": Case(
        write(TOML, "python: 3.11\n"),
        "bundle m.pkl -o b",
        "Write it as TOML",
        lambda: Path(TOML).write_text('python = "3.11"\n'),
    ),
    "unknown setting": Case(
        write(TOML, 'pyhton = "3.11"\n'),
        "bundle m.pkl -o b",
        r"Choose from: .*\bpython\b",
        lambda: Path(TOML).write_text('python = "3.11"\n'),
    ),
    # Rows and predictions.
    "example without a column": Case(
        write("e.csv", "a\n1\n"),
        "bundle m.pkl -o b --example e.csv",
        "inspect MODEL",
        rows_in("e.csv"),
    ),
    "example in another format": Case(
        write("rows.xlsx", ""),
        "bundle m.pkl -o b --example rows.xlsx",
        r"\.csv",
        values=(("--example", "rows.csv"),),
    ),
    "example that does not exist": Case(
        save_model,
        "bundle m.pkl -o b --example row.csv",
        "Check the path",
        values=(("--example", "rows.csv"),),
    ),
    "example without rows": Case(
        write("e.csv", "a,b\n"),
        "bundle m.pkl -o b --example e.csv",
        "at least one row",
        rows_in("e.csv"),
    ),
    "example of other types": Case(
        save_typed,
        "bundle m.pkl -o b --example rows.parquet",
        "rows with the dtypes of training, for example as parquet",
        lambda: FRAME.to_parquet("rows.parquet"),
    ),
    "record of another model": Case(
        save_recorded, "bundle m.pkl -o b", r"Call modelpack\.record\(model, X, path\)", record
    ),
    "malformed record": Case(
        write("m.pkl.record.json", "{}"),
        "bundle m.pkl -o b",
        r"Create it again with modelpack\.record\(model, X, path\)",
        record,
    ),
    "predictions without rows": Case(
        save_expected,
        "package m.pkl --engine process --expected y.csv",
        values=(("--example FILE", "--example rows.csv"),),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_hints_lead_to_success(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    follow(CASES[name])
