"""The parts of serving that need no request: tables, loading, workers, Python versions."""

from __future__ import annotations

import ast
import datetime
import json
import logging
import math
from pathlib import Path

import numpy as np
import pytest
import serving_models
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from modelpack import serving
from modelpack.bundle.render import render
from modelpack.serving import runtimes, settings
from modelpack.serving.data import json_body, results
from modelpack.serving.errors import StartupError
from modelpack.serving.observability import logs
from modelpack.serving.problems import Problem
from modelpack.serving.service import Service

FOLDER = Path(serving.__file__).parent


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: path.stem)
def test_serving_is_written_for_python_3_7(path):
    ast.parse(path.read_text(), feature_version=(3, 7))


def modules(folder: str) -> set[str]:
    return {path.stem for path in (FOLDER / folder).glob("*.py")} - {"__init__"}


def test_each_runtime_has_a_file():
    files = {runtime.__module__.split(".")[-1] for runtime in runtimes.RUNTIMES}
    assert files == modules("runtimes") - {
        "compiled",  # imports all plans, so select_runtime imports it for compiled models only
        "native_chain",
        "pickle",
        "python_model",  # wraps a loaded object, which EstimatorRuntime calls
        "threads",
        "torch_checks",
        "trials",
        "wrappers",
    }


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({"cpu.max": "max 100000\n"}, math.inf),
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, math.inf),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu.max": "nonsense"}, math.inf),
        ({}, math.inf),
    ],
)
def test_the_quota_of_the_cgroup(tmp_path, files, cpus):
    (tmp_path / "cpu").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert settings.quota(tmp_path) == cpus


def test_workers_follow_quota_and_environment(tmp_path, monkeypatch):
    monkeypatch.setattr(settings.os, "sched_getaffinity", lambda _: set(range(64)))
    assert settings.worker_count({}, tmp_path) == settings.MAX_WORKERS
    (tmp_path / "cpu.max").write_text("50000 100000")
    assert settings.worker_count({}, tmp_path) == 1
    (tmp_path / "cpu.max").write_text("250000 100000")
    assert settings.worker_count({}, tmp_path) == 3
    assert settings.worker_count({"WEB_CONCURRENCY": "9"}, tmp_path) == 9


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        ("{", "cannot be read"),
        ("{}", "KeyError"),
        ('{"schema": 2, "model": {}}', "its schema is 2"),
    ],
)
def test_a_bundle_without_its_facts_does_not_start(tmp_path, content, reason):
    if content is not None:
        (tmp_path / "modelpack.json").write_text(content)
    with pytest.raises(StartupError, match=reason) as caught:
        Service.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_model_that_does_not_load_does_not_start(tmp_path):
    path = tmp_path / "saved"
    path.write_bytes(b"cno_such_library\nModel\n.")
    spec = serving_models.build_spec(path, serving_models.iris(), "pickle")
    folder = render(spec, serving_models.ENVIRONMENT, serving_models.BASE, tmp_path / "b").directory
    with pytest.raises(StartupError, match="No module named 'no_such_library'"):
        Service.load(folder)
    (folder / "model" / "model.pkl").unlink()
    with pytest.raises(StartupError, match="No such file"):
        Service.load(folder)


def test_all_missing_modules_of_a_library_are_named(tmp_path, monkeypatch):
    """Imports in `try`, in functions and of the library itself are not reported."""
    library = tmp_path / "careless"
    library.mkdir()
    (library / "__init__.py").write_text("from .steps import Model\nimport no_such_a.b\n")
    (library / "steps.py").write_text(
        "import json, careless\nfrom . import __name__\ntry:\n    import no_such_b\n"
        "except ImportError:\n    pass\nfrom no_such_c import d\nfrom no_such_e.f import g\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "saved"
    path.write_bytes(b"ccareless.steps\nModel\n.")
    spec = serving_models.build_spec(path, serving_models.iris(), "pickle")
    folder = render(spec, serving_models.ENVIRONMENT, serving_models.BASE, tmp_path / "b").directory
    with pytest.raises(StartupError) as caught:
        Service.load(folder)
    found = "No module named 'no_such_c'; also missing: no_such_a, no_such_e"
    assert str(caught.value).endswith(found)


def test_log_lines_are_json_with_the_cause():
    record = logging.LogRecord("a", logging.ERROR, "", 0, "said %s", ("\x1b[31m\n",), None)
    record.facts = {"id": "1"}
    record.exc_info = (ValueError, ValueError("why"), None)
    text = logs.JsonFormatter().format(record)
    assert text.isprintable()
    line = json.loads(text)
    assert line.items() >= {"level": "error", "message": "said \x1b[31m\n", "id": "1"}.items()
    assert "ValueError: why" in line["cause"]


def test_labels_outside_of_json_are_written_as_text():
    labels = np.array([np.float32(0.5), datetime.timedelta(days=1), None], object)
    assert results.dump(results.to_dense(labels, 10).tolist()) == b'[0.5,"1 day, 0:00:00",null]'


def test_limits_come_from_the_environment():
    assert settings.from_environment({}) == settings.Limits()
    assert settings.from_environment({"MODELPACK_MAX_ROWS": "7"}).rows == 7
    for wrong in ("0", "-1", "1.5", "many", "٣"):
        with pytest.raises(StartupError):
            settings.from_environment({"MODELPACK_MAX_ROWS": wrong})


def test_a_sparse_answer_is_bounded_before_it_is_dense():
    tall = sparse.csr_matrix((10_000, 1_000_000))
    with pytest.raises(Problem, match="fewer rows"):
        results.to_dense(tall, 5_000_000)
    assert results.to_dense(sparse.csr_matrix([[0, 2]]), 2).tolist() == [[0, 2]]


def test_probabilities_of_several_outputs():
    per_output = [np.array([[0.25, 0.75]]), np.array([[1.0, 0.0]])]
    classes = [np.array(["a", "b"]), np.array([False, True])]
    assert results.probabilities(per_output, classes) == [
        [{"a": 0.25, "b": 0.75}, {"false": 1.0, "true": 0.0}]
    ]


def test_probabilities_of_a_chain_are_those_of_each_output():
    classes = [np.array([0, 1]), np.array(["a", "b", "c"])]
    assert results.probabilities(np.array([[0.25, 0.5]]), classes) == [{"0": 0.25, "1": 0.5}]


def nesting(document) -> tuple[int, int]:
    """Depth and number of lists and objects, the plain way."""
    if not isinstance(document, (list, dict)):
        return 0, 0
    children = list(document.values()) if isinstance(document, dict) else document
    inner = [nesting(child) for child in children]
    return 1 + max((depth for depth, _ in inner), default=0), 1 + sum(n for _, n in inner)


@given(
    document=st.recursive(
        st.text('[]{}"\\a,:') | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text('[]{}"\\'), inner),
    )
)
def test_nesting_is_counted_exactly(document):
    """Brackets and quotes inside strings do not count."""
    body = json.dumps(document).encode()
    depth, containers = nesting(document)
    rows = max(0, containers - json_body.WRAPPERS)
    json_body.check_nesting(body, settings.Limits(json_depth=depth or 1, rows=rows))
    if depth > 1:
        with pytest.raises(Problem, match="deeper"):
            json_body.check_nesting(body, settings.Limits(json_depth=depth - 1))
    if rows:
        with pytest.raises(Problem, match="more lists"):
            json_body.check_nesting(body, settings.Limits(rows=rows - 1, json_depth=1000))


@pytest.mark.parametrize("variable", ["PORT", "AIP_HTTP_PORT", "SAGEMAKER_BIND_TO_PORT"])
def test_the_port_is_that_of_the_platform_or_of_the_user(variable):
    assert settings.port({}) == 8080
    assert settings.port({variable: "9000", "AIP_PREDICT_ROUTE": "/predict"}) == 9000
    assert (
        settings.port({variable: "9000", "PORT": "8080" if variable != "PORT" else "9000"}) == 9000
    )
    with pytest.raises(StartupError, match=f"{variable} is 'x'"):
        settings.port({variable: "x"})
