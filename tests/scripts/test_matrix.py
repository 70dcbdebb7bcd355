"""The script that saves models of many libraries in every way: its table, verdicts and results."""

from __future__ import annotations

import gzip
import importlib
import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
INSIDE = ROOT / "scripts" / "matrix" / "inside"


class Command:
    """Something that runs a command when it is loaded."""

    def __reduce__(self) -> Any:
        return os.system, ("true",)


@pytest.fixture
def matrix(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    names = ("releases", "results", "training", "verdicts")
    modules = {name: importlib.import_module(f"matrix.{name}") for name in names}
    modules["script"] = importlib.import_module("make_matrix")
    return SimpleNamespace(
        **modules, environments=importlib.import_module("allowlist.environments")
    )


@pytest.fixture
def case(matrix: SimpleNamespace, tmp_path: Path) -> Any:
    """A saved model in two ways, something that is no model, and something that is dangerous."""
    sklearn = pytest.importorskip("sklearn.linear_model")
    model = sklearn.LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0])
    (tmp_path / "pickle-4.pkl").write_bytes(pickle.dumps(model, 4))
    (tmp_path / "pickle-in-gzip.pkl.gz").write_bytes(gzip.compress(pickle.dumps(model, 4)))
    (tmp_path / "dill.pkl").write_bytes(pickle.dumps({"name": "no model"}, 4))
    (tmp_path / "cloudpickle.pkl").write_bytes(pickle.dumps(Command(), 4))
    files = ["pickle-4.pkl", "pickle-in-gzip.pkl.gz", "dill.pkl", "cloudpickle.pkl"]
    document = {"version": "1.0", "instances": [[3.0]], "predictions": [6.0], "files": files,
                "unsaved": {"skops.skops": "ImportError: no skops"}}  # fmt: skip
    return matrix.training.Case(tmp_path, document, "pygam")


@pytest.fixture
def package(matrix: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Make each package succeed or fail, and its service answer so; return the packaged files."""
    packaged: list[str] = []

    def prepare(predictions: Any, status: int = 200, code: int = 0, message: str = "") -> list[str]:
        @contextmanager
        def service(_: Path) -> Iterator[str]:
            yield "http://127.0.0.1:1"

        def package_files(files: list[str], *_: Any) -> Any:
            packaged.extend(Path(file).name for file in files)
            return SimpleNamespace(code=code, message=message, bundle=tmp_path)

        answer = {"predictions": predictions, "detail": "no"}
        monkeypatch.setattr(matrix.verdicts, "package_files", package_files)
        monkeypatch.setattr(matrix.verdicts, "service", service)
        monkeypatch.setattr(
            matrix.verdicts.containers, "predict", lambda *_, probabilities: (status, answer)
        )
        return packaged

    return prepare


# --- the table -----------------------------------------------------------------------------------


def test_table_has_enough_libraries_and_years(matrix: SimpleNamespace) -> None:
    entries = list(matrix.releases.entries())
    assert len({entry.library for entry in entries}) >= 12
    assert {entry.year for entry in entries} == set(range(2018, 2027, 2))
    assert len({entry.release.name for entry in entries}) == len(entries)


def test_each_library_has_a_model(matrix: SimpleNamespace) -> None:
    source = (INSIDE / "models.py").read_text()
    functions = set(re.findall(r"^def (\w+)\(\):", source, re.MULTILINE))
    assert {library.replace("-", "_") for library in matrix.releases.LIBRARIES} == functions


def test_environment_is_of_the_end_of_its_year(matrix: SimpleNamespace) -> None:
    (entry,) = matrix.releases.entries("xgboost 2024")
    assert "--exclude-newer=2024-12-31" in entry.release.options
    assert "xgboost-cpu" in entry.release.requirements.split()
    assert "xgboost" in next(matrix.releases.entries("xgboost 2020")).release.requirements.split()


def test_environment_is_created_again_for_another_date(
    matrix: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environments = matrix.environments
    commands: list[list[str]] = []
    monkeypatch.setattr(environments, "CACHE", tmp_path)
    monkeypatch.setattr(environments.interpreters, "find", lambda _: Path(sys.executable))
    monkeypatch.setattr(
        environments.subprocess, "run", lambda command, **_: commands.append(command)
    )
    (tmp_path / "one").mkdir()
    for day in ("2020-12-31", "2020-12-31", "2022-12-31"):
        options = (f"--exclude-newer={day}",)
        environments.make_environment(environments.Release("one", "3.11", "numpy", options))
    installs = [command for command in commands if command[1] == "pip"]
    assert [command[-2:] for command in installs] == [
        ["--exclude-newer=2020-12-31", "numpy"],
        ["--exclude-newer=2022-12-31", "numpy"],
    ]


# --- inside the environments ---------------------------------------------------------------------


def test_model_is_saved_in_every_way_with_its_predictions(
    matrix: SimpleNamespace, tmp_path: Path
) -> None:
    pytest.importorskip("sklearn")
    command = [sys.executable, "-W", "ignore", str(INSIDE / "train.py"), str(tmp_path)]
    subprocess.run([*command, "scikit-learn"], check=True, capture_output=True)
    document = json.loads((tmp_path / "case.json").read_text())
    assert set(document["instances"][0]) == {"age", "income", "city"}
    assert set(document["predictions"]) <= {"yes", "no"}
    ways = {matrix.training.way(file) for file in document["files"]}
    assert {f"pickle {protocol}" for protocol in range(6)} <= ways
    assert {"joblib", "joblib zlib", "joblib xz", "pickle in gzip"} <= ways
    assert {path.name for path in tmp_path.iterdir()} == {"case.json", *document["files"]}
    states = {matrix.verdicts.inspect_file(tmp_path / file)[0] for file in document["files"]}
    assert states == {matrix.verdicts.ACCEPTED}


# --- verdicts ------------------------------------------------------------------------------------


def test_files_loaded_in_another_way_are_served_too(
    matrix: SimpleNamespace, case: Any, package: Any
) -> None:
    packaged = package([6.0])
    outcomes = {outcome.way: outcome for outcome in matrix.verdicts.judge(case)}
    assert packaged == ["pickle-4.pkl"]
    assert (outcomes["pickle 4"].answer, outcomes["pickle in gzip"].answer) == ("equal", "")
    assert (outcomes["dill"].state, outcomes["dill"].is_right) == ("unsupported", True)
    assert outcomes["dill"].reason.startswith("exit 4: ")


def test_file_that_is_called_dangerous_is_a_failure(
    matrix: SimpleNamespace, case: Any, package: Any
) -> None:
    package([6.0])
    outcome = matrix.verdicts.judge_file(case, "cloudpickle.pkl")
    assert (outcome.state, outcome.is_right) == ("refused", False)
    assert outcome.reason.startswith("exit 3: ")


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ({"predictions": [6.0 + 1e-9]}, "equal"),
        ({"predictions": [6.1]}, "wrong"),
        ({"predictions": ["6.0"]}, "wrong"),
        ({"predictions": [6.0, 6.0]}, "wrong"),
        ({"predictions": [6.0], "status": 422}, "wrong"),
        ({"predictions": [6.0], "code": 5, "message": "error: no versions"}, "not served"),
    ],
)
def test_predictions_must_be_those_of_the_library(
    matrix: SimpleNamespace, case: Any, package: Any, answer: dict[str, Any], state: str
) -> None:
    package(**answer)
    outcome = matrix.verdicts.judge_file(case, "pickle-4.pkl")
    assert (outcome.answer, outcome.is_right) == (state, state == "equal")


def test_rows_are_given_where_the_hint_names_the_option(
    matrix: SimpleNamespace, case: Any, package: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    package([6.0])
    given: list[Any] = []

    def package_files(_: Any, options: list[str], *__: Any) -> Any:
        given.append([json.loads(Path(each).read_text()) for each in options[1:]])
        needs = "hint: run: modelpack package MODEL --example rows.csv"
        return SimpleNamespace(code=0 if options else 7, message=needs, bundle=case.folder)

    monkeypatch.setattr(matrix.verdicts, "package_files", package_files)
    outcome = matrix.verdicts.judge_file(case, "pickle-4.pkl")
    assert given == [[], [case.document["instances"]]]
    assert (outcome.answer, outcome.detail) == ("equal", "--example")


def test_release_and_sdists_are_named_where_a_hint_wants_them(
    matrix: SimpleNamespace, case: Any, package: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    package([6.0])
    hints = ["Name the release that saved it: --requirement NAME==VERSION. If pygam is your own",
             "To build dill, future from source, add: --requirement pygam",
             "Require it: --requirement 'setuptools<81'",
             "If a distribution provides it: --requirement NAME, which may"]  # fmt: skip
    given: list[list[str]] = []

    def package_files(_: Any, options: list[str], *__: Any) -> Any:
        given.append(list(options))
        message = f"error: no. hint: {hints[len(given) - 1]}" if len(given) <= len(hints) else ""
        return SimpleNamespace(code=7 if message else 0, message=message, bundle=case.folder)

    monkeypatch.setattr(matrix.verdicts, "package_files", package_files)
    outcome = matrix.verdicts.judge_file(case, "pickle-4.pkl")
    hinted = ["--requirement", "pygam==1.0", "--requirement", "pygam",
              "--requirement", "setuptools<81"]  # fmt: skip
    assert given == [[], hinted[:2], hinted[:4], hinted]
    assert outcome.answer == "not served"


def test_hint_that_does_not_help_is_followed_once(
    matrix: SimpleNamespace, case: Any, package: Any
) -> None:
    packaged = package([6.0], code=7, message="error: no. hint: run with --example rows.csv")
    assert matrix.verdicts.judge_file(case, "pickle-4.pkl").answer == "not served"
    assert len(packaged) == 2


# --- results -------------------------------------------------------------------------------------


@pytest.fixture
def run(matrix: SimpleNamespace, case: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Run the script with this case for each entry, but pygam cannot be installed."""
    document = tmp_path / "page.md"
    document.write_text("<!-- matrix -->\n<!-- /matrix -->\n")
    monkeypatch.setattr(matrix.script, "DOCUMENT", document)

    def train(entry: Any) -> Any:
        if entry.library == "pygam":
            raise matrix.training.NotTrainedError("not installed: no release")
        return case

    monkeypatch.setattr(matrix.script, "train", train)

    def main(*words: str) -> tuple[int, str]:
        options = [*words, "--folder", str(tmp_path / "cache")]
        monkeypatch.setattr(sys, "argv", ["make_matrix.py", *options])
        return matrix.script.main(), document.read_text()

    return main


def test_part_of_the_matrix_is_run_and_the_table_names_what_ran(
    run: Any, case: Any, package: Any
) -> None:
    package([6.0])
    case.document["files"].remove("cloudpickle.pkl")
    assert run("--only", "skops") == (0, "<!-- matrix -->\n<!-- /matrix -->\n")
    assert run("--only", "catboost 2020")[0] == 0
    assert run("--only", "pygam 2018", "--resume")[0] == 0
    code, page = run("--table")
    assert code == 0
    assert "2 of 65 entries were run; 1 of them install and train" in page
    assert "| catboost 1.0 (2020) | 3.8 | 3 | 2 | 1 of 1: pickle 4 | dill: exit 4: " in page
    assert "- pygam 2018: not installed: no release" in page


def test_rows_of_what_ran_and_their_counts_are_replaced(
    matrix: SimpleNamespace, run: Any, case: Any, package: Any
) -> None:
    package([6.0])
    case.document["files"].remove("cloudpickle.pkl")
    page = matrix.script.DOCUMENT
    page.write_text(
        "<!-- matrix -->\n65 of 65 entries were run; 61 train a model, of 2 libraries. Old.\n\n"
        "| catboost 0.9 (2020) | 3.8 | 9 | 9, 9 with `--trust` | 3 of 3: skops | old |\n"
        "| pygam 0.8.0 (2020) | 3.8 | 16 | 16, 15 with `--trust` | 4 of 4: dill |  |\n"
        "<!-- /matrix -->\n"
    )
    code, text = run("--only", "catboost 2020")
    lines = text.splitlines()
    assert (code, lines[1]) == (
        0,
        "65 of 65 entries were run; 61 train a model, of 2 libraries. 18 of 19 files are accepted"
        " (15 of them once their names are trusted). Refused as not supported: 1. 5 of 5 served"
        " files predict what the library predicted.",
    )
    assert lines[3].startswith(
        "| catboost 1.0 (2020) | 3.8 | 3 | 2 | 1 of 1: pickle 4 | dill: exit"
    )
    assert lines[4] == "| pygam 0.8.0 (2020) | 3.8 | 16 | 16, 15 with `--trust` | 4 of 4: dill |  |"


def test_run_that_was_stopped_goes_on(run: Any, package: Any) -> None:
    packaged = package([6.0])
    for words in (["--only", "catboost 2020"], ["--only", "catboost", "--resume"]):
        assert run(*words)[0] == 1  # a file is dangerous
    assert len(packaged) == 5


def test_equal_reasons_are_shown_once(matrix: SimpleNamespace) -> None:
    outcome = matrix.verdicts.Outcome
    result = matrix.results.Result(
        "pygam 2022", "pygam", "3.10", "0.6", "",
        {"skops": "ModuleNotFoundError: no skops", "dill": "PicklingError: no"},
        [
            outcome("pickle 0", "accepted with --trust", "exit 3: unknown"),
            outcome("joblib", "refused", "exit 3: a|b"),
            outcome("joblib xz", "refused", "exit 3: a|b"),
            outcome("dill", "accepted", "", "wrong", "[1]\ninstead of [2]"),
            outcome("skops", "accepted", "", "equal", "--example"),
        ],
    )  # fmt: skip
    assert matrix.results.table([result]).splitlines()[2:] == [
        "| pygam 0.6 (2022) | 3.10 | 5 | 3, 1 with `--trust` | 1 of 2: skops |"
        " joblib, joblib xz: exit 3: a/b<br>dill: wrong: [1] instead of [2]"
        "<br>skops: as a hint asks, `--example`<br>not saved by the library: dill |"
    ]
    assert not result.is_right
