"""Responses to a Flask test client, from models trained here."""

from __future__ import annotations

import gzip
import json
import math
import socket
import threading
import tracemalloc
import zlib

import pytest
import serving_models
from flask_clients import client_for, post
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from serving_models import people, render_bundle

from modelpack.serving import app as serving_app
from modelpack.serving import health
from modelpack.serving.service import Service


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    """The clients of all models by name."""
    return {
        make.__name__: client_for(make(), tmp_path_factory.mktemp(make.__name__), format_)
        for make, format_ in (
            (serving_models.iris, "joblib"),
            (serving_models.mixed, "joblib"),
            (serving_models.texts, "pickle"),
            (serving_models.forest, "joblib"),
            (serving_models.scaler, "pickle"),
            (serving_models.coded, "joblib"),
            (serving_models.named, "joblib"),
            (serving_models.strict, "joblib"),
            (serving_models.stubborn, "pickle"),
        )
    }


@pytest.fixture
def iris(clients):
    return clients["iris"]


SETOSA, VIRGINICA = [5.1, 3.5, 1.4, 0.2], [6.5, 3.0, 5.5, 2.0]


# --- predictions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        {"instances": [SETOSA, VIRGINICA]},
        [SETOSA, VIRGINICA],
        {"instances": [dict(zip(["x0", "x1", "x2", "x3"], SETOSA, strict=True)), VIRGINICA]},
        [
            dict(reversed(list(zip(["x0", "x1", "x2", "x3"], row, strict=True))))
            for row in (SETOSA, VIRGINICA)
        ],
    ],
)
def test_rows_come_as_lists_or_by_name_in_any_order(iris, document):
    answer = post(iris, document)
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    assert answer.json == {"predictions": ["setosa", "virginica"]}


def test_one_bare_object_is_one_row(iris):
    row = dict(zip(["x3", "x2", "x1", "x0"], reversed(SETOSA), strict=True))
    assert post(iris, row).json == {"predictions": ["setosa"]}


def test_probabilities_are_named_by_class_and_equal_the_models(iris):
    trained = serving_models.iris()
    answer = post(iris, [VIRGINICA], "/predict?probabilities=true").json
    (row,) = trained.model.predict_proba([VIRGINICA])
    expected = dict(zip(trained.model.classes_, row, strict=True))
    assert answer == {"predictions": ["virginica"], "probabilities": [expected]}


def test_a_frame_model_gets_its_columns_and_types(clients):
    trained = serving_models.mixed()
    frame = people().astype(object)
    rows = frame.where(frame.notna(), None).to_dict("records")
    answer = post(clients["mixed"], rows, "/predict?probabilities=true").json
    assert answer["predictions"] == trained.model.predict(people()).tolist()
    expected = trained.model.predict_proba(people()).tolist()
    assert [list(row.values()) for row in answer["probabilities"]] == expected
    assert list(answer["probabilities"][0]) == ["0", "1"]


def test_nullable_value_may_be_absent_null_or_nan(clients):
    whole = {"age": None, "city": None, "visits": 2, "member": False}
    short = {"visits": 2, "member": False}
    as_list = [None, None, 2.0, False]
    as_nan = b'[{"age": NaN, "city": null, "visits": 2, "member": false}]'
    answers = [
        post(clients["mixed"], document, "/predict?probabilities=1").json
        for document in ([whole], [short], [as_list], as_nan)
    ]
    assert answers[0]["predictions"]
    assert all(answer == answers[0] for answer in answers)


def test_an_unknown_category_is_left_to_the_encoder(clients):
    row = {"age": 3, "city": "Atlantis", "visits": 2, "member": False}
    assert post(clients["mixed"], row).status_code == 200


@pytest.mark.parametrize("document", [["good fun", "sad"], [["good fun"], ["sad"]]])
def test_texts_come_bare_or_as_rows(clients, document):
    assert post(clients["texts"], document).json == {"predictions": [True, False]}


def test_floats_come_back_to_the_last_bit(clients):
    trained = serving_models.forest()
    row = [0.0380759064334241, 0.0506801187398187, 0.0616962065186885]
    answer = post(clients["forest"], {"instances": [row]})
    assert answer.json["predictions"] == trained.model.predict([row]).tolist()


def test_a_transformer_transforms(clients):
    assert post(clients["scaler"], [[2, 20]]).json == {"predictions": [[1.0, 0.0]]}


def test_a_frame_of_numbers(clients):
    row = dict(zip(serving_models.IRIS_NAMES, VIRGINICA, strict=True))
    assert post(clients["named"], [row, SETOSA]).json == {"predictions": [2, 0]}
    summary = clients["named"].get("/").json
    assert set(summary["example"]["instances"][0]) == set(serving_models.IRIS_NAMES)


def test_an_array_of_strings_and_numbers(clients):
    rows = [["b", 1], ["a", 2.0], ["a", "two"]]
    assert post(clients["coded"], rows[:2]).json == {"predictions": ["B", "A"]}
    assert post(clients["coded"], rows[2:]).status_code == 200


def test_big_floats_are_numbers(clients):
    assert post(clients["scaler"], [[1e30, 20]]).json == {"predictions": [[1e30, 0.0]]}


# --- rows that do not fit ------------------------------------------------------------------------


def error_positions(answer):
    assert answer.status_code == 422, answer.text
    assert answer.mimetype == "application/problem+json"
    return [(error["row"], error["column"]) for error in answer.json["errors"]]


@pytest.mark.parametrize(
    "value",
    ['"true"', '"1.5"', "null", "NaN", "Infinity", "-Infinity", "1e400", "[]", "{}", "9" * 310,
     "9" * 5000, "-" + "9" * 5000],
)  # fmt: skip
def test_non_number_is_refused_with_its_position(iris, value):
    body = f'{{"instances": [[1, 2, 3, 4], [1, 2, {value}, 4]]}}'.encode()
    answer = post(iris, body)
    assert error_positions(answer) == [(1, "x2")]
    assert answer.json["detail"].startswith('Row 1, column "x2": expected a finite number, got ')


@pytest.mark.parametrize(
    ("row", "columns"),
    [
        ({"age": "3", "visits": 2, "member": True}, ["age"]),
        ({"age": "true", "visits": 2, "member": True}, ["age"]),
        ({"city": 3, "visits": 2, "member": True}, ["city"]),
        ({"visits": 2.5, "member": True}, ["visits"]),
        ({"visits": None, "member": True}, ["visits"]),
        ({"visits": 2**63, "member": True}, ["visits"]),
        ({"visits": 2, "member": 2}, ["member"]),
        ({"visits": 2, "member": 0.5}, ["member"]),
        ({"visits": 2, "member": "true"}, ["member"]),
        ({"visits": 2}, ["member"]),
        ({"vists": 2, "member": True}, ["visits"]),
        ({"vists": 2, "menber": True}, ["vists", "menber", "visits", "member"]),
    ],
)
def test_value_of_a_wrong_type_or_name_is_refused(clients, row, columns):
    assert error_positions(post(clients["mixed"], [row])) == [(0, column) for column in columns]


@pytest.mark.parametrize("value", ["true", "9223372036854775808", "-" + "9" * 25, "9" * 300])
def test_booleans_and_large_integers_are_numbers(iris, value):
    number = float(value.replace("true", "1"))
    assert post(iris, f"[[1, 2, {value}, 4]]".encode()).data == post(iris, [[1, 2, number, 4]]).data


@pytest.mark.parametrize("value", [1, 1.0])
def test_one_is_true(clients, value):
    rows = [{"age": True, "visits": True, "member": value}, {"age": 1, "visits": 1, "member": True}]
    assert len({post(clients["mixed"], [row]).data for row in rows}) == 1


def test_integral_floats_are_integers(clients):
    assert post(clients["mixed"], {"visits": 2.0, "member": True}).status_code == 200


@pytest.mark.parametrize("row", [[1, 2, 3], [1, 2, 3, 4, 5], []])
def test_a_row_of_another_length_is_refused(iris, row):
    answer = post(iris, [[1, 2, 3, 4], row])
    assert error_positions(answer) == [(1, None)]
    assert answer.json["errors"][0]["expected"] == "4 values"
    assert answer.json["errors"][0]["got"] == str(len(row))


def test_many_errors_are_listed_up_to_a_bound(iris):
    answer = post(iris, [["a"] * 4] * 100)
    assert error_positions(answer) == [
        (row, f"x{column}") for row in range(5) for column in range(4)
    ]


@pytest.mark.parametrize(
    "document", [[], {"instances": []}, {"instances": {}}, {"instances": [], "x": 1}, 3, None, "a"]
)
def test_body_without_rows_is_refused(iris, document):
    assert post(iris, document).status_code == 422


def test_a_long_value_is_not_echoed_whole(iris):
    answer = post(iris, [["a" * 10_000, 1, 2, 3]])
    assert error_positions(answer) == [(0, "x0")]
    assert len(answer.data) < 1000


# --- requests that are none ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[1,]", b"\xff", "[1]".encode("utf-16"), b'["\\ud800"]', b"\xef\xbb\xbf[1]",
     b"[" * 100_000, b"[" * 33 + b"]" * 33],
)  # fmt: skip
def test_malformed_json_is_400(clients, body):
    answer = post(clients["texts"], body)
    assert answer.status_code == 400
    assert answer.json["title"] == "Bad Request"


def test_the_depth_limit_is_exact(iris):
    assert post(iris, b"[" * 32 + b"]" * 32).status_code == 422


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_another_media_type_is_415(iris, content_type):
    answer = iris.post("/predict", data=b"[]", content_type=content_type)
    assert answer.status_code == 415
    assert "application/json" in answer.json["detail"]


DOCUMENT = b'{"instances": [[5.1, 3.5, 1.4, 0.2]]}'
RAW = zlib.compressobj(wbits=-15)
ENCODED = {
    "gzip": ("gzip", gzip.compress(DOCUMENT)),
    "x-gzip": ("X-GZIP", gzip.compress(DOCUMENT)),
    "deflate": ("deflate", zlib.compress(DOCUMENT)),
    "deflate without a frame": ("deflate", RAW.compress(DOCUMENT) + RAW.flush()),
    "identity": ("identity", DOCUMENT),
}


def encoded(client, encoding, body):
    return client.post(
        "/predict",
        data=body,
        headers={"Content-Encoding": encoding},
        content_type="application/json",
    )


@pytest.mark.parametrize("name", ENCODED)
def test_compressed_bodies_are_taken(iris, name):
    answer = encoded(iris, *ENCODED[name])
    assert (answer.status_code, answer.json) == (200, {"predictions": ["setosa"]})


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "gzip, identity", ""])
def test_another_encoding_is_415(iris, encoding):
    answer = encoded(iris, encoding, DOCUMENT)
    assert answer.status_code == 415
    assert answer.headers["Accept-Encoding"] == "gzip, deflate"


@pytest.mark.parametrize("name", ["gzip", "deflate"])
@pytest.mark.parametrize(
    "damage",
    [lambda body: DOCUMENT, lambda body: body[:-1], lambda body: b"", lambda body: body + body,
     lambda body: body[:12] + b"~" + body[13:]],
)  # fmt: skip
def test_a_body_that_is_not_of_its_encoding_is_400(iris, name, damage):
    encoding, body = ENCODED[name]
    assert encoded(iris, encoding, damage(body)).status_code == 400


@pytest.mark.parametrize("name", ["gzip", "deflate"])
def test_a_body_that_grows_too_large_is_413_and_takes_no_memory(iris, name):
    spaces = b" " * 200_000_000
    bomb = gzip.compress(spaces) if name == "gzip" else zlib.compress(spaces)
    del spaces
    tracemalloc.start()
    answer = encoded(iris, name, bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answer.status_code == 413
    assert peak < 60e6
    padding = b" " * (16 * 2**20 - len(DOCUMENT))
    assert encoded(iris, "gzip", gzip.compress(padding + DOCUMENT)).status_code == 200
    assert encoded(iris, "gzip", gzip.compress(padding + DOCUMENT + b" ")).status_code == 413


def test_too_many_rows_are_413(iris):
    assert post(iris, [SETOSA] * 10_000).status_code == 200
    assert post(iris, [SETOSA] * 10_001).status_code == 413


def test_unknown_routes_and_methods_are_problems(iris):
    for path in ("/nope", "/predict/", "/../etc/passwd", "/%00"):
        missing = iris.get(path)
        assert (missing.status_code, missing.json["status"]) == (404, 404)
        assert path not in missing.text
    wrong = iris.get("/predict")
    assert (wrong.status_code, wrong.mimetype) == (405, "application/problem+json")
    assert "POST" in wrong.headers["Allow"]


def test_probabilities_of_a_model_without_them_are_400(clients):
    answer = post(clients["forest"], [[0, 0, 0]], "/predict?probabilities=true")
    assert (answer.status_code, answer.json["detail"]) == (
        400,
        "This model has no probabilities.",
    )
    assert post(clients["iris"], [SETOSA], "/predict?probabilities=maybe").status_code == 400


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        ([["a", 1], ["b", 2], ["b", 3]], {"row": 2, "column": "x1", "got": "3"}),
        ([["a", 1], ["c", 2]], {"row": 1, "column": "x0", "got": 'the string "c"'}),
        ([["c", 3], ["b", 3]], {"row": 0, "column": "x0", "got": 'the string "c"'}),
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/predict?probabilities=true"])
def test_a_value_that_the_model_refuses_is_named(clients, rows, wrong, path):
    answer = post(clients["strict"], rows, path)
    assert answer.status_code == 422
    known = {"x0": '"a", "b"', "x1": "1, 2"}[wrong["column"]]
    expected = f"a value that the model takes ({known})"
    assert answer.json["errors"] == [{**wrong, "expected": expected}]


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_number_beyond_the_32_bits_of_a_tree_is_named(clients):
    answer = post(clients["forest"], [[0, 0, 0], [0, 1e39, 0]])
    assert answer.status_code == 422
    assert answer.json["detail"] == (
        'Row 1, column "x1": expected a value that the model takes, got 1e+39.'
    )


def test_failing_model_is_500_without_details(clients, caplog):
    answer = post(clients["stubborn"], [[13]])
    assert answer.status_code == 500
    for secret in ("thirteens", "secret", "RuntimeError", "Traceback", "Stubborn"):
        assert secret not in answer.text
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    record = next(record for record in caplog.records if record.exc_info)
    assert record.facts["id"] == answer.json["request_id"]
    assert "no thirteens" in str(record.exc_info[1])


def test_bug_in_a_route_is_500_without_details(caplog):
    app = serving_app.empty_app()

    @app.get("/bug")
    def bug():
        raise KeyError("/srv/secret")

    answer = app.test_client().get("/bug")
    assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")
    assert "secret" not in answer.text
    assert "KeyError" not in answer.text
    assert answer.json["request_id"] in [
        record.facts["id"] for record in caplog.records if record.exc_info
    ]


@pytest.mark.parametrize(
    ("given_id", "kept"), [("abc-1_2", True), ("a" * 65, False), ("a b", False), ("é", False)]
)
def test_valid_request_id_is_kept(iris, given_id, kept):
    answer = iris.get("/healthz", headers={"X-Request-Id": given_id})
    assert (answer.headers["X-Request-Id"] == given_id) == kept


# --- what is served ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "is_alive"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", True),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", False),
        (b"200\r\n", False),
        (b"", False),
    ],
)
def test_health_check_of_the_image_needs_status_200(response, is_alive):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def respond():
            connection, _ = server.accept()
            with connection:
                requests.append(connection.recv(2**12))
                connection.sendall(response)

        requests = []
        thread = threading.Thread(target=respond)
        thread.start()
        port = server.getsockname()[1]
        assert health.is_alive(port) is is_alive
        thread.join()
    assert requests[0].startswith(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    assert not health.is_alive(port), "nothing listens"


def test_health_and_readiness(iris):
    assert iris.get("/healthz").json == {"status": "ok"}
    assert iris.get("/readyz").json == {"status": "ready"}


def test_a_model_that_fails_its_own_example_is_not_ready(tmp_path):
    trained = serving_models.stubborn()
    (field,) = trained.signature.inputs
    object.__setattr__(field, "example", 13.0)
    client = client_for(trained, tmp_path)
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503


def test_the_signature_names_inputs_classes_and_model(iris):
    document = iris.get("/signature").json
    assert [field["name"] for field in document["inputs"]] == ["x0", "x1", "x2", "x3"]
    assert document["classes"] == ["setosa", "versicolor", "virginica"]
    assert document["model"]["estimator"] == "sklearn.pipeline.Pipeline"
    assert document["model"]["task"] == "classifier"


def test_summary_lists_the_routes(iris):
    summary = iris.get("/").json
    assert post(iris, summary["example"]).status_code == 200
    for route in summary["routes"]:
        path = route["path"].replace("<name>", "model").replace("<version>", "1")
        found = iris.open(path, method=route["method"])
        assert found.status_code != 405
        assert (found.status_code == 404) == path.endswith(":explain")
    assert {"/predict", "/healthz", "/readyz", "/signature", "/"} <= {
        route["path"] for route in summary["routes"]
    }


def test_one_thread_in_every_estimator(tmp_path):
    service = Service.load(render_bundle(serving_models.forest(), tmp_path).directory)
    assert service.runner.model.n_jobs == 1


# --- anything at all -----------------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(["age", "city", "visits", "member", "x0", "z"]), inner)
    ),
    max_leaves=20,
)
ROWS = st.lists(st.lists(SCALARS, min_size=4, max_size=4), min_size=1, max_size=3)


# A warning that numbers overflow is an error in tests, and is logged by the service.
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@given(name=st.sampled_from(["iris", "mixed", "texts"]), document=JSON | ROWS)
@example(name="iris", document=[[False, False, False, 5.2e307]])
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_document_breaks_the_service(clients, name, document):
    answer = post(clients[name], {"instances": document})
    assert answer.status_code in (200, 400, 413, 422), answer.text
    if answer.status_code == 200:
        assert len(answer.json["predictions"]) == len(document)


@given(body=st.binary(max_size=40))
@example(body=b"")
@example(body=b"0")
@example(body=b"[]")
@example(body=b"[[1]]")
@example(body=b'{"instances": 1}')
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_break_the_service(iris, body):
    try:
        json.loads(body.decode())
    except ValueError:
        assert post(iris, body).status_code == 400
    else:
        assert post(iris, body).status_code == 422


@given(rows=st.lists(st.lists(st.floats(), min_size=2, max_size=2), min_size=1, max_size=4))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_finite_numbers_are_accepted_and_only_those(clients, rows):
    answer = post(clients["scaler"], rows)
    finite = all(math.isfinite(value) for row in rows for value in row)
    assert answer.status_code == (200 if finite else 422)
