"""Models in the formats of their own libraries, served by these libraries."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnx_models
import pytest
from gunicorn_server import serve
from serving_models import DATA, NATIVE_MODELS, render_native_bundle

from modelpack.serving import loading, manifest
from modelpack.serving.errors import StartupError
from modelpack.serving.problems import Problem
from modelpack.serving.service import Service
from modelpack.serving.settings import Limits


def load_service(path: Path, folder: Path) -> Service:
    where = render_native_bundle(path, folder)
    facts = manifest.read(where)
    service = Service(facts, loading.load(where, facts), Limits())
    service.warm_up()
    assert service.ready
    return service


def rows(service: Service, instances: list):
    return service.decoder(instances).explain(instances)


@pytest.mark.parametrize(
    ("path", "instances", "predictions"), NATIVE_MODELS.values(), ids=NATIVE_MODELS
)
def test_workers_that_were_forked_answer_all_at_once(tmp_path, path, instances, predictions):
    """The answers are those of the library, and the workers end at SIGTERM."""
    with serve(render_native_bundle(path, tmp_path)) as server:
        with ThreadPoolExecutor(8) as pool:
            batches = [instances] * 24
            answers = list(
                pool.map(lambda batch: server.request("POST", "/predict", batch), batches)
            )
        assert {response.status for response, _ in answers} == {200}
        assert all(answer == {"predictions": predictions} for _, answer in answers)
        assert server.stop() == 0


@pytest.mark.parametrize(
    ("path", "instances", "predictions"), NATIVE_MODELS.values(), ids=NATIVE_MODELS
)
def test_mismatched_rows_are_reported(tmp_path, path, instances, predictions):
    service = load_service(path, tmp_path)
    names = [field.name for field in service.manifest.inputs]
    first = instances[0]
    row = [first[name] for name in names] if isinstance(first, dict) else first
    index = next(i for i, f in enumerate(service.manifest.inputs) if f.type == "number")
    for bad in ("a word", {}, [1.0]):
        with pytest.raises(Problem) as problem:
            rows(service, [[*row[:index], bad, *row[index + 1 :]]])
        assert problem.value.status == 422
    assert service.predict_decoded(rows(service, [row])).predictions.tolist() == predictions[:1]
    missing = [[*row[:index], None, *row[index + 1 :]]]
    if path.suffix == ".onnx":
        with pytest.raises(Problem, match="got null"):
            rows(service, missing)
    else:
        assert len(service.predict_decoded(rows(service, missing)).predictions.tolist()) == 1


def test_a_graph_of_a_fixed_size_takes_any_number_of_rows(tmp_path):
    service = load_service(DATA / "logreg_iris.onnx", tmp_path)
    three = [[6.8, 2.8], [5.1, 3.5], [6.0, 3.4]]
    first, second, third = service.predict_decoded(
        rows(service, three), probabilities=True
    ).probabilities
    assert first == {
        "0": pytest.approx(0.8421, abs=1e-4),
        "1": pytest.approx(7.5e-08, rel=0.01),
        "2": pytest.approx(0.1579, abs=1e-4),
    }
    assert service.predict_decoded(rows(service, three)).predictions.tolist() == [0, 0, 0]
    for count in (1, 2, 4, 6, 7):
        many = (three * 3)[:count]
        assert (
            service.predict_decoded(rows(service, many), probabilities=True).probabilities
            == ([first, second, third] * 3)[:count]
        )


def test_missing_values_reach_the_graph_that_replaces_them(tmp_path):
    (tmp_path / "model.onnx").write_bytes(onnx_models.imputer())
    service = load_service(tmp_path / "model.onnx", tmp_path)
    answer = service.predict_decoded(rows(service, [[None, 1], [2, None]])).predictions.tolist()
    assert answer == [[5.0, 1.0], [2.0, 7.0]]


def test_numbers_beyond_those_of_a_graph_are_refused(tmp_path):
    service = load_service(DATA / "logreg_iris.onnx", tmp_path)
    with pytest.raises(Problem, match="expected a value that the model takes, got 1e") as problem:
        service.predict_decoded(rows(service, [[6.8, 2.8], [6.8, 1e60]])).predictions.tolist()
    assert problem.value.status == 422


def test_probabilities_of_catboost_and_onnx(tmp_path):
    for name in ("catboost", "onnx"):
        path, instances, predictions = NATIVE_MODELS[name]
        service = load_service(path, tmp_path / name)
        probabilities = service.predict_decoded(
            rows(service, instances), probabilities=True
        ).probabilities
        assert [max(batch, key=batch.get) for batch in probabilities] == predictions
        assert all(sum(batch.values()) == pytest.approx(1) for batch in probabilities)


def test_categories_of_xgboost_have_their_numbers(tmp_path):
    """A model with words as categories gives for each word what its number gives."""
    document = json.loads((DATA / "kserve-xgboost.json").read_text())
    document["version"] = [3, 1, 2]
    model = document["learner"]["gradient_booster"]["model"]
    words = {"offsets": [0, 3, 6, 8], "values": [*b"redsunit"]}
    nothing = {"offsets": [], "values": []}
    model["cats"] = {
        "enc": [nothing, nothing, words, nothing],
        "feature_segments": [0, 0, 0, 3, 3],
        "sorted_idx": [2, 0, 1],
    }
    document["learner"]["feature_types"] = ["float", "float", "c", "float"]
    path = tmp_path / "model.json"
    path.write_text(json.dumps(document))
    service = load_service(path, tmp_path)
    numbers = load_service(DATA / "kserve-xgboost.json", tmp_path / "numbers")
    for number, word in enumerate(("red", "sun", "it")):
        by_word = service.predict_decoded(
            rows(service, [[6.8, 2.8, word, 1.4]])
        ).predictions.tolist()
        assert (
            by_word
            == numbers.predict_decoded(
                rows(numbers, [[6.8, 2.8, number, 1.4]])
            ).predictions.tolist()
        )
    with pytest.raises(Problem, match='got the string "moon"'):
        service.predict_decoded(rows(service, [[6.8, 2.8, "moon", 1.4]])).predictions.tolist()


def test_a_library_that_does_not_read_the_file_ends_the_service(tmp_path):
    """XGBoost reads its binary format no more; the lock names a release that does."""
    with pytest.raises(StartupError, match="the model does not load"):
        load_service(DATA / "kserve-xgboost-2.0.bst", tmp_path)
