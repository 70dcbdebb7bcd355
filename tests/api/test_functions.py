"""`import modelpack` in scripts: results are values, failures are exceptions."""

from __future__ import annotations

import hashlib
import inspect
import subprocess
import sys
import time
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import requests
from sklearn.linear_model import LogisticRegression

import modelpack
from modelpack.api.rows import to_instances, write_rows
from modelpack.errors import ModelRefusedError, SmokeFailedError, UsageError
from modelpack.pipeline.options import Options

SVC = Path(__file__).parents[2] / "sample_models" / "kserve-svc" / "model.joblib"
PARAMETERS = {name: inspect.signature(getattr(modelpack, name)).parameters
              for name in ("inspect", "package", "serve", "diff")}  # fmt: skip


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Rows with a number, a boolean and a missing value."""
    return pd.DataFrame({"age": [30.0, 41.5, np.nan, 60.0], "member": [True, False, True, False]})


@pytest.fixture(scope="module")
def model(tmp_path_factory, frame) -> Path:
    path = tmp_path_factory.mktemp("models") / "club.joblib"
    estimator = LogisticRegression().fit(frame.fillna(0), ["no", "no", "yes", "yes"])
    joblib.dump(estimator, path)
    modelpack.record(estimator, frame.fillna(0), path)
    return path


def test_import_loads_none_of_the_packager() -> None:
    code = (
        "import sys, modelpack; modelpack.__version__; dir(modelpack)\n"
        "print(*[name for name in sys.modules if name.startswith('modelpack.')])\n"
        "print('dataclasses' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout == "modelpack._version\nFalse\n"


def test_functions_are_found_by_completion() -> None:
    assert {"diff", "inspect", "package", "record", "serve"} <= set(dir(modelpack))
    for name in PARAMETERS:
        assert getattr(modelpack, name).__doc__.count("Args:") == 1
    with pytest.raises(AttributeError, match="no attribute 'packge'"):
        modelpack.packge  # noqa: B018


def test_package_has_all_options_of_the_pipeline() -> None:
    names = {field.name for field in fields(Options)} - {"code_trusted"}
    assert names <= set(PARAMETERS["package"])
    for name in PARAMETERS["package"]:
        assert f"        {name}: " in modelpack.package.__doc__


def test_diff_stays_a_function_after_a_comparison() -> None:
    import_module("modelpack.comparison")
    import_module("modelpack.pipeline.diff")
    assert callable(modelpack.diff)


def test_inspect_returns_the_facts() -> None:
    spec = modelpack.inspect(SVC)
    assert (spec.framework, spec.framework_version) == ("scikit-learn", "1.3.2")
    assert spec.safety.verdict == "pass"


@pytest.mark.parametrize("function", ["inspect", "package", "serve", "diff"])
def test_object_in_place_of_a_path_gets_a_hint(function) -> None:
    arguments = [LogisticRegression()] * (2 if function == "diff" else 1)
    with pytest.raises(UsageError, match="LogisticRegression") as caught:
        getattr(modelpack, function)(*arguments)
    assert "joblib.dump" in caught.value.hint


def test_failures_are_exceptions_with_hints(tmp_path) -> None:
    with pytest.raises(UsageError) as missing:
        modelpack.package(tmp_path / "missing.joblib")
    assert missing.value.hint
    evil = tmp_path / "evil.pkl"
    evil.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ModelRefusedError):
        modelpack.package(evil, engine="process")


@pytest.mark.parametrize(
    ("rows", "instances"),
    [
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array(["a", "b"]), ["a", "b"]),
        (pd.Series(["a", "b"]), ["a", "b"]),
        ([{"x": 1}], [{"x": 1}]), ({"x": 1}, [{"x": 1}]),
        (pd.DataFrame({"x": [1.5, None], "y": ["a", None]}),
         [{"x": 1.5, "y": "a"}, {"x": None, "y": None}]),
    ],
    ids=["array", "texts", "series", "dicts", "dict", "frame"],
)  # fmt: skip
def test_rows_of_objects_are_json(rows, instances, tmp_path) -> None:
    assert to_instances(rows) == instances
    assert write_rows(rows, tmp_path).suffix == ".json"


def test_rows_without_a_form_in_json_are_an_error(tmp_path) -> None:
    with pytest.raises(UsageError, match="cannot be written as JSON"):
        write_rows([[object()]], tmp_path)


@pytest.mark.slow
def test_served_model_predicts_as_the_model_itself(model, frame) -> None:
    with modelpack.serve(model) as service:
        estimator = joblib.load(model)
        rows = frame.fillna(0)
        assert service.predict(rows) == list(estimator.predict(rows))
        assert service.predict(rows.to_numpy().tolist()[:1]) == ["no"]
        assert service.predict_proba(rows) == estimator.predict_proba(rows).tolist()
        assert service.classes == ("no", "yes")
        assert service.is_running()
        with pytest.raises(UsageError, match="age") as invalid:
            service.predict([{"age": "old", "member": True}])
        assert invalid.value.message.count("old") == 1
        with pytest.raises(UsageError, match="takes 2 inputs") as series:
            service.predict(frame.iloc[0])
        assert "X.iloc[[0]]" in series.value.hint
        with pytest.raises(UsageError, match="NoneType contains no rows"):
            service.predict(None)
        with pytest.raises(UsageError, match="lacks columns of the model: age"):
            service.predict(rows[["member"]])
        url = service.url
    assert not service.is_running()
    assert repr(service) == f"<ServedModel {url} (ended)>"
    with pytest.raises(SmokeFailedError, match="has ended"):
        service.predict([[1, 2]])


@pytest.mark.slow
def test_service_with_a_token_and_on_a_chosen_port(model) -> None:
    variables = {"MODELPACK_TOKEN": hashlib.sha256(b"token").hexdigest()}
    with modelpack.serve(model, variables=variables) as service:
        assert service.predict([[30, True]]) == ["no"]
        port = int(service.url.rpartition(":")[2])
        with pytest.raises(UsageError, match="cannot listen"):
            modelpack.serve(model, port=port)


@pytest.mark.slow
@pytest.mark.slow
def test_rows_above_the_limits_of_a_request_are_sent_in_several(model, frame) -> None:
    values = frame.fillna(0)
    rows = [values.iloc[index % len(values)].to_dict() for index in range(11)]
    variables = {"MODELPACK_MAX_ROWS": "2"}
    with modelpack.serve(model, variables=variables) as service:
        together = service.predict(rows)
        assert together == [prediction for row in rows for prediction in service.predict(row)]
        assert len(service.predict_proba(rows)) == len(rows)
        rows[-1] = {**rows[-1], next(iter(rows[-1])): ["a list"]}
        with pytest.raises(UsageError, match=r"In the rows from (9|10): Row [01]"):
            service.predict(rows)


def test_edited_bundle_is_served_with_its_routes(tmp_path) -> None:
    folder = tmp_path / "bundle"
    command = [sys.executable, "-m", "modelpack", "bundle", SVC, "-o", folder, "--quiet"]
    subprocess.run(command, check=True, capture_output=True)
    with (folder / "app.py").open("a") as app:
        app.write('\n\n@app.get("/hello")\ndef hello():\n    return {"hello": "world"}\n')
    with modelpack.serve(folder) as service:
        assert requests.get(f"{service.url}/hello", timeout=10).json() == {"hello": "world"}
        assert service.predict([[6.8, 2.8, 4.8, 1.4]]) == [1]


def test_model_that_fails_on_its_own_example_is_an_error_at_once(tmp_path) -> None:
    folder = tmp_path / "bundle"
    command = [sys.executable, "-m", "modelpack", "bundle", SVC, "-o", folder, "--quiet"]
    subprocess.run(command, check=True, capture_output=True)
    with (folder / "app.py").open("a") as app:
        app.write("\n\nservice.ready = False\n")
    began = time.monotonic()
    with pytest.raises(SmokeFailedError, match="did not start"):
        modelpack.serve(folder)
    assert time.monotonic() - began < 60  # it waits two minutes for a service that loads


@pytest.mark.slow
def test_service_ends_with_python(model) -> None:
    code = (
        "import sys, modelpack\n"
        "service = modelpack.serve(sys.argv[1])\n"
        "print(service.url, service._service.pid)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(model)], capture_output=True, check=True, text=True
    )
    assert not Path(f"/proc/{done.stdout.split()[1]}").exists()


@pytest.mark.slow
def test_diff_compares_recorded_predictions(model, frame, tmp_path) -> None:
    other = tmp_path / "other.joblib"
    changed = LogisticRegression().fit(frame.fillna(0), ["yes", "yes", "no", "no"])
    joblib.dump(changed, other)
    modelpack.record(changed, frame.fillna(0), other)
    difference = modelpack.diff(model, other)
    assert difference.predictions.differing == 4
    assert "predictions" in difference.differing


@pytest.mark.slow
def test_package_takes_rows_of_objects(model, frame, tmp_path) -> None:
    rows = frame.fillna(0)
    expected = joblib.load(model).predict(rows)
    result = modelpack.package(
        model, engine="process", output=tmp_path / "bundle", example=rows, expected=expected
    )
    assert result.smoke.passed
    assert result.smoke.parity.source == "expected"
    with pytest.raises(SmokeFailedError, match="row 1, prediction"):
        modelpack.package(
            model,
            engine="process",
            output=tmp_path / "bundle",
            example=rows,
            expected=expected[::-1],
        )
