"""The fast path responds exactly as Flask does."""

from __future__ import annotations

import io
import json
import re
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import serving_models
from fast_path_requests import (
    environ,
    flask_response,
    handle_jobs,
    head,
    jobs,
    make_job,
    runner_facts,
    split_response,
)
from gunicorn_server import serve
from serving_models import render_bundle
from sklearn.datasets import load_diabetes
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from stubborn_model import Stubborn

from modelpack.serving import app as serving_app
from modelpack.serving import inference
from modelpack.serving.data.columns import FallbackRequiredError
from modelpack.serving.errors import StartupError
from modelpack.serving.protocols import invocations, predict, v1
from modelpack.serving.protocols.v2 import routes
from modelpack.serving.server import fast_path
from modelpack.serving.server.batching import DynamicBatch
from modelpack.serving.server.predictor import Predictor
from modelpack.serving.service import Service
from modelpack.serving.settings import Limits
from modelpack.types import Field, Signature

ROW = [5.1, 3.5, 1.4, 0.2]
OTHER = [6.7, 3.0, 5.2, 2.3]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    bundle = render_bundle(serving_models.iris(), tmp_path_factory.mktemp("iris"))
    return Service.load(bundle.directory)


def create_application(service, monkeypatch, **environ):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    app = serving_app.empty_app()
    for dialect in (predict, invocations, v1, routes):
        app.register_blueprint(dialect.routes(service))
    return app


@pytest.fixture
def app(service, monkeypatch):
    return create_application(service, monkeypatch)


@pytest.fixture
def fast(app):
    return fast_path.FastPath.for_app(app)


def instances(*rows) -> bytes:
    return json.dumps({"instances": rows}).encode()


def npy(*rows) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array(rows))
    return stream.getvalue()


NAMES = [field.name for field in serving_models.iris().signature.inputs]
TENSOR = {"name": "x", "shape": [1, 4], "datatype": "FP64", "data": ROW}
REQUESTS = {
    "lists": ("/predict", instances(ROW), {}),
    "several rows": ("/predict", instances(ROW, OTHER, ROW), {}),
    "probabilities": ("/predict?probabilities=true", instances(ROW), {}),
    "by name": (
        "/predict",
        json.dumps(dict(zip(NAMES, ROW, strict=True))).encode(),
        {},
    ),
    "csv back": ("/predict", instances(ROW), {"Accept": "text/csv"}),
    "npy": ("/predict", npy(ROW, OTHER), {"Content-Type": "application/x-npy"}),
    "csv": (
        "/predict",
        (",".join(NAMES) + "\n5.1,3.5,1.4,0.2\n").encode(),
        {"Content-Type": "text/csv"},
    ),
    "split": ("/invocations", json.dumps({"dataframe_split": {"data": [ROW]}}).encode(), {}),
    "params": (
        "/invocations",
        json.dumps({"inputs": [ROW], "params": {"predict_method": "decision_function"}}).encode(),
        {},
    ),
    "V1": ("/v1/models/model:predict", instances(ROW), {}),
    "V2": ("/v2/models/model/infer", json.dumps({"inputs": [TENSOR]}).encode(), {}),
    "V2 of a version": (
        "/v2/models/model/versions/1/infer",
        json.dumps({"id": "7", "inputs": [TENSOR]}).encode(),
        {},
    ),
    "V2, binary back": (
        "/v2/models/model/infer",
        json.dumps({"inputs": [TENSOR], "parameters": {"binary_data_output": True}}).encode(),
        {},
    ),
    "closing": ("/predict", instances(ROW), {"Connection": "close"}),
    "closing, and more": ("/predict", instances(ROW), {"Connection": "TE, Close"}),
    "neither closing nor keeping": ("/predict", instances(ROW), {"Connection": "TE"}),
    "ids": (
        "/predict",
        instances(ROW),
        {"X-Request-Id": "mine", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"},
    ),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_the_response_is_the_one_that_flask_gives(app, fast, service, name):
    path, body, more = REQUESTS[name]
    path = path.replace("/versions/1/", f"/versions/{service.version}/")
    job = make_job(fast, body, path, **more)
    (response,) = handle_jobs(fast, job)
    assert response
    assert split_response(response) == split_response(flask_response(app, job.request, body))


def test_request_id_of_the_client_is_returned(fast):
    body = instances(ROW)
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    for request_id in ("first", "second"):  # the second head differs in nothing else
        job = make_job(fast, body, **{"X-Request-Id": request_id, "traceparent": trace})
        (response,) = handle_jobs(fast, job)
        assert f"X-Request-Id: {request_id}\r\n".encode() in response
        assert f"traceresponse: 00-{'a' * 32}-".encode() in response
    (response,) = handle_jobs(fast, make_job(fast, body))
    assert b"first" not in response
    assert b"second" not in response


@pytest.mark.parametrize(
    "raw",
    {
        "another route": head("/healthz", 10),
        "a name that is not served": head("/v1/models/other:predict", 10),
        "a switch that is none": head("/predict?probabilities=maybe", 10),
        "what no reader takes": head("/predict", 10, **{"Content-Type": "text/html"}),
        "what no writer gives": head("/predict", 10, Accept="image/png"),
        "GET": head("/predict", 10).replace(b"POST", b"GET"),
        "HTTP/1.0": head("/predict", 10).replace(b"HTTP/1.1", b"HTTP/1.0"),
        "an encoding": head("/predict", 10, **{"Content-Encoding": "gzip"}),
        "chunks": head("/predict", 10, **{"Content-Length": "", "Transfer-Encoding": "chunked"}),
        "100-continue": head("/predict", 10, Expect="100-continue"),
        "a large body": head("/predict", 10**7),
        "no length": head("/predict", 10, **{"Content-Length": ""}),
        "two lengths": head("/predict", 10).replace(b"\r\n\r\n", b"\r\nContent-Length: 10\r\n\r\n"),
        "two lengths that differ": head("/predict", 10).replace(
            b"\r\n\r\n", b"\r\ncontent-length: 3\r\n\r\n"
        ),
        "a sign": head("/predict", 10, **{"Content-Length": "+10"}),
        "a list": head("/predict", 10, **{"Content-Length": "10, 10"}),
        "no host": head("/predict", 10, Host=""),
        "a line folded": head("/predict", 10).replace(b"\r\n\r\n", b"\r\nA: b\r\n c\r\n\r\n"),
        "a space before the colon": head("/predict", 10).replace(
            b"Content-Length:", b"Content-Length :"
        ),
        "an id of odd characters": head("/predict", 10, **{"X-Request-Id": "a b"}),
    }.items(),
    ids=lambda case: case[0] if isinstance(case, tuple) else None,
)
def test_unusual_requests_are_left_to_flask(fast, raw):
    name, data = raw
    for _ in range(2):  # what was found is kept
        plain = fast.match(data, environ)
        if name == "an id of odd characters" and plain is not None:
            assert plain.headers.request_id is None
        else:
            assert plain is None


def test_long_heads_are_left_to_flask(fast):
    known = len(head("/predict", 10, **{"X-Long": "a"}))
    for size, is_fast in ((4096, True), (4097, False)):
        raw = head("/predict", 10, **{"X-Long": "a" * (size - known + 1)})
        assert (len(raw), fast.match(raw, environ) is not None) == (size, is_fast)


def test_cached_head_does_not_accept_a_wrong_one(fast):
    assert fast.match(head("/predict", 10), environ) is not None
    twice = head("/predict", 10).replace(b"\r\n\r\n", b"\r\nContent-Length: 10\r\n\r\n")
    assert fast.match(twice, environ) is None
    assert fast.match(head("/predict", 11), environ).length == 11


BAD = {
    "no JSON": b"{",
    "too few values": instances(ROW[:3]),
    "a string": instances([*ROW[:3], "long"]),
    "an object": instances([*ROW[:3], {}]),
    "null": instances([*ROW[:3], None]),
    "NaN": b'{"instances": [[5.1, 3.5, 1.4, NaN]]}',
    "beyond floats": b'{"instances": [[5.1, 3.5, 1.4, 1e999]]}',
    "no rows": instances(),
    "nothing": b"",
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_is_left_to_flask_and_others_are_answered(app, fast, name):
    good, other = make_job(fast, instances(ROW)), make_job(fast, instances(OTHER))
    bad = make_job(fast, BAD[name])
    first, second, third = handle_jobs(fast, good, bad, other)
    assert second == b""
    assert split_response(first) == split_response(flask_response(app, good.request, good.body))
    assert split_response(third) == split_response(flask_response(app, other.request, other.body))
    assert flask_response(app, bad.request, bad.body).startswith(b"HTTP/1.1 4")


def test_large_requests_are_left_to_the_thread(fast, service, monkeypatch):
    monkeypatch.setattr(service.runner, "quick_rows", 10)
    few, many = instances(*[ROW] * 10), instances(*[ROW] * 11)
    job = make_job(fast, many)
    assert handle_jobs(fast, job, only_fast=True) == [b""]
    assert handle_jobs(fast, job)[0].startswith(b"HTTP/1.1 200")
    jobs = [make_job(fast, few) for _ in range(6)]
    answers = handle_jobs(fast, *jobs, only_fast=True)
    assert [bool(answer) for answer in answers] == [True] * 4 + [False] * 2


def test_large_bodies_are_parsed_by_the_thread_only(fast, service, monkeypatch):
    monkeypatch.setattr(service.runner, "quick_rows", 100)
    job, parsed = make_job(fast, instances(*[ROW] * 1000)), []
    kind = job.fast.kind

    def parse(body):
        parsed.append(body)
        return kind.parse(body)

    job.fast = job.fast._replace(kind=kind._replace(parse=parse))
    assert handle_jobs(fast, job, only_fast=True) == [b""]
    assert not parsed
    assert handle_jobs(fast, job)[0].startswith(b"HTTP/1.1 200")
    assert parsed == [job.body]


def test_long_texts_are_left_to_the_thread(tmp_path, monkeypatch):
    service = load_service(serving_models.texts(), tmp_path)
    fast = fast_path.FastPath.for_app(create_application(service, monkeypatch))
    monkeypatch.setattr(service.runner, "quick_rows", 10)
    assert handle_jobs(fast, make_job(fast, instances(["good " * 400])), only_fast=True)[0]
    assert handle_jobs(fast, make_job(fast, instances(["good " * 600])), only_fast=True) == [b""]


def test_token_is_required(service, monkeypatch):
    token = "0123456789abcdef" * 2
    fast = fast_path.FastPath.for_app(
        create_application(service, monkeypatch, MODELPACK_TOKEN=token)
    )
    body = instances(ROW)
    assert make_job(fast, body) is None
    assert make_job(fast, body, Authorization="Bearer wrong") is None
    (response,) = handle_jobs(fast, make_job(fast, body, Authorization=f"Bearer {token}"))
    assert response.startswith(b"HTTP/1.1 200 OK\r\n")
    assert make_job(fast, body) is None


def own_hook(app):
    app.before_request(lambda: None)


def own_answer_hook(app):
    app.after_request(lambda response: response)


def own_middleware(app):
    app.wsgi_app = lambda environ, start: app.__class__.wsgi_app(app, environ, start)


def own_view(app):
    app.view_functions["predict.predict"] = lambda: "mine"


@pytest.mark.parametrize("change", [own_hook, own_answer_hook, own_middleware, own_view])
def test_changed_application_is_left_to_flask(app, change):
    change(app)
    assert fast_path.FastPath.for_app(app) is None


def test_additional_route_keeps_the_fast_path(app):
    app.add_url_rule("/mine", view_func=lambda: "mine")
    assert fast_path.FastPath.for_app(app) is not None


def test_other_applications_have_no_fast_path():
    assert fast_path.FastPath.for_app(lambda environ, start: []) is None


class Spy:
    """A runner that records its calls, and refuses rows whose first value is negative."""

    can_batch = True
    quick_rows = 1000
    classes = None

    def __init__(self, error=ValueError):
        self.calls = []
        self.error = error

    def call_batch(self, method, rows):
        return self._record_call("together", rows)

    def call_each(self, method, rows):
        return self._record_call("each", rows)

    def _record_call(self, how, rows):
        self.calls.append((how, len(rows)))
        if (rows[:, 0] < 0).any():
            raise self.error
        return rows[:, 0] * 2


class BatchTarget:
    def __init__(self, runner, limits=None):
        self.runner = runner
        self.limits = limits or Limits()


def build_requests(*matrices):
    return [
        inference.InferenceRequest(np.array(matrix, float), ("predict",), None)
        for matrix in matrices
    ]


def batch_results(runner, *matrices):
    batch = DynamicBatch(BatchTarget(runner), build_requests(*matrices))
    batch.run()
    return [r and r["predict"].tolist() for r in batch.results]


def test_single_rows_are_predicted_in_one_call():
    spy = Spy()
    assert batch_results(spy, [[1]], [[2]], [[3]]) == [[2.0], [4.0], [6.0]]
    assert spy.calls == [("each", 3)]


def test_request_of_several_rows_is_predicted_separately():
    spy = Spy()
    assert batch_results(spy, [[1]], [[2], [3]], [[4]]) == [[2.0], [4.0, 6.0], [8.0]]
    assert sorted(spy.calls) == [("each", 2), ("together", 2)]


def test_requests_are_predicted_one_by_one_without_batching():
    spy = Spy()
    spy.can_batch = False
    assert batch_results(spy, [[1]], [[2]]) == [[2.0], [4.0]]
    assert spy.calls == [("together", 1)] * 2


@pytest.mark.parametrize("error", [ValueError, FallbackRequiredError, RuntimeError])
def test_failing_batch_is_halved_until_only_the_bad_row_fails(error):
    spy = Spy(error)
    rows = [[[float(n)]] for n in range(1, 17)]
    rows[5] = [[-1.0]]
    expected = [[2.0 * n] for n in range(1, 17)]
    expected[5] = None
    assert batch_results(spy, *rows) == expected
    assert len(spy.calls) <= 1 + 2 * 4


def test_no_call_has_more_rows_than_the_limit():
    spy = Spy()
    assert len(batch_results(spy, *[[[1.0]]] * 600)) == 600
    assert spy.calls == [("each", 256), ("each", 256), ("each", 88)]


def test_larger_answers_than_the_limit_are_left_to_flask():
    requests = build_requests([[1], [2], [3]], [[1], [2], [3], [4]])
    batch = DynamicBatch(BatchTarget(Spy(), Limits(answer_values=3)), requests)
    batch.run()
    assert [result and len(result["predict"]) for result in batch.results] == [3, None]


def test_columns_of_several_types_are_not_mixed():
    class Columns(Spy):
        def _record_call(self, how, rows):
            self.calls.append((how, rows[0].dtype.char, len(rows[0])))
            return np.zeros(len(rows[0]))

    spy = Columns()
    kinds = (np.array([1]), np.array([1.5]), np.array([2]))
    requests = [inference.InferenceRequest([column], ("predict",), None) for column in kinds]
    DynamicBatch(BatchTarget(spy), requests).run()
    assert spy.calls == [("each", "l", 2), ("together", "d", 1)]


def taken_along(merges, *waiting):
    predictor = Predictor(lambda jobs: None, lambda: None, merges=merges)
    predictor._thread.retired = True
    predictor.waiting.extend(waiting)
    predictor._tokens.put(None)  # for the thread, which ends after this one
    predictor._thread.join(5)
    assert not predictor._thread.is_alive()
    return [job.body for job in predictor.done]


@pytest.mark.parametrize(
    ("merges", "waiting", "expected"),
    [
        (True, [*jobs(b"a", b"b"), *jobs(b"c")], [b"a", b"b", b"c"]),
        (False, jobs(b"a", b"b"), [b"a"]),
        (True, [*jobs(b"a"), *jobs(b"b", plain=False), *jobs(b"c")], [b"a"]),
        (True, [*jobs(b"a", plain=False), *jobs(b"b")], [b"a"]),
        (True, jobs(b"a", b"b" * 70_000, b"c"), [b"a"]),
        (True, jobs(b"a" * 70_000, b"b"), [b"a" * 70_000]),
    ],
    ids=["merged", "not merged", "not plain between", "not plain first", "large", "large first"],
)
def test_waiting_requests_are_added_to_a_batch(merges, waiting, expected):
    assert taken_along(merges, *waiting) == expected


def regressor(model) -> serving_models.Trained:
    data, target = load_diabetes(return_X_y=True)
    inputs = tuple(Field(f"x{index}", "number", example=0.03) for index in range(10))
    signature = Signature(inputs, (Field("value", "number"),))
    return serving_models.Trained(model.fit(data, target), signature, "regressor")


def load_service(trained, folder: Path, format_="joblib") -> Service:
    return Service.load(render_bundle(trained, folder, format_).directory)


def test_neighbours_model_predicts_a_batch_like_single_rows(tmp_path):
    service = load_service(regressor(KNeighborsRegressor(3)), tmp_path)
    assert (service.runner.kind, service.runner.can_batch) == ("estimator", True)


def test_model_that_depends_on_all_rows_is_not_batched(tmp_path):
    looking = FunctionTransformer(np.cumsum, kw_args={"axis": 0})
    service = load_service(regressor(make_pipeline(looking, KNeighborsRegressor(3))), tmp_path)
    assert not service.runner.can_batch


def test_requests_to_user_code_are_not_batched(tmp_path):
    inputs = (Field("seconds", "number", example=0.001),)
    trained = serving_models.Trained(Stubborn(), Signature(inputs, ()), "regressor")
    assert not load_service(trained, tmp_path, "pickle").runner.can_batch


def test_waiting_requests_are_answered_by_one_model_call(tmp_path):
    """The model has no plan and takes about 20 ms per call, in one worker."""
    rows = np.random.default_rng(0).normal(size=(60_000, 10))
    slow = KNeighborsRegressor(3, algorithm="brute").fit(rows, rows[:, 0])
    inputs = tuple(Field(f"x{index}", "number", example=0.5) for index in range(10))
    trained = serving_models.Trained(slow, Signature(inputs, ()), "regressor")
    bundle = render_bundle(trained, tmp_path)
    with serve(bundle.directory, preload=True, WEB_CONCURRENCY="1") as server:

        def send_row(number: int):
            return server.request("POST", "/predict", {"instances": [rows[number].tolist()]})

        with ThreadPoolExecutor(16) as pool:
            answers = [document["predictions"] for _, document in pool.map(send_row, range(64))]
        calls, row_count = rows_of_batches(server, 64)
        lines = [line for line in server.lines if line.get("route") == "/predict"]
    assert answers == [slow.predict(rows[n : n + 1]).tolist() for n in range(64)]
    assert row_count == 64
    assert calls < 32
    assert len(lines) == 64
    assert min(line["ms"] for line in lines) > 1  # from the last byte of the request


def rows_of_batches(server, least: int) -> tuple[float, float]:
    """Batches and their rows, once as many are counted: after the responses are sent."""
    deadline = time.monotonic() + 20
    while (row_count := metric(server, "modelpack_batch_rows_sum")) < least:
        assert time.monotonic() < deadline, row_count
        time.sleep(0.02)
    return metric(server, "modelpack_batch_rows_count"), row_count


def metric(server, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    return float(re.search(rf"(?m)^{name} (\S+)$", text)[1])


def test_signature_describes_the_prediction_path(service, tmp_path):
    reason = "same bits as the estimator on 86 rows"
    assert runner_facts(service) == {"kind": "plan", "reason": reason, "merges": True}
    neighbours = load_service(regressor(KNeighborsRegressor(3)), tmp_path)
    reason = "KNeighborsRegressor has no plan"
    assert runner_facts(neighbours) == {"kind": "estimator", "reason": reason, "merges": True}


def test_plans_can_be_disabled(tmp_path, monkeypatch):
    monkeypatch.setenv("MODELPACK_PLANS", "0")
    service = load_service(serving_models.iris(), tmp_path)
    assert runner_facts(service)["kind"] == "estimator"
    assert runner_facts(service)["reason"] == "no plan was requested"


def test_invalid_switch_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("MODELPACK_PLANS", "maybe")
    with pytest.raises(StartupError, match="MODELPACK_PLANS is 'maybe', neither 0 nor 1"):
        load_service(serving_models.iris(), tmp_path)
