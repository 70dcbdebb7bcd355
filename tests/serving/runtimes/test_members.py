"""Models of several objects, and models that take dicts."""

from __future__ import annotations

import json
import pickle
import time
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction import DictVectorizer
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from modelpack.inspection import inspect
from modelpack.serving import app as serving_app
from modelpack.serving.data import json_body
from modelpack.serving.data.columns import FallbackRequiredError
from modelpack.serving.data.rows import DictDecoder
from modelpack.serving.errors import StartupError
from modelpack.serving.protocols import PROTOCOLS
from modelpack.serving.service import Service
from modelpack.serving.settings import Limits
from modelpack.types import Field, Member, ModelSpec, Signature, to_json

PEOPLE = [
    {"city": "Rome", "age": 20, "height": 1.5},
    {"city": "Oslo", "age": 60},
    {"age": 40, "height": 1.75},
    {"city": "Oslo", "height": 2.0},
]
LABELS = ["no", "yes", "no", "yes"]
FIELDS = (
    Field("city", "string", nullable=True, categories=("Oslo", "Rome"), example="Rome"),
    Field("age", "integer", nullable=True, example=20),
    Field("height", "number", nullable=True, example=1.5),
)
TYPES = ("number", "integer", "string", "boolean", "any")
DICTS = Signature(FIELDS, (), ("no", "yes"), layout="dicts", named=True, probabilities=True)


@pytest.fixture(scope="module")
def pair():
    vectorizer = DictVectorizer(sparse=False).fit(PEOPLE)
    forest = RandomForestClassifier(5, random_state=0, n_jobs=2)
    return vectorizer, forest.fit(vectorizer.transform(PEOPLE), LABELS)


def compose_spec(paths: list[Path], members: tuple[Member, ...], signature: Signature) -> ModelSpec:
    found = [inspect(path) for path in paths]
    files = [replace(spec.file, path=path.name) for spec, path in zip(found, paths, strict=True)]
    names = {name for spec in found for name in spec.globals}
    return replace(
        found[0],
        file=files[0],
        more_files=tuple(files[1:]),
        members=members,
        globals=tuple(sorted(names)),
        signature=signature,
        method="predict",
    )


def load_service(folder: Path, spec: ModelSpec) -> Service:
    (folder / "modelpack.json").write_text(json.dumps({"schema": 1, "model": to_json(spec)}))
    return Service.load(folder)


def one_file(pair, folder: Path) -> Service:
    (folder / "saved").write_bytes(pickle.dumps({"parts": list(pair), 3: "version"}))
    members = (Member(0, ("parts", 0)), Member(0, ("parts", 1)))
    return load_service(folder, compose_spec([folder / "saved"], members, DICTS))


def two_files(pair, folder: Path) -> Service:
    """In the order of the user's choice, saved by different libraries."""
    joblib.dump((None, pair[1]), folder / "model.gz", compress=("gzip", 3))
    (folder / "vectorizer").write_bytes(pickle.dumps({7: pair[0]}))
    members = (Member(1, (7,)), Member(0, (1,)))
    return load_service(
        folder, compose_spec([folder / "model.gz", folder / "vectorizer"], members, DICTS)
    )


def answer(service: Service, rows, path: str = "/predict?probabilities=1") -> dict:
    app = serving_app.empty_app()
    for dialect in PROTOCOLS:
        app.register_blueprint(dialect.routes(service))
    response = app.test_client().post(path, json={"instances": rows})
    return {"status": response.status_code, **response.json}


@pytest.mark.parametrize("targets", [1, 2])
def test_predictions_pass_through_the_inverse_of_the_transformer_of_the_target(tmp_path, targets):
    rows = np.random.default_rng(0).normal(20, 3, (40, 3))
    values = np.exp(rows[:, :targets] / 5)
    scaler, target = StandardScaler().fit(rows), QuantileTransformer(n_quantiles=20).fit(values)
    scaled = target.transform(values)
    model = RandomForestRegressor(5, random_state=0).fit(
        scaler.transform(rows), scaled if targets == 2 else scaled.ravel()
    )
    joblib.dump({"model": model, "scaler": scaler, "y_scaler": target}, tmp_path / "m.joblib")
    spec = inspect(tmp_path / "m.joblib")
    spec = replace(spec, file=replace(spec.file, path="m.joblib"))
    service = load_service(tmp_path, spec)
    predicted = model.predict(scaler.transform(rows)).reshape(-1, targets)
    expected = target.inverse_transform(predicted)
    expected = expected if targets == 2 else expected.ravel()
    assert answer(service, rows.tolist(), "/predict")["predictions"] == expected.tolist()
    assert answer(service, rows[:1].tolist(), "/predict")["predictions"] == expected[:1].tolist()


@pytest.mark.parametrize("arrangement", [one_file, two_files])
def test_rows_pass_through_every_member(tmp_path, pair, arrangement):
    vectorizer, forest = pair
    service = arrangement(pair, tmp_path)
    assert service.ready
    response = answer(service, PEOPLE)
    table = vectorizer.transform(PEOPLE)
    assert response["predictions"] == forest.predict(table).tolist()
    assert response["probabilities"] == [
        dict(zip(["no", "yes"], row, strict=True)) for row in forest.predict_proba(table).tolist()
    ]


def test_every_member_uses_one_thread(tmp_path, pair):
    assert pair[1].n_jobs == 2
    assert one_file(pair, tmp_path).runner.model.n_jobs == 1


def test_a_chain_has_no_method_that_its_last_member_lacks(tmp_path):
    members = (StandardScaler().fit([[0.0], [2.0]]), StandardScaler().fit([[-1.0], [1.0]]))
    (tmp_path / "saved").write_bytes(pickle.dumps(members))
    inputs = (Field("x0", "number", example=1.0),)
    spec = compose_spec(
        [tmp_path / "saved"], (Member(0, (0,)), Member(0, (1,))), Signature(inputs, ())
    )
    with pytest.raises(StartupError, match="no method predict"):
        load_service(tmp_path, spec)
    service = load_service(tmp_path, replace(spec, method="transform"))
    assert service.predict_decoded(np.array([[3.0]])).predictions.tolist() == [[2.0]]


@pytest.mark.parametrize("path", [("model",), (2,), (0, "x"), (0, 0, 0)])
def test_missing_member_is_reported(tmp_path, path):
    (tmp_path / "saved").write_bytes(pickle.dumps(([1],)))
    spec = compose_spec([tmp_path / "saved"], (Member(0, path),), DICTS)
    with pytest.raises(StartupError, match="contains nothing at"):
        load_service(tmp_path, spec)


def test_the_digest_of_every_file_is_checked(tmp_path, pair):
    two_files(pair, tmp_path)
    (tmp_path / "vectorizer").write_bytes(pickle.dumps({7: "another"}))
    with pytest.raises(StartupError, match="not the one that was packaged"):
        Service.load(tmp_path)


# --- dicts ---------------------------------------------------------------------------------------


class DictEcho:
    """A model that answers with what it was given."""

    def predict(self, rows):
        return np.array([repr(row) for row in rows], object)


@pytest.fixture(scope="module")
def dict_service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seen")
    (folder / "saved").write_bytes(pickle.dumps(DictEcho()))
    return load_service(
        folder, compose_spec([folder / "saved"], (Member(),), replace(DICTS, probabilities=False))
    )


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"age": 20, "height": 2}], [{"age": 20, "height": 2.0}]),
        ([["Rome", 3.0, 1]], [{"city": "Rome", "age": 3, "height": 1.0}]),
        ([{"city": "Rome"}, {"age": 7}], [{"city": "Rome"}, {"age": 7}]),
        ([["Rome", None, None]], [{"city": "Rome"}]),
        ([{"height": None}], [{}]),
        ([{"city": "nan", "age": 2**60}], [{"city": "nan", "age": 2**60}]),
    ],
)
def test_dict_contains_present_values_in_the_type_of_their_input(dict_service, rows, expected):
    decoder = dict_service.decoder(rows)
    for decoded in (decoder.decode(rows), decoder.explain(rows)):
        assert dict_service.predict_decoded(decoded).predictions.tolist() == [
            repr(row) for row in expected
        ]


@pytest.mark.parametrize(
    ("row", "column"), [({"city": 3}, "city"), ({"age": 1.5}, "age"), ({"town": "x"}, "town")]
)
def test_wrong_value_of_a_dict_is_reported(dict_service, row, column):
    response = answer(dict_service, [row])
    assert response["status"] == 422
    assert response["errors"][0]["column"] == column


@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_row_that_the_model_refuses_is_reported(tmp_path, pair):
    """Trees hold numbers of 32 bits."""
    response = answer(one_file(pair, tmp_path), [*PEOPLE, {"height": 1e300}])
    assert response["status"] == 422
    assert (response["errors"][0]["row"], response["errors"][0]["column"]) == (4, None)


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "a", 2**63])


@given(
    fields=st.lists(st.builds(Field, st.sampled_from("abc"), st.sampled_from(TYPES)), max_size=3),
    nullable=st.sets(st.sampled_from("abc")),
    rows=st.lists(st.dictionaries(st.sampled_from("abcd"), VALUES) | st.lists(VALUES), min_size=1),
)
def test_dicts_accepted_by_the_fast_path_are_valid_one_by_one(fields, nullable, rows):
    fields = {field.name: replace(field, nullable=field.name in nullable) for field in fields}
    decoder = DictDecoder(list(fields.values()), 10**6)
    body = json.dumps(rows).encode()
    try:
        (fast,) = decoder.decode(json_body.parse(body, Limits()))
    except (FallbackRequiredError, ValueError):
        return
    (exact,) = decoder.explain(json_body.parse_strict(body, Limits()))
    assert [repr(row) for row in fast] == [repr(row) for row in exact]


@pytest.fixture(scope="module")
def wide():
    return tuple(Field(f"x{i}", "number", nullable=True) for i in range(20_000))


def test_a_row_of_few_names_costs_little_however_many_there_are(wide):
    """1,000 rows of 20,000 inputs: 20 million values, of which 2,000 are there."""
    decoder = DictDecoder(wide, 1000)
    rows = [{"x7": 1.5, "x19999": 2}] * 1000
    started = time.perf_counter()
    (dicts,) = decoder.decode(rows)
    decoder.explain(rows)
    assert time.perf_counter() - started < 0.5
    assert dicts.tolist() == rows


def test_rows_of_nothing_cannot_claim_more_than_a_body_holds(tmp_path, wide):
    """A row by name may have three bytes, although it means a value of each input."""
    (tmp_path / "saved").write_bytes(pickle.dumps(DictEcho()))
    spec = compose_spec([tmp_path / "saved"], (Member(),), Signature(wide, (), named=True))
    response = answer(load_service(tmp_path, spec), [{}] * 1000, "/predict")
    assert response["status"] == 413
    assert "Expected at most 419 rows, got 1000." in response["detail"]
