"""The commands as a user types them: results on stdout, prose on stderr, exit codes by contract."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC

from modelpack.pipeline import doctor

SAMPLES = Path(__file__).parents[2] / "sample_models"
SVC = SAMPLES / "kserve-svc" / "model.joblib"


def modelpack(
    *arguments: str | Path, cwd: Path | None = None, **environ: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "modelpack", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environ},
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )


class CallsSystem:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


def bad_file(kind: str, folder: Path) -> Path:
    path = folder / "model.pkl"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "cut":
        path.write_bytes(SVC.read_bytes()[:3000])
    elif kind == "text":
        path.write_text("name,age\nAda,36\n")
    elif kind == "directory":
        path.mkdir()
    elif kind == "os.system":
        path.write_bytes(pickle.dumps(CallsSystem(f"touch {folder}/executed")))
    elif kind == "no model":
        path.write_bytes(pickle.dumps({"rows": [1, 2, 3]}))
    return path


@pytest.mark.parametrize("command", ["package", "inspect"])
@pytest.mark.parametrize(
    ("kind", "code", "message"),
    [
        ("empty", 4, "empty"),
        ("cut", 3, "ends"),
        ("text", 4, "text"),
        ("directory", 4, "the folder is empty"),
        ("missing", 2, "no such file"),
        ("os.system", 3, "system"),
        ("no model", 4, "dict"),
    ],
)
def test_a_bad_file_gets_one_paragraph_and_its_exit_code(
    command: str, kind: str, code: int, message: str, tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "tmp").mkdir()
    path = bad_file(kind, tmp_path / "models")
    before = sorted(tmp_path.rglob("*"))
    done = modelpack(command, path, cwd=tmp_path, TMPDIR=str(tmp_path / "tmp"))
    assert done.returncode == code, done.stderr
    assert done.stderr.count("error: ") == 1
    assert message in done.stderr.lower()
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_inspect_json_keeps_the_names_of_the_contract() -> None:
    done = modelpack("inspect", SVC, "--json")
    spec = json.loads(done.stdout)
    assert done.returncode == 0
    assert set(spec) >= {
        "format",
        "framework",
        "framework_version",
        "python",
        "task",
        "estimator",
        "requirements",
        "local_modules",
        "signature",
        "safety",
        "file",
    }
    assert set(spec["signature"]) >= {"inputs", "outputs", "classes"}
    assert set(spec["signature"]["inputs"][0]) >= {"name", "type"}
    assert set(spec["safety"]) == {"verdict", "findings"}
    assert set(spec["file"]) >= {"path", "sha256", "size", "container", "protocol"}
    assert (spec["framework"], spec["framework_version"]) == ("scikit-learn", "1.3.2")
    assert spec["estimator"] == "sklearn.svm._classes.SVC"


def test_inspect_json_of_many_inputs_costs_little(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    rows = np.random.default_rng(0).random((4, 36_000))
    path.write_bytes(pickle.dumps(LinearSVC().fit(rows, [0, 1, 0, 1])))
    small = (  # a fork of this process would count as its memory
        "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:]).returncode\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss, file=sys.stderr); sys.exit(code)"
    )
    command = [sys.executable, "-m", "modelpack", "inspect", "--json", str(path)]
    done = subprocess.run(
        [sys.executable, "-c", small, *command], capture_output=True, check=True, text=True
    )
    seconds, memory = map(float, done.stderr.split())
    assert len(json.loads(done.stdout)["signature"]["inputs"]) == 36_000
    assert seconds < 5  # 1.6 on the machine that this was measured on
    assert memory < 150 * 1024


def test_inspect_json_prints_the_result_of_a_refused_file(tmp_path: Path) -> None:
    done = modelpack("inspect", bad_file("os.system", tmp_path), "--json")
    safety = json.loads(done.stdout)["safety"]
    assert done.returncode == 3
    assert safety["verdict"] == "refuse"
    finding = safety["findings"][0]
    assert set(finding) >= {"code", "offset", "global", "message"}
    assert finding["global"] in {"posix:system", "nt:system"}
    assert not (tmp_path / "executed").exists()


def test_inspect_prints_the_tree_and_the_signature() -> None:
    done = modelpack("inspect", SAMPLES / "kserve-mixedtype" / "model.joblib", COLUMNS="120")
    assert done.returncode == 0
    for text in ("ColumnTransformer", "SGDRegressor", "MSZoning", "scikit-learn", "pass"):
        assert text in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("package",),
        ("package", SVC, "--engine", "magic"),
        ("package", SVC, "--engine", "process", "--python", "3.11 "),
        ("package", SVC, "--engine", "process", "--base-image", "UPPER"),
        (
            "package",
            SAMPLES / "iris" / "model.joblib",
            "--engine",
            "process",
            "--index-url",
            "http://[",
        ),
        ("package", SVC, "-t", ""),
        ("serve", SVC, "--port", "70000"),
        ("no-such-command",),
        *(
            pytest.param(arguments, marks=pytest.mark.engine)
            for arguments in (
                ("smoke", "a b"),
                ("scan", "UPPER"),
                ("verify", "UPPER"),
                ("diff", SVC, "UPPER"),
                ("predict", "UPPER"),
                ("push", "UPPER"),
            )
        ),
    ],
    ids=str,
)
def test_wrong_usage_is_exit_2(arguments: tuple[str, ...]) -> None:
    done = modelpack(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_push_fails_for_an_engine_without_images() -> None:
    done = modelpack("push", "a.test/iris", "--engine", "process")
    assert done.returncode == 8
    assert "a.test/iris cannot be pushed: the engine `process` has no images." in done.stderr


def test_every_command_has_help() -> None:
    for command in ("inspect", "bundle", "build", "smoke", "package", "push", "serve", "doctor"):
        done = modelpack(command, "--help")
        assert done.returncode == 0
        assert done.stdout.startswith("Usage:")


# --- modelpack.toml ------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["bundle", "lock", "package", "serve"])
def test_commands_that_need_an_environment_can_compile(command: str) -> None:
    assert "--compiled" in modelpack(command, "--help").stdout


def test_lock_of_a_compiled_model_has_no_library() -> None:
    done = modelpack("lock", SVC, "--compiled")
    names = {line.partition("==")[0] for line in done.stdout.splitlines() if line[:1].isalpha()}
    assert done.returncode == 0, done.stderr
    assert names >= {"flask", "gunicorn", "numpy"}
    assert not names & {"scikit-learn", "scipy", "joblib"}


@pytest.fixture
def several_outputs(tmp_path: Path) -> Path:
    """A model whose classes have a compiled form, and whose probabilities have none."""
    rows, numbers = load_iris(return_X_y=True)
    model = MultiOutputClassifier(GaussianNB()).fit(rows, np.column_stack([numbers, numbers]))
    path = tmp_path / "several.joblib"
    joblib.dump(model, path)
    return path


def test_inspect_compiles_on_request(several_outputs: Path) -> None:
    assert "possible: --compiled" in modelpack("inspect", several_outputs).stdout
    shown = modelpack("inspect", "--compiled", several_outputs)
    reason = "sklearn.multioutput.MultiOutputClassifier has no compiled predict_proba"
    assert shown.returncode == 0, shown.stderr
    assert f"not possible: {reason}" in " ".join(shown.stdout.split())
    document = json.loads(modelpack("inspect", "--compiled", "--json", several_outputs).stdout)
    assert document["not_compilable"] == reason
    whole = json.loads(modelpack("inspect", "--compiled", "--json", SVC).stdout)
    assert whole["not_compilable"] == ""


def test_compilation_without_numpy_names_the_extra(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise ModuleNotFoundError('', name='numpy')")
    done = modelpack("lock", SVC, "--compiled", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "--compiled needs numpy on this machine" in done.stderr
    assert "pip install 'modelpack[rows]'" in done.stderr


def test_options_are_read_from_a_file_next_to_the_model(tmp_path: Path) -> None:
    (tmp_path / "model.joblib").write_bytes(SVC.read_bytes())
    (tmp_path / "modelpack.toml").write_text('python = "3.99"\nengine = "process"\n')
    done = modelpack("package", tmp_path / "model.joblib")
    assert done.returncode == 8, done.stderr
    assert "There is no CPython 3.99" in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [("pythn = '3.11'", "pythn"), ("trust = ['os:system']", "trust"), ("python = ", "TOML")],
)
def test_a_wrong_settings_file_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "model.joblib").write_bytes(SVC.read_bytes())
    (tmp_path / "modelpack.toml").write_text(text)
    done = modelpack("inspect", tmp_path / "model.joblib")
    assert done.returncode == 2
    assert "modelpack.toml" in done.stderr
    assert message in done.stderr


def test_hostile_names_reach_the_terminal_as_text(tmp_path: Path) -> None:
    path = tmp_path / "\x1b[2Jcleared\u202e.pkl"
    path.write_bytes(b"")
    done = modelpack("inspect", path)
    assert "\x1b" not in done.stdout + done.stderr
    assert "\u202e" not in done.stdout + done.stderr
    assert "\\x1b[2Jcleared" in done.stdout


# --- where the words go --------------------------------------------------------------------------


@pytest.mark.parametrize("options", ["", "--json"])
@pytest.mark.parametrize("stream", [">&-", "2>&-", "| true", "2>&1 >/dev/null | true"])
def test_closed_output_is_not_an_error(options: str, stream: str) -> None:
    command = f"set -o pipefail; {sys.executable} -m modelpack inspect {SVC} {options} {stream}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_locale_of_few_characters_gets_escapes() -> None:
    done = modelpack("doctor", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "\\u2713" in done.stdout


def test_a_stage_that_fails_leaves_the_terminal_as_it_was() -> None:
    """`script` gives it a terminal; the spinner hides the cursor."""
    command = f"{sys.executable} -m modelpack package {SAMPLES}/README.md"
    done = subprocess.run(
        ["script", "-qec", command, "/dev/null"],
        env={**os.environ, "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.stdout.count("\x1b[?25l") == done.stdout.count("\x1b[?25h") == 1
    assert done.stdout.rindex("error: ") > done.stdout.index("\x1b[?25h")


# --- what is missing on the machine ---------------------------------------------------------------


@pytest.fixture
def no_uv(tmp_path: Path) -> dict[str, str]:
    """Variables with which uv's Python package is found, and its program is not."""
    (tmp_path / "uv.py").write_text("def find_uv_bin():\n    raise FileNotFoundError\n")
    return {"PYTHONPATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}


def test_doctor_reports_missing_uv(no_uv: dict[str, str]) -> None:
    done = modelpack("doctor", **no_uv)
    assert "Run: pip install --force-reinstall uv" in done.stdout
    assert "bug" not in done.stderr


def test_doctor_reports_missing_podman(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_first_line", lambda *_: "")
    monkeypatch.setattr(doctor.service, "overrides", lambda: "settings")
    finding = next(check() for check in doctor.EXAMINATIONS if check.__name__ == "_podman")
    assert (finding.present, finding.detail) == (False, "not installed")
    assert "apt-get install podman" in finding.hint


def test_package_reports_missing_uv(no_uv: dict[str, str], tmp_path: Path) -> None:
    done = modelpack("package", str(SVC), "--engine", "process", "-o", str(tmp_path / "b"), **no_uv)
    assert done.returncode == 5, done.stderr
    assert "pip install --force-reinstall uv" in done.stderr
    assert not (tmp_path / "b").exists()
