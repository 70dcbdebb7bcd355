"""Metrics of inputs and predictions, and the log of predictions."""

from __future__ import annotations

import threading
from dataclasses import replace
from urllib.request import urlopen

import numpy as np
import playground_models
import pytest
import serving_models
from gunicorn_server import serve, startup_error
from prometheus_client.parser import text_string_to_metric_families
from serving_models import Trained, render_bundle
from sklearn.linear_model import LinearRegression
from waiting import wait_until

from modelpack.serving import create_app
from modelpack.serving.errors import StartupError
from modelpack.serving.observability import data_metrics, metrics, prediction_log
from modelpack.serving.observability.prediction_log import PredictionLog
from modelpack.serving.service import Service
from modelpack.types import Field, Signature

SETOSA, STRANGE = [5.1, 3.5, 1.4, 0.2], [5.1, -3.0, 1.4, 99.0]


def values(text: str) -> dict[tuple[str, ...], float]:
    """Return the samples of the metrics of this file by name and label values."""
    prefixes = ("modelpack_input", "modelpack_predicted", "modelpack_probability")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        if family.name.startswith(prefixes)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def ranged(trained: Trained, low: float = 0.0, high: float = 10.0) -> Trained:
    """Return a model whose inputs have a range."""
    signature = trained.signature
    fields = tuple(replace(each, minimum=low, maximum=high) for each in signature.inputs)
    return replace(trained, signature=replace(signature, inputs=fields))


def changes(client, requests) -> dict[tuple[str, ...], float]:
    """Return what requests add to the metrics."""
    before = values(client.get("/metrics").text)
    for path, rows in requests:
        assert client.post(path, json=rows).status_code == 200
    after = values(client.get("/metrics").text)
    return {
        key: value - before.get(key, 0)
        for key, value in after.items()
        if value != before.get(key, 0)
    }


def build_client(trained: Trained, folder) -> object:
    service = Service.load(render_bundle(trained, folder).directory)
    return create_app(service).test_client()


def test_fast_and_other_requests_are_counted_and_logged(tmp_path):
    bundle = render_bundle(ranged(serving_models.iris()), tmp_path)
    variables = {"MODELPACK_LOG_PREDICTIONS": "1", "MODELPACK_LOG_INPUTS": "x0, x1"}
    with serve(bundle.directory, **variables) as server:
        for _ in range(3):
            server.request("POST", "/predict", [SETOSA])
        server.request("POST", "/predict", [STRANGE, SETOSA], **{"X-Request-Id": "strange"})
        server.request("POST", "/v1/models/model:predict", {"instances": [STRANGE]})
        server.request("POST", "/predict?probabilities=true", [SETOSA] * 20)
        with urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=20) as response:
            counted = values(response.read().decode())

        def logged() -> list[dict]:
            return [line for line in server.lines if line["logger"] == "modelpack.predictions"]

        assert wait_until(lambda: len(logged()) == 3 + 2 + 1 + prediction_log.MAX_ROWS)
        lines = logged()
    outside = "modelpack_input_outside_range_total"
    assert counted[outside, "x1"] == counted[outside, "x3"] == 2
    assert (outside, "x0") not in counted
    assert sum(value for key, value in counted.items() if "predicted_class_total" in key[0]) == 26
    assert counted["modelpack_probability_count",] == 7  # of 20 rows, every third
    (first, second) = (line for line in lines if line["id"] == "strange")
    assert first["inputs"] == {"x0": 5.1, "x1": -3.0}
    assert (first["row"], second["row"]) == (0, 1)
    assert second["predict"] == "setosa"
    assert [len(line["predict_proba"]) for line in lines if "predict_proba" in line] == [3] * 10


def test_missing_values_and_unknown_categories(tmp_path):
    trained = ranged(serving_models.mixed(), high=50.0)
    inputs = tuple(
        replace(each, categories=("Rome", "Oslo")) if each.name == "city" else each
        for each in trained.signature.inputs
    )
    trained = replace(trained, signature=replace(trained.signature, inputs=inputs))
    rows = [
        {"age": None, "city": "Rome", "visits": 3, "member": True},
        {"age": 51.0, "city": None, "visits": 60, "member": False},
        {"age": 50.0, "city": "Paris", "visits": 0, "member": True},
    ]
    found = changes(build_client(trained, tmp_path), [("/predict", rows)])
    assert {key: value for key, value in found.items() if "input" in key[0]} == {
        ("modelpack_input_missing_total", "age"): 1,
        ("modelpack_input_missing_total", "city"): 1,
        ("modelpack_input_outside_range_total", "age"): 1,
        ("modelpack_input_outside_range_total", "visits"): 1,
        ("modelpack_input_unknown_category_total", "city"): 1,
    }


def test_no_label_comes_from_a_client(tmp_path):
    fields = tuple(
        Field(f"x{n}", "number", minimum=0.0, maximum=1.0, example=0.5) for n in range(60)
    )
    model = LinearRegression().fit(np.zeros((2, 60)), [0.0, 1.0])
    trained = Trained(model, Signature(fields, ()), "regressor")
    found = changes(build_client(trained, tmp_path), [("/predict", [[5.0] * 60])])
    labels = {key[1] for key in found if key[0] == "modelpack_input_outside_range_total"}
    assert len(labels) == data_metrics.MAX_INPUTS + 1
    assert found["modelpack_input_outside_range_total", metrics.OTHER] == 10
    assert found["modelpack_predicted_value_count", "positive"] == 1


def test_classifier_of_several_outputs_is_served(tmp_path):
    client = build_client(playground_models.several(), tmp_path)
    found = changes(client, [("/predict", [[5.0] * 4])])
    assert not [key for key in found if key[0].startswith("modelpack_predicted")]


def test_metrics_can_be_turned_off(tmp_path, monkeypatch):
    monkeypatch.setenv("MODELPACK_DATA_METRICS", "0")
    client = build_client(ranged(serving_models.iris()), tmp_path)
    assert changes(client, [("/predict", [STRANGE])]) == {}


def test_malformed_variables_stop_the_start(tmp_path):
    bundle = render_bundle(serving_models.iris(), tmp_path)
    variables = {"MODELPACK_LOG_PREDICTIONS": "1", "MODELPACK_LOG_INPUTS": "x0, age"}
    assert "the model has no input 'age'" in startup_error(bundle.directory, **variables)
    for share in ("2", "0", "-1", "nan", "no"):
        with pytest.raises(StartupError, match="has to be above 0 and at most 1"):
            PredictionLog.from_environment({"MODELPACK_LOG_PREDICTIONS": share}, ())


def test_a_slow_log_drops_entries_and_counts_them(monkeypatch):
    hold, taken = threading.Event(), []

    def write(_logger, _message, facts) -> None:
        hold.wait(20)
        taken.extend(facts)

    monkeypatch.setattr(prediction_log.logs, "log_all", write)
    dropped = metrics.LOG_DROPPED._value.get()
    log = PredictionLog(1.0, {"x": 0})
    for number in range(prediction_log.MAX_QUEUED + 50):
        log.record(str(number), np.array([[float(number)]]), {"predict": np.array([1.0])})
    assert metrics.LOG_DROPPED._value.get() - dropped in (49, 50)  # one may be taken
    hold.set()
    log.close()
    assert len(taken) >= prediction_log.MAX_QUEUED
    assert taken[7] == {"id": "7", "row": 0, "inputs": {"x": 7.0}, "predict": 1.0}
