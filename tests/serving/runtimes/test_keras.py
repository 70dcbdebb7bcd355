"""Predictions of Keras, compared with `model.predict` of the same file.

Needs Keras and PyTorch, which the tests do not install: `pip install keras torch h5py`.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pytest
from gunicorn_server import python_path, serve
from keras_files import CONFIG, DATA, archive, contents
from serving_models import BASE, ENVIRONMENT, SAMPLES, render_native_bundle
from sklearn.preprocessing import StandardScaler

from modelpack.bundle.render import render
from modelpack.inspection import inspect, require_servable

os.environ["KERAS_BACKEND"] = "torch"
keras = pytest.importorskip("keras")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

from modelpack.serving import loading, manifest, reference  # noqa: E402
from modelpack.serving.errors import StartupError  # noqa: E402
from modelpack.serving.problems import Problem  # noqa: E402
from modelpack.serving.service import Service  # noqa: E402
from modelpack.serving.settings import Limits  # noqa: E402

ROWS = 70
"""More than two batches of `model.predict`."""
SAMPLE = SAMPLES / "keras" / "model.keras"


def load_service(path, folder):
    where = render_native_bundle(path, folder)
    facts = manifest.read(where)
    service = Service(facts, loading.load(where, facts), Limits())
    service.warm_up()
    assert service.ready
    return service


def numbers(service):
    chance = np.random.default_rng(3)
    makes = {"integer": lambda: int(chance.integers(0, 3)), "number": lambda: chance.normal(20, 10)}
    kinds = [field.type for field in service.manifest.inputs]
    return [[makes[kind]() for kind in kinds] for _ in range(ROWS)]


def predicted(path, rows, columns=None):
    """Return what Keras predicts. `columns`: the inputs of the model, as slices of a row."""
    model = keras.saving.load_model(path, compile=False)
    matrix = np.array(rows, np.float64)
    if columns is None:
        dtype = model.inputs[0].dtype
        return model.predict(matrix.astype(dtype), verbose=0)
    inputs = {}
    for name, part in columns.items():
        (tensor,) = [each for each in model.inputs if each.name == name]
        values = matrix[:, part].astype(tensor.dtype)
        inputs[name] = values if len(tensor.shape) > 1 else values[:, 0]
    return model.predict(inputs, verbose=0)


COLUMNS = {"age": slice(0, 1), "code": slice(1, 2), "income": slice(2, 3)}
MODELS = {
    "sequential.keras": None, "sequential.h5": None, "columns.keras": COLUMNS,
    "columns.h5": COLUMNS, "listed.keras": {"one": slice(0, 2), "two": slice(2, 3)},
    "texts_as_numbers.keras": None, "texts_as_numbers.h5": None, "operations.keras": None,
    "sequential-2.h5": None, "functional-2.h5": {"a": slice(0, 2), "b": slice(2, 3)},
}  # fmt: skip


@pytest.mark.parametrize(("name", "columns"), MODELS.items(), ids=MODELS)
def test_predictions_have_the_bits_of_keras(tmp_path, name, columns):
    service = load_service(DATA / name, tmp_path)
    rows = numbers(service)
    expected = predicted(DATA / name, rows, columns)
    expected = expected[:, 0] if expected.shape[1:] == (1,) else expected
    answer = service.predict(rows).predictions
    assert answer.dtype == expected.dtype
    assert np.array_equal(answer, expected)
    assert not service.runner.can_batch
    shape = service.manifest.model["signature"]["outputs"][0]["shape"]
    assert shape in ([], list(expected.shape[1:]))


def test_layers_create_no_weights_beyond_the_file(tmp_path):
    """Two layers of a size that the file has, one behind the other, would take half a gigabyte."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2000), keras.layers.Dense(1)])
    model.save(tmp_path / "model.keras")
    members = contents(tmp_path / "model.keras")
    config = json.loads(members[CONFIG])
    for each in config["config"]["layers"][1:]:
        each["config"]["units"] = 12_000
        del each["build_config"]
    members[CONFIG] = json.dumps(config).encode()
    (tmp_path / "model.keras").write_bytes(archive(members))
    own = keras.layers.Layer.add_weight
    where = render_native_bundle(tmp_path / "model.keras", tmp_path)
    with pytest.raises(StartupError, match="more weights than the file has bytes"):
        Service.load(where)
    assert keras.layers.Layer.add_weight is own


@pytest.mark.parametrize("unknown", [False, True], ids=["fixed", "a size that is not fixed"])
def test_pictures_have_the_bits_of_keras(tmp_path, unknown):
    path = DATA / "image.keras"
    shape = (8, 8, 1)
    if unknown:
        keras.utils.set_random_seed(0)
        shape = (6, 2)
        layers = keras.layers
        model = keras.Sequential([layers.Input((None, 2)), layers.LSTM(3), layers.Dense(2)])
        path = tmp_path / "lstm.keras"
        model.save(path)
    values = np.random.default_rng(1).normal(size=(ROWS, *shape)).astype("float32")
    service = load_service(path, tmp_path)
    expected = keras.saving.load_model(path, compile=False).predict(values, verbose=0)
    expected = expected[:, 0] if expected.shape[1:] == (1,) else expected
    for rows in (values.tolist(), values.reshape(ROWS, -1).tolist()):
        assert np.array_equal(service.predict(rows).predictions, expected)


def test_the_values_of_several_outputs_are_one_row(tmp_path):
    service = load_service(DATA / "two_outputs.keras", tmp_path)
    rows = numbers(service)
    expected = np.hstack(predicted(DATA / "two_outputs.keras", rows))
    assert np.array_equal(service.predict(rows).predictions, expected)
    decoded = service.decode_rows(rows)
    assert np.array_equal(service.runner.call_library(decoded), expected)


def test_a_scaler_before_a_model(tmp_path):
    """The most common pair of files: StandardScaler of scikit-learn, and the network behind it."""
    rows = np.random.default_rng(1).normal(5, 3, (ROWS, 4))
    scaler = StandardScaler().fit(rows)
    joblib.dump(scaler, tmp_path / "scaler.joblib")
    spec = inspect(tmp_path / "scaler.joblib", DATA / "sequential.keras")
    require_servable(spec)
    assert [field.example for field in spec.signature.inputs] == pytest.approx(scaler.mean_, 1e-3)
    where = render(spec, ENVIRONMENT, BASE, tmp_path / "bundle").directory
    service = Service.load(where)
    expected = predicted(DATA / "sequential.keras", scaler.transform(rows))
    assert np.array_equal(service.predict(rows.tolist()).predictions, expected)


def test_the_reference_calls_keras_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    render_native_bundle(SAMPLE, tmp_path)
    model = reference.ReferenceModel(tmp_path / "bundle")
    rows = [[20.0, 0, 5.0], [20.0, 2, 50.0]]
    calls = []
    own = type(model.runner).call_library
    monkeypatch.setattr(type(model.runner), "call_library", lambda *a: calls.append(1) or own(*a))
    assert len(model.answers([rows])["predictions"]) == 2
    assert calls


def test_an_index_beyond_an_embedding_is_the_fault_of_the_row(tmp_path):
    service = load_service(SAMPLE, tmp_path)
    for bad in (3, 10**9, 2**40, -5):
        with pytest.raises(Problem) as problem:
            service.predict([[20.0, 1, 5.0], [20.0, bad, 5.0]])
        assert problem.value.status == 422


def test_workers_that_were_forked_answer_all_at_once(tmp_path):
    path = os.pathsep.join([python_path(), str(Path(keras.__file__).parents[1])])
    with serve(render_native_bundle(SAMPLE, tmp_path), PYTHONPATH=path) as server:
        rows = [{"months": 5.0, "charge": 20.0 + n, "contract": n % 3} for n in range(40)]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: server.request("POST", "/predict", rows), range(24)))
        assert {response.status for response, _ in answers} == {200}
        assert all(answer == answers[0][1] for _, answer in answers)
        assert server.stop() == 0
