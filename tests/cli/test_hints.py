"""Hints are followed literally, from the first command on: they lead to a model that can be served.

Each case is a first command. Options and commands of a hint are added to it, until `inspect` exits
with 0, or with 4 for a file that no option makes a model. No case needs more than three commands.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import joblib
import lightgbm
import numpy as np
import pytest
import xgboost
from hints import OWN, run, run_script
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.preprocessing import LabelEncoder, StandardScaler

DATA = Path(__file__).parents[1] / "data"
X = np.arange(24.0).reshape(12, 2)
Y = np.array([0, 1] * 6)
TEXTS = ["red green", "cash offer"] * 6
SCALER = StandardScaler().fit(X)
MODEL = LogisticRegression().fit(SCALER.transform(X), Y)
OLD = LogisticRegression().fit(X, Y)
MAX_COMMANDS = 3
SERVED, UNSUPPORTED = 0, 4


def save_scaler_and_model() -> None:
    joblib.dump({"model": MODEL, "scaler": SCALER, "old": OLD}, "parts.pkl")


def save_model_and_encoders() -> None:
    encoder = LabelEncoder().fit(["n", "y"])
    joblib.dump({"scalers": {"a b": SCALER}, "clf": MODEL, "old": OLD, "le": encoder}, "parts.pkl")


def save_two_models() -> None:
    joblib.dump({"2025": MODEL, "2026": OLD}, "parts.pkl")


def save_native() -> None:
    joblib.dump(SCALER, "scaler.pkl")
    xgboost.XGBClassifier(n_estimators=2).fit(X, Y).save_model("m.json")
    light = lightgbm.LGBMClassifier(n_estimators=2, min_child_samples=1, verbose=-1).fit(X, Y)
    light.booster_.save_model("m.txt")


def save_texts() -> None:
    vectorizer = TfidfVectorizer().fit(TEXTS)
    joblib.dump(vectorizer, "vectorizer.pkl")
    joblib.dump(MultinomialNB().fit(vectorizer.transform(TEXTS), Y), "model.pkl")


def save_own(module: str, script: str) -> None:
    """Save a pipeline with a class of `module`, which the file `script` defines."""
    Path(script).parent.mkdir(exist_ok=True)
    Path(script).write_text(OWN)
    code = (
        "import sys, runpy, pickle; from sklearn.pipeline import make_pipeline\n"
        "from sklearn.linear_model import LogisticRegression\n"
        f"sys.path.insert(0, {str(Path(script).parent)!r})\n"
        + (
            "exec(open('train.py').read())\n"
            if module == "__main__"
            else f"from {module} import Half\n"
        )
        + "model = make_pipeline(Half(), LogisticRegression()).fit([[1.0], [4.0]], [0, 1])\n"
        "pickle.dump(model, open('model.pkl', 'wb'))\n"
    )
    run_script(code)


def save_script() -> None:
    save_own("__main__", "train.py")


def save_script_elsewhere() -> None:
    save_script()
    Path("elsewhere").mkdir()
    Path("train.py").rename("elsewhere/train.py")


def save_module() -> None:
    save_own("halves", "src/halves.py")


def save_module_elsewhere() -> None:
    save_own("halves", "elsewhere/halves.py")


def save_unfitted() -> None:
    joblib.dump(LogisticRegression(), "model.pkl")


def save_nothing() -> None:
    joblib.dump({"accuracy": 0.9}, "model.pkl")
    Path("empty.pkl").touch()


def save_copies() -> None:
    for name in ("formats/several.pkl", "formats/safetensors.safetensors", "formats/csv.csv",
                 "alarms/sklearn-crfsuite-0.5.0.pkl"):  # fmt: skip
        Path(Path(name).name).write_bytes((DATA / name).read_bytes())


@dataclass(frozen=True)
class Case:
    """A first command, what its hints leave open, and its end.

    Attributes:
        values: The values that the user puts in place of the placeholders of hints.
    """

    save: Callable[[], None]
    arguments: str
    end: int = SERVED
    values: tuple[tuple[str, str], ...] = ()


CASES = {
    "model and scaler": Case(save_scaler_and_model, "parts.pkl"),
    "nested scaler and labels": Case(save_model_and_encoders, "parts.pkl"),
    "two models": Case(save_two_models, "parts.pkl"),
    "wrong key": Case(save_two_models, "parts.pkl --select clf"),
    "select of a single model": Case(save_texts, "vectorizer.pkl --select x"),
    "booster before its scaler": Case(save_native, "m.json scaler.pkl"),
    "two boosters": Case(save_native, "m.json m.txt"),
    "select of a booster": Case(save_native, "m.json --select model"),
    "model before its vectorizer": Case(save_texts, "model.pkl vectorizer.pkl"),
    "class of a script": Case(save_script, "model.pkl", SERVED),
    "class of a script elsewhere": Case(
        save_script_elsewhere, "model.pkl", SERVED, (("FILE.py", "elsewhere/train.py"),)
    ),
    "class of a module": Case(save_module, "model.pkl", SERVED),
    "class of a module elsewhere": Case(
        save_module_elsewhere, "model.pkl", SERVED, (("PATH", "elsewhere"),)
    ),
    "not fitted": Case(save_unfitted, "model.pkl", UNSUPPORTED),
    "no model": Case(save_nothing, "model.pkl", UNSUPPORTED),
    "several pickles": Case(save_copies, "several.pkl", UNSUPPORTED),
    "safetensors": Case(save_copies, "safetensors.safetensors", UNSUPPORTED),
    "csv": Case(save_copies, "csv.csv", UNSUPPORTED),
    "sequences": Case(save_copies, "sklearn-crfsuite-0.5.0.pkl", UNSUPPORTED),
}

_COMMAND = re.compile(r"modelpack (?:inspect|package) (.+)")
_ORDER = re.compile(r"Give the files in this order: (.+)")
_OPTION = re.compile(r"--(?:select|trust|code) (?:'[^']*'|[^\s']+)")
_LISTED = re.compile(r"Estimators in the file: ([\w.]+)")


def inspect(arguments: str) -> tuple[int, str]:
    return run(f"inspect {arguments}")


def followed(arguments: str, hint: str, values: tuple[tuple[str, str], ...]) -> str:
    """Return the arguments of the next command, as the hint says."""
    if "Leave out --select" in hint:
        return re.sub(r" --select \S+", "", arguments)
    if listed := _LISTED.search(hint):
        return re.sub(r"--select \S+", f"--select {listed[1]}", arguments)
    for pattern in (_ORDER, _COMMAND):
        if (found := pattern.search(hint)) and "for all findings" not in hint:
            return found[1].strip()
    options = [each.rstrip(".,") for each in _OPTION.findall(hint.partition(". ")[0])]
    for placeholder, value in values:
        options = [each.replace(f"--code {placeholder}", f"--code {value}") for each in options]
    new = [each for each in options if each not in arguments]
    return " ".join([arguments, *new])


def test_inspect_does_not_name_itself_for_the_findings_that_it_shows(tmp_path):
    (tmp_path / "model.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    assert inspect(str(tmp_path / "model.pkl")) == (3, "Do not load this file.")


@pytest.mark.parametrize("name", CASES)
def test_hints_lead_to_a_model_or_to_the_reason_why_there_is_none(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    case = CASES[name]
    case.save()
    arguments, printed = case.arguments, []
    for _ in range(MAX_COMMANDS):
        code, hint = inspect(arguments)
        printed.append(f"{arguments}: exit {code}, {hint}")
        if code == case.end and (code == UNSUPPORTED or not hint):
            return
        assert hint, printed
        arguments = followed(arguments, hint, case.values)
    pytest.fail("\n".join(printed))


@pytest.mark.parametrize(("script", "folder"), [("halves.py", "."), ("my src/halves.py", "my src")])
def test_hint_names_the_folder_of_the_code(tmp_path, monkeypatch, script, folder):
    monkeypatch.chdir(tmp_path)
    save_own("halves", script)
    Path("model.pkl").replace(Path(folder) / "model.pkl")
    model = shlex.quote(str(Path(folder) / "model.pkl"))
    option = f"--code {shlex.quote(folder)}"
    code, hint = inspect(model)
    assert hint.endswith(f"the code found: {option}")
    assert (code, inspect(f"{model} {option}")) == (3, (SERVED, ""))


def test_path_of_code_is_checked_before_the_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_script()
    command = [sys.executable, "-m", "modelpack", "inspect", "model.pkl", "--code", "nowhere.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "The path nowhere.py of --code does not exist." in done.stderr
    assert "FILE.py" not in done.stderr
