"""The serving code on every Python that it may meet, from the oldest to the newest found here."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import engine_bundles
import pytest
import uv

from modelpack.cli.options import RPC
from modelpack.engines import BatchStreams, interpreters
from modelpack.engines.local.engine import LocalRunner
from modelpack.environment import index_settings, resolve
from modelpack.environment.uv import environment_variables
from modelpack.pipeline.options import Options
from modelpack.pipeline.package import package
from modelpack.serving import playground

ROOT = Path(__file__).parents[2]
SERVING = ROOT / "modelpack" / "serving"
ASSEMBLY = ROOT / "modelpack" / "assembly"
OLDEST = "3.7"
PYTHONS = [OLDEST, *(f"3.{minor}" for minor in range(8, 15))]
MUST = {OLDEST, "3.11", "3.13"}  # of CI, whose base images are of these

IMPORT_ALL = """
import compileall, pkgutil, sys
assert compileall.compile_dir("modelpack", quiet=1, force=True)
import modelpack.serving
names = [m.name for m in pkgutil.walk_packages(modelpack.serving.__path__, "modelpack.serving.")]
for name in names:
    __import__(name)
print(len(names), *sys.version_info[:2])
"""


def find_interpreter(python: str) -> Path:
    found = interpreters.find(python)
    if found is None and python in MUST and os.environ.get("CI"):
        pytest.fail(f"there is no Python {python} here")
    return found or pytest.skip(f"there is no Python {python} here")


@pytest.mark.parametrize(
    "path", sorted([*SERVING.rglob("*.py"), *ASSEMBLY.rglob("*.py")]), ids=lambda p: p.stem
)
def test_syntax_is_valid_in_the_oldest_python(path: Path) -> None:
    major, minor = map(int, OLDEST.split("."))
    ast.parse(path.read_text(), feature_version=(major, minor))


def vermin(folder: Path) -> subprocess.CompletedProcess[str]:
    """Which releases of Python have the modules, functions and arguments that are used there."""
    command = [str(Path(sys.executable).parent / "vermin"), f"--target={OLDEST}-", "--violations"]
    return subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("folder", [SERVING, ASSEMBLY], ids=lambda p: p.name)
def test_imports_and_calls_exist_in_the_oldest_python(folder: Path) -> None:
    done = vermin(folder)
    assert done.returncode == 0, done.stdout


def test_function_of_a_newer_python_is_reported(tmp_path: Path) -> None:
    (tmp_path / "new.py").write_text("name = 'a'.removesuffix('b')\n")
    done = vermin(tmp_path)
    assert done.returncode == 1
    assert "removesuffix" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("python", PYTHONS)
def test_every_module_compiles_and_is_imported(python: str, tmp_path: Path) -> None:
    """With the serving stack that would be locked for that Python, and without warnings."""
    environment = serving_stack(find_interpreter(python), python, tmp_path / "venv")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(SERVING, tmp_path / "modelpack" / "serving", ignore=ignored)
    done = subprocess.run(
        [environment, "-W", "error:::modelpack", "-W", "error::SyntaxWarning", "-c", IMPORT_ALL],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    below = len(list(SERVING.rglob("*.py"))) - 1
    assert done.stdout.split() == [str(below), *python.split(".")]


def serving_stack(interpreter: Path, python: str, folder: Path) -> str:
    """The Python of an environment with what serving imports, as it is locked for an image of
    a model of scikit-learn with gRPC.
    """
    spec = replace(
        engine_bundles.SPEC,
        framework=None,
        framework_version=None,
        requirements={"scikit-learn": ""},
    )
    lock = folder.with_suffix(".lock")
    resolved = resolve(spec, python, index=index_settings(), requirements=RPC)
    assert resolved.grpc
    lock.write_text(resolved.lock)
    run_uv("venv", f"--python={interpreter}", str(folder))
    only = ["--require-hashes", "--only-binary=:all:"]
    run_uv("pip", "sync", f"--python={folder / 'bin' / 'python'}", *only, str(lock))
    return str(folder / "bin" / "python")


def run_uv(*arguments: str) -> None:
    variables = environment_variables(index_settings())
    subprocess.run([uv.find_uv_bin(), "--quiet", *arguments], check=True, env=variables)


@contextmanager
def served(model: Path, python: str, folder: Path) -> Iterator[Any]:
    """A real gunicorn, from a locked environment, that has passed its smoke test."""
    find_interpreter(python)
    packaged = package([model], Options(engine="process", python=python, output=folder / "bundle"))
    assert packaged.environment.python == python
    assert packaged.smoke is not None
    assert [check for check in packaged.smoke.checks if not check.passed] == []
    with LocalRunner().run(str(folder / "bundle")) as service:
        wait_for(f"{service.url}/readyz")
        yield service


def request_json(url: str, document: object) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"}
    request = Request(url, data=json.dumps(document).encode(), headers=headers)
    try:
        with urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


def wait_for(url: str) -> None:
    command = ["curl", "--silent", "--fail", "--noproxy", "*", "--retry", "60"]
    command += ["--retry-connrefused", "--retry-delay", "1", url]
    subprocess.run(command, check=True, capture_output=True)


def newest() -> str:
    return next(python for python in reversed(PYTHONS) if interpreters.find(python))


@pytest.mark.slow
def test_service_runs_on_the_oldest_python(tmp_path: Path) -> None:
    model = ROOT / "tests" / "data" / "old" / "boosting-0.20.4.pkl"
    with served(model, OLDEST, tmp_path) as service:
        rows = [[0.1, 0.5, 0.5, 0.5], [0.9, 0.5, 0.5, 0.5]]
        status, answer = request_json(
            f"{service.url}/predict?probabilities=true", {"instances": rows}
        )
        assert (status, answer["predictions"]) == (200, [0, 2])
        assert [sum(row.values()) for row in answer["probabilities"]] == pytest.approx([1, 1])
        assert_bad_rows_are_reported(f"{service.url}/predict", rows[0])
        status, added = request_json(f"{service.url}/contributions", {"instances": rows[:1]})
        assert (status, added["method"], added["class"]) == (200, "tree_paths", 0)
        sums = [added["base"], *(each["contribution"] for each in added["inputs"])]
        assert sum(sums) == pytest.approx(added["total"], rel=1e-9)
        with urlopen(f"{service.url}/metrics", timeout=20) as metrics:
            assert b'{method="POST",route="/predict",status="200"} ' in metrics.read()
        assert_page_exists(service.url)
        assert_openapi_document_exists(service.url)
        assert service.stop(timeout=10) == 0
    for kind, file in (("jsonl", "[0.1, 0.5, 0.5, 0.5]\n"), ("csv", "0.1,0.5,0.5,0.5\n")):
        answers = predict_from_bundle(
            tmp_path, file + file.replace("0.1", "0.9"), "--probabilities"
        )
        expected = [dict(zip(("prediction", "probabilities"), row, strict=True))
                for row in zip(*answer.values(), strict=True)]  # fmt: skip
        assert [json.loads(line) for line in answers.splitlines()] == expected, kind


def predict_from_bundle(folder: Path, rows: str, *arguments: str) -> str:
    """By `predict` of the bundle that was served from there."""
    progress: list[str] = []
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as answers:
        source.write(rows.encode())
        source.seek(0)
        files = BatchStreams(source, answers, progress.append)
        command = [*arguments, "--output-format=jsonl"]
        assert LocalRunner().predict(str(folder / "bundle"), command, files) == 0, progress
        answers.seek(0)
        return answers.read().decode()


@pytest.mark.slow
def test_service_runs_on_the_newest_python(tmp_path: Path) -> None:
    sample = ROOT / "sample_models" / "mixed-columns"
    request = json.loads((sample / "request.json").read_text())
    with served(sample / "model.joblib", newest(), tmp_path) as service:
        expected = json.loads((sample / "response.json").read_text())
        assert request_json(f"{service.url}/predict", request) == (200, expected)
        status, answer = request_json(f"{service.url}/predict?probabilities=1", request)
        assert status == 200
        assert set(answer["probabilities"][0]) == {"no", "yes"}
        one = {"instances": request["instances"][:1]}
        status, answer = request_json(f"{service.url}/contributions", one)
        assert (status, answer["output"]) == (200, "log_odds")
        assert_bad_rows_are_reported(
            f"{service.url}/predict", list(request["instances"][0].values())
        )
        assert service.stop(timeout=10) == 0


def assert_page_exists(url: str) -> None:
    with urlopen(Request(url, headers={"Accept": "text/html"}), timeout=20) as answer:
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.read() == playground.assemble().html
    with urlopen(Request(url, headers={"Accept": "application/json"}), timeout=20) as answer:
        assert json.load(answer)["service"]["ready"]


def assert_openapi_document_exists(url: str) -> None:
    """With the classes that the model answers with, and the methods that old releases route by."""
    with urlopen(f"{url}/openapi.json", timeout=20) as answer:
        document = json.load(answer)
    assert document["components"]["schemas"]["Prediction"]["enum"] == [0, 1, 2]
    with pytest.raises(HTTPError) as refused:
        urlopen(f"{url}/v1/models/model:predict", timeout=20)
    assert refused.value.code == 405
    refused.value.close()


def assert_bad_rows_are_reported(url: str, good: list[object]) -> None:
    """Errors contain the numbers and mistakes of bad rows on every Python, next to a good row."""
    short, wrong = good[:-1], ["x", *good[1:]]
    for bad in (short, wrong):
        status, answer = request_json(url, {"instances": [good, bad]})
        assert status == 422
        assert "1" in json.dumps(answer["errors"])
    assert request_json(url, {"rows": [good]})[0] == 422
    assert request_json(url, {"instances": [good]})[0] == 200
