"""Logs, metrics and traces of requests, the token, and what clients may not see."""

from __future__ import annotations

import base64
import hmac
import io
import json
import logging
import math
import os
import re
import secrets
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import serving_models
from flask.testing import FlaskClient
from hostile_text import LEAKS
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus
from serving_models import render_bundle

from modelpack.serving import app as serving_app
from modelpack.serving import problems
from modelpack.serving.errors import StartupError
from modelpack.serving.observability import logs, metrics, tracing
from modelpack.serving.observability import requests as observability_requests
from modelpack.serving.protocols import PROTOCOLS
from modelpack.serving.security import auth
from modelpack.serving.service import Service

ROOT = Path(__file__).parents[3]
TOKEN = "0123456789abcdef" * 4
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SETOSA = [5.1, 3.5, 1.4, 0.2]


def create_app(service: Service):
    app = serving_app.empty_app()
    for dialect in PROTOCOLS:
        app.register_blueprint(dialect.routes(service))
    return app


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    return {
        name: Service.load(
            render_bundle(
                getattr(serving_models, name)(), tmp_path_factory.mktemp(name), format_
            ).directory
        )
        for name, format_ in (("iris", "joblib"), ("stubborn", "pickle"))
    }


@pytest.fixture(scope="module")
def iris(services) -> FlaskClient:
    return create_app(services["iris"]).test_client()


@pytest.fixture(scope="module")
def stubborn(services) -> FlaskClient:
    return create_app(services["stubborn"]).test_client()


@pytest.fixture
def lines():
    """Every line that is logged, as it would be written."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logs.JsonFormatter())
    logger = logging.getLogger("modelpack")
    before = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    logger.removeHandler(handler)
    logger.setLevel(before)


# --- the line of a request -----------------------------------------------------------------------


def test_log_line_describes_a_request_without_its_content(iris, lines):
    headers = {"X-Request-Id": "mine", "traceparent": f"00-{TRACE}-{PARENT}-01"}
    answer = iris.post("/predict?secret=1", json=[SETOSA, SETOSA], headers=headers)
    (line,) = lines()
    assert list(line) == [
        "time", "level", "logger", "message", "id", "trace_id", "span_id", "parent_id", "method",
        "route", "status", "ms", "rows", "bytes",
    ]  # fmt: skip
    assert line.items() >= {
        "level": "info", "id": "mine", "trace_id": TRACE, "parent_id": PARENT, "method": "POST",
        "route": "/predict", "status": 200, "rows": 2, "bytes": len(answer.data),
    }.items()  # fmt: skip
    assert 0 < line["ms"] < 10_000
    assert re.fullmatch("[0-9a-f]{16}", line["span_id"])
    assert answer.headers["X-Request-Id"] == "mine"
    assert answer.headers["traceresponse"] == f"00-{TRACE}-{line['span_id']}-01"


HOSTILE = ["a\nb", "\x1b[31m", "\u202e", "\u2028", "\x9b31m", '"}', "a" * 65, "", "é", "\x7f"]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_log_line_contains_no_client_text(iris, lines, hostile):
    marked = f"canary{hostile}"
    environ = {
        "HTTP_X_REQUEST_ID": marked + "!",
        "HTTP_TRACEPARENT": marked,
        "HTTP_USER_AGENT": marked,
    }
    iris.open(f"/{marked}", method="GET", environ_overrides=environ)
    iris.post("/predict", data=json.dumps([[marked, 1, 2, 3]]), content_type="application/json")
    iris.open("/predict", method="CANARY")
    assert len(lines()) == 3
    assert "canary" not in json.dumps(lines()).lower()
    assert [line["method"] for line in lines()] == ["GET", "POST", "other"]


def test_log_line_is_ascii_for_any_text(lines):
    logging.getLogger("modelpack.serving").warning("\x1b\x7f\x9b\u202e\u2028\ud800\n")
    formatted = logs.JsonFormatter().format(
        logging.makeLogRecord({"msg": "\x1b\x7f\x9b\u202e\u2028\ud800\n"})
    )
    assert formatted.isascii()
    assert formatted.isprintable()
    assert lines()[0]["message"] == "\x1b\x7f\x9b\u202e\u2028\ud800\n"


def test_successful_probes_are_logged_at_debug_and_others_at_info(iris, stubborn, lines, services):
    for path in ("/healthz", "/readyz", "/metrics"):
        iris.get(path)
    services["stubborn"].ready = False
    try:
        assert stubborn.get("/readyz").status_code == 503
    finally:
        services["stubborn"].ready = True
    assert [line["level"] for line in lines()] == ["debug"] * 3 + ["info"]


def test_the_level_is_set_by_a_variable():
    assert logs.level({}) == "INFO"
    assert logs.level({"MODELPACK_LOG_LEVEL": "debug"}) == "DEBUG"
    with pytest.raises(StartupError, match="MODELPACK_LOG_LEVEL is none of debug, info"):
        logs.level({"MODELPACK_LOG_LEVEL": "loud"})


# --- the trace -----------------------------------------------------------------------------------

TRACEPARENTS = [
    (f"00-{TRACE}-{PARENT}-01", True),
    (f"00-{TRACE}-{PARENT}-00", True),
    (f"  00-{TRACE}-{PARENT}-ff\t", True),
    (f"01-{TRACE}-{PARENT}-01", True),  # of a version to come
    (f"cc-{TRACE}-{PARENT}-01-what-the-future-will-be-like", True),
    (f"cc-{TRACE}-{PARENT}-01-", True),
    (f"cc-{TRACE}-{PARENT}-01.x", False),
    (f"00-{TRACE}-{PARENT}-01-more", False),
    (f"00-{TRACE}-{PARENT}-01-", False),
    (f"ff-{TRACE}-{PARENT}-01", False),
    (f"00-{'0' * 32}-{PARENT}-01", False),
    (f"00-{TRACE}-{'0' * 16}-01", False),
    (f"00-{TRACE.upper()}-{PARENT}-01", False),
    (f"00-{TRACE}-{PARENT.upper()}-01", False),
    (f"00-{TRACE[1:]}-{PARENT}-01", False),
    (f"00-{TRACE}0-{PARENT}-01", False),
    (f"00-{TRACE}-{PARENT}0-01", False),
    (f"00-{TRACE}-{PARENT}-1", False),
    (f"00-{TRACE}-{PARENT}-0x", False),
    (f"0-{TRACE}-{PARENT}-01", False),
    (f"00-{TRACE}-{PARENT}", False),
    (f"00-{TRACE}-{PARENT}-01,00-{TRACE}-{PARENT}-01", False),  # sent twice
    (f"00-{TRACE}-{PARENT}-01\n", False),
    ("", False),
    (None, False),
]


@pytest.mark.parametrize(("header", "is_valid"), TRACEPARENTS)
def test_traceparent_is_parsed_by_the_recommendation(header, is_valid):
    context = tracing.context_from_headers(header)
    assert (context.trace_id == TRACE) == (context.parent_id == PARENT) == is_valid
    assert re.fullmatch("[0-9a-f]{32}", context.trace_id)
    assert re.fullmatch("[0-9a-f]{16}", context.span_id)
    assert context.span_id != PARENT


def test_only_the_flag_of_sampling_is_passed_on():
    flags = {"00": "00", "01": "01", "02": "00", "ff": "01", "fe": "00"}
    for given_flags, response_flags in flags.items():
        context = tracing.context_from_headers(f"00-{TRACE}-{PARENT}-{given_flags}")
        assert context.header == f"00-{TRACE}-{context.span_id}-{response_flags}"


# --- metrics -------------------------------------------------------------------------------------


def samples(client: FlaskClient) -> dict[tuple[str, frozenset], float]:
    text = client.get("/metrics").text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in prometheus(text)
        for sample in family.samples
    }


def grown(before, after, name: str, **labels: str) -> float:
    key = (name, frozenset(labels.items()))
    return after.get(key, 0.0) - before.get(key, 0.0)


def test_requests_rows_latencies_and_errors_are_counted(iris):
    before = samples(iris)
    iris.post("/predict?probabilities=1", json=[SETOSA] * 3)
    iris.post("/predict", json=[["a", 1, 2, 3]])
    iris.get("/nope")
    iris.get("/also-not")
    iris.open("/predict", method="BREW")
    after = samples(iris)
    requests = "modelpack_requests_total"
    assert grown(before, after, requests, route="/predict", method="POST", status="200") == 1
    assert grown(before, after, requests, route="/predict", method="POST", status="422") == 1
    assert grown(before, after, requests, route="none", method="GET", status="404") == 2
    assert grown(before, after, requests, route="none", method="other", status="405") == 1
    assert grown(before, after, "modelpack_rows_total", route="/predict") == 3
    assert grown(before, after, "modelpack_batch_rows_sum") == 6  # both methods were called
    assert grown(before, after, "modelpack_model_duration_seconds_count", method="predict") == 1
    duration = "modelpack_request_duration_seconds_count"
    assert grown(before, after, duration, route="/predict") == 2
    for kind, count in (("misfit", 1), ("not_found", 2), ("method", 1), ("malformed", 0)):
        assert grown(before, after, "modelpack_errors_total", kind=kind) == count
    assert after["modelpack_requests_in_flight", frozenset()] == 1  # this one


def test_failing_model_counts_as_an_error_and_leaves_nothing_in_flight(stubborn):
    before = samples(stubborn)
    assert stubborn.post("/predict", json=[[13]]).status_code == 500
    after = samples(stubborn)
    assert grown(before, after, "modelpack_errors_total", kind="failure") == 1
    assert grown(before, after, "modelpack_rows_total", route="/predict") == 0
    assert after["modelpack_requests_in_flight", frozenset()] == 1


def test_requests_refused_before_routing_are_counted_and_logged(iris, lines):
    before = samples(iris)
    del lines()[:]
    request_id = observability_requests.record_rejection(
        503, "Too many requests are waiting. Try again in 1 s.", 0.25
    )
    after = samples(iris)
    labels = {"reason": "too_many_requests_are_waiting", "status": "503"}
    assert grown(before, after, "modelpack_refused_total", **labels) == 1
    total = {"route": "none", "method": "other", "status": "503"}
    assert grown(before, after, "modelpack_requests_total", **total) == 1
    assert grown(before, after, "modelpack_errors_total", kind="unavailable") == 1
    (line,) = [line for line in lines() if line["level"] == "info"]
    assert line.items() >= {"id": request_id, "status": 503, "ms": 250.0, "route": None}.items()


def test_number_of_reasons_is_limited(iris, monkeypatch):
    monkeypatch.setattr(metrics, "_reasons", set())
    for number in range(3 * metrics.MAX_REASONS):
        observability_requests.record_rejection(400, f"Wrong {number}", 0.0)
        observability_requests.record_rejection(400, "x" * (number + 1), 0.0)
    names = {
        dict(labels)["reason"]
        for name, labels in samples(iris)
        if name == "modelpack_refused_total"
    }
    assert {"wrong", "other"} <= names
    assert len(names) <= metrics.MAX_REASONS + 3


def test_clients_make_no_labels(iris):
    before = set(samples(iris))
    for number in range(50):
        iris.get(f"/path-{number}")
        iris.open("/", method=f"METHOD{number}")
        iris.get("/", headers={"X-Request-Id": f"id{number}", "Host": f"host{number}"})
    new = {dict(labels).get("route") for _, labels in set(samples(iris)) - before}
    assert new <= {"none", "/", None}
    assert len(set(samples(iris)) - before) < 60


def test_model_facts_are_metrics(iris, services):
    (labels,) = [
        dict(labels)
        for (name, labels), value in samples(iris).items()
        if name == "modelpack_model_info"
        and value == 1.0
        and dict(labels)["framework"]
        and dict(labels)["sha256"] == services["iris"].manifest.files[0].sha256
    ]
    assert labels.items() >= {
        "name": "model", "version": "1", "framework": "scikit-learn", "framework_version": "1.9.1"
    }.items()  # fmt: skip


@pytest.mark.parametrize(
    "hostile", ['"} 1\nevil_total 5', "\\", "\r\n", "\ud800", "\u202e", "a" * 999]
)
def test_facts_of_a_model_file_are_labels_and_nothing_more(hostile):
    registry = metrics.CollectorRegistry()
    gauge = metrics.Gauge("hostile", "h", ["fact"], registry=registry)
    gauge.labels(metrics.label_text(hostile)).set(1)
    text = metrics.generate_latest(registry).decode()
    (family,) = prometheus(text)
    assert len(family.samples) == 1
    assert len(text.splitlines()) == 3


def test_promtool_reports_no_problem(iris):
    iris.post("/predict", json=[SETOSA])
    observability_requests.record_rejection(408, "The head of the request took too long.", 10.0)
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=iris.get("/metrics").data,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_metric_names_follow_the_conventions_of_prometheus(iris):
    """The checks of `promtool check metrics`: help, units, suffixes, no type in a name."""
    iris.post("/predict", json=[SETOSA])
    for family in prometheus(iris.get("/metrics").text):
        assert re.fullmatch(r"modelpack_[a-z_]+[a-z]", family.name)
        assert family.documentation.endswith(".")
        assert family.type in {"counter", "gauge", "histogram"}
        assert not re.search(r"_(ms|milliseconds|minutes|kb|percent)(_|$)", family.name)
        assert not re.search(r"_(counter|gauge|histogram|count|sum|bucket)$", family.name)
        if family.type == "counter":
            assert all(sample.name.endswith(("_total", "_created")) for sample in family.samples)
        else:
            assert not family.name.endswith("_total")
        for sample in family.samples:
            assert all(re.fullmatch(r"[a-z_0-9]+", label) for label in sample.labels)


ACCEPTED = [
    ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3", True),
    ("text/plain;version=0.0.4;q=0.3,application/openmetrics-text;version=1.0.0;q=0.5", True),
    ("application/openmetrics-text", True),
    ("text/plain", False),
    ("*/*", False),
    ("application/json", False),
    ("", False),
    ("application/openmetrics-text;version=\x1b;q=0.1, text/plain", False),
]


@pytest.mark.parametrize(("accept", "is_open"), ACCEPTED)
def test_openmetrics_is_returned_on_request(iris, accept, is_open):
    answer = iris.get("/metrics", headers={"Accept": accept})
    assert answer.status_code == 200
    assert (answer.mimetype == "application/openmetrics-text") == is_open
    assert list((openmetrics if is_open else prometheus)(answer.text))
    assert answer.headers["Content-Type"] in [kind for kind, _ in metrics.FORMATS.values()]


@given(accept=st.text(st.characters(max_codepoint=255, blacklist_categories=["Cc"]), max_size=40))
@settings(deadline=None, max_examples=50)
def test_no_accept_header_breaks_the_metrics(services, accept):
    client = create_app(services["iris"]).test_client()
    answer = client.get("/metrics", headers={"Accept": accept})
    assert answer.status_code == 200


# --- the token -----------------------------------------------------------------------------------


@pytest.fixture
def guarded(services, monkeypatch) -> FlaskClient:
    monkeypatch.setenv("MODELPACK_TOKEN", TOKEN)
    return create_app(services["iris"]).test_client()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def basic(password: str, user: str = "anyone") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_every_route_except_health_routes_requires_the_token(guarded):
    without_token, with_token = set(), set()
    for rule in guarded.application.url_map.iter_rules():
        values = dict.fromkeys(rule.arguments, "x")
        path = guarded.application.url_map.bind("localhost").build(rule.endpoint, values)
        for method in sorted(rule.methods):
            status = guarded.open(path, method=method).status_code
            (with_token if status == 401 else without_token).add(rule.rule)
    assert without_token <= observability_requests.HEALTH
    assert {"/healthz", "/readyz"} <= without_token
    assert {"/predict", "/metrics", "/", "/signature"} <= with_token
    for path in ("/nope", "/healthz/", "//healthz", "/predict/"):
        assert guarded.get(path).status_code == 401
    assert guarded.delete("/healthz").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        bearer(TOKEN),
        {"Authorization": f"bearer  {TOKEN} "},
        basic(TOKEN),
        basic(TOKEN, ""),
        {"Authorization": basic(TOKEN)["Authorization"].replace("Basic", "BASIC")},
    ],
)
def test_token_is_accepted_as_bearer_and_as_password(guarded, headers):
    assert guarded.get("/signature", headers=headers).status_code == 200
    assert guarded.get("/nope", headers=headers).status_code == 404


WRONG = {
    "missing": {},
    "empty": bearer(""),
    "short": bearer("x"),
    "begun": bearer(TOKEN[:-1]),
    "longer": bearer(TOKEN + "0"),
    "wrong": bearer("f" * len(TOKEN)),
    "upper": bearer(TOKEN.upper()),
    "long": bearer("x" * 8000),
    "digest": {"Authorization": f"Digest {TOKEN}"},
    "bare": {"Authorization": TOKEN},
    "user": basic("", TOKEN),
    "no base64": {"Authorization": "Basic !!!"},
    "no colon": {"Authorization": "Basic " + base64.b64encode(TOKEN.encode()).decode()},
    "latin": {"Authorization": "Bearer \xff\xfe"},
}


def test_all_wrong_credentials_get_the_same_response(guarded):
    answers = {
        name: guarded.get("/signature", headers={"X-Request-Id": "a", **headers})
        for name, headers in WRONG.items()
    }
    assert {answer.status_code for answer in answers.values()} == {401}
    assert len({answer.data for answer in answers.values()}) == 1
    answer = answers["missing"]
    assert answer.mimetype == "application/problem+json"
    assert answer.headers.getlist("WWW-Authenticate") == [
        'Bearer realm="modelpack"',
        'Basic realm="modelpack", charset="UTF-8"',
    ]
    assert len({str(sorted(a.headers.keys())) for a in answers.values()}) == 1


def test_browser_gets_a_page_without_facts_and_other_routes_require_the_token(guarded):
    page = guarded.get("/", headers={"Accept": "text/html"})
    assert page.status_code == 200
    for name in ("sklearn", "setosa", "x0", "Pipeline"):
        assert name not in page.text
    for path in ("/signature", "/predict", "/nope"):
        assert guarded.get(path, headers={"Accept": "text/html"}).status_code == 401
    by_script = guarded.get("/signature", headers={"Sec-Fetch-Dest": "empty"})
    assert by_script.headers.getlist("WWW-Authenticate") == ['Bearer realm="modelpack"']


def test_token_is_never_logged_or_counted(guarded, lines):
    for sent in (bearer(TOKEN), basic(TOKEN), bearer("canary" * 8)):
        guarded.get("/signature", headers=sent)
        guarded.get(f"/{TOKEN}", headers=sent)
    seen = json.dumps(lines()) + guarded.get("/metrics", headers=bearer(TOKEN)).text
    for secret in (TOKEN, "canary", basic(TOKEN)["Authorization"][6:]):
        assert secret not in seen


def test_credentials_are_compared_in_constant_time(guarded, monkeypatch):
    """Once for each request, as digests of one length, by a function that does not end early."""
    compared = []

    def compare(received, expected):
        compared.append((len(received), len(expected)))
        return hmac.compare_digest(received, expected)

    monkeypatch.setattr(auth, "hmac", SimpleNamespace(compare_digest=compare))
    for sent in (bearer(TOKEN[:-1] + "x"), bearer("x" + TOKEN[1:]), bearer("x"), {}):
        assert guarded.get("/signature", headers=sent).status_code == 401
    assert guarded.get("/signature", headers=bearer(TOKEN)).status_code == 200
    assert compared == [(32, 32)] * 5


def test_metrics_open_if_they_are_set_to(services, monkeypatch):
    monkeypatch.setenv("MODELPACK_TOKEN", TOKEN)
    monkeypatch.setenv("MODELPACK_OPEN_METRICS", "1")
    client = create_app(services["iris"]).test_client()
    assert client.get("/metrics").status_code == 200
    assert client.get("/").status_code == 401
    monkeypatch.setenv("MODELPACK_OPEN_METRICS", "yes")
    with pytest.raises(StartupError, match="MODELPACK_OPEN_METRICS is 'yes', neither 0 nor 1"):
        serving_app.empty_app()


def test_a_token_is_read_from_a_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    assert auth.token({"MODELPACK_TOKEN_FILE": str(path)}) == TOKEN
    assert auth.token({"MODELPACK_TOKEN": TOKEN}) == TOKEN
    assert auth.token({"MODELPACK_TOKEN": "01234567" * 8}) == "01234567" * 8
    assert auth.token({}) is None


CANARY = "canarycanary"
UNSOUND = [
    ("", "is empty"),
    (CANARY, "fewer than 128 bits"),
    ("0" * 64, "fewer than 128 bits"),
    ("1234567890" * 3, "fewer than 128 bits"),
    ("01" * 64, "fewer than 128 bits"),
    ("abcdef7" * 9, "fewer than 128 bits"),
    ("canary canary canary canary", "is too long, or has characters"),
    ("canary-é-" * 8, "is too long, or has characters"),
    (f"{TOKEN}\n{TOKEN}", "is too long, or has characters"),
    (TOKEN * 100, "is too long, or has characters"),
]


@pytest.mark.parametrize(("text", "message"), UNSOUND)
def test_a_token_that_can_be_guessed_or_not_sent_ends_the_start(tmp_path, text, message):
    path = tmp_path / "token"
    path.write_text(text)
    for environ in ({"MODELPACK_TOKEN": text}, {"MODELPACK_TOKEN_FILE": str(path)}):
        with pytest.raises(StartupError, match=message) as caught:
            auth.token(environ)
        assert "canary" not in str(caught.value)
        assert "openssl rand -hex 32" in str(caught.value)


def test_a_token_that_cannot_be_read_ends_the_start(tmp_path):
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff" * 64)
    for path, reason in (
        (tmp_path / "none", "No such file"),
        (tmp_path, "Is a directory"),
        (binary, "not text in UTF-8"),
        ("a\0b", "."),
        ("", "."),
    ):
        with pytest.raises(StartupError, match=f"cannot be read: .*{reason}"):
            auth.token({"MODELPACK_TOKEN_FILE": str(path)})
    with pytest.raises(StartupError, match="both MODELPACK_TOKEN and MODELPACK_TOKEN_FILE"):
        auth.token({"MODELPACK_TOKEN": TOKEN, "MODELPACK_TOKEN_FILE": "x"})


def test_random_tokens_of_128_bits_are_taken():
    for _ in range(2000):
        for token in (secrets.token_hex(16), secrets.token_urlsafe(16), secrets.token_urlsafe(32)):
            assert auth.token({"MODELPACK_TOKEN": token}) == token
    assert math.isclose(auth.bits("0" * 10), 10 * math.log2(10))


# --- headers -------------------------------------------------------------------------------------


def test_every_response_has_security_headers(iris, stubborn, guarded):
    answers = [
        iris.get("/healthz"),
        iris.get("/nope"),
        iris.get("/predict"),
        iris.post("/predict", json=[["a"]]),
        stubborn.post("/predict", json=[[13]]),
        guarded.get("/"),
        iris.get("/metrics"),
        iris.head("/signature"),
    ]
    for answer in answers:
        for name in ("Cache-Control", "Referrer-Policy", "X-Content-Type-Options"):
            assert answer.headers[name] in {"no-store", "no-referrer", "nosniff"}
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "Server" not in answer.headers
        assert not any("python" in value.lower() for value in answer.headers.values())


def test_route_may_override_a_header():
    app = serving_app.empty_app()

    @app.get("/page")
    def page():
        return "", {"Content-Security-Policy": "script-src 'self'", "Cache-Control": "max-age=9"}

    headers = app.test_client().get("/page").headers
    assert headers.getlist("Content-Security-Policy") == ["script-src 'self'"]
    assert headers.getlist("Cache-Control") == ["max-age=9"]
    assert headers["X-Content-Type-Options"] == "nosniff"


# --- leaks ---------------------------------------------------------------------------------------

JSON = "application/json"


def errors(iris, stubborn, guarded, services):
    """(name, status, answer) of every class of errors."""
    post = iris.post
    yield "json", 400, post("/predict", data=b"{", content_type=JSON)
    yield "deep", 400, post("/predict", data=b"[" * 99, content_type=JSON)
    yield "utf-8", 400, post("/predict", data=b"\xff", content_type=JSON)
    yield "query", 400, post("/predict?probabilities=/etc/passwd", json=[SETOSA])
    yield "token", 401, guarded.get("/", headers=bearer("x"))
    yield "route", 404, iris.get("/etc/passwd")
    yield "method", 405, iris.delete("/predict")
    yield "rows", 413, post("/predict", json=[SETOSA] * 10_001)
    yield "size", 413, post("/predict", data=b" " * (2**24 + 1), content_type=JSON)
    yield "type", 415, post("/predict", data=b"x", content_type="text/x-python")
    yield "encoding", 415, post("/predict", data=b"", headers={"Content-Encoding": "/usr/gzip"})
    yield "misfit", 422, post("/predict", json=[["a", None, True, {}]])
    yield "shape", 422, post("/predict", json=3)
    yield "model", 500, stubborn.post("/predict", json=[[13]])
    services["stubborn"].ready = False
    try:
        yield "unready", 503, stubborn.get("/readyz")
        yield "unready model", 500, stubborn.post("/predict", json=[[13]])
    finally:
        services["stubborn"].ready = True


def test_errors_contain_no_internals(iris, stubborn, guarded, services):
    for name, status, answer in errors(iris, stubborn, guarded, services):
        assert answer.status_code == status, name
        assert answer.mimetype == "application/problem+json", name
        assert answer.json["status"] == status
        assert answer.json["request_id"] == answer.headers["X-Request-Id"]
        seen = answer.text + str(sorted(answer.headers.items()))
        assert not LEAKS.search(seen), (name, LEAKS.search(seen), seen)


BODIES = [
    (b"{", JSON),
    (b"\xff", JSON),
    (b"[[]]", JSON),
    (
        b'{"inputs": [{"name": "/etc", "shape": [-1], "datatype": "FP64", "data": [{}],'
        b' "parameters": {}}]}',
        JSON,
    ),
    (b'{"dataframe_split": {"columns": [1], "data": [[1, 2]]}, "inputs": {}}', JSON),
    (b"a,b\n1\n", "text/csv"),
    (b"\x93NUMPY\x01\x00v\x00{'descr': '|O', }", "application/x-npy"),
    (b"PAR1", "application/vnd.apache.parquet"),
    (b"ARROW1", "application/vnd.apache.arrow.stream"),
    (b"{}\n{", "application/jsonlines"),
    (b"", ""),
]


def test_responses_contain_no_internals_for_any_request(services, iris):
    refused = 0
    bound = iris.application.url_map.bind("localhost")
    for rule in iris.application.url_map.iter_rules():
        for value in ("model", "..%2f", "Error.py"):
            values = {name: value if name != "version" else "1" for name in rule.arguments}
            path = bound.build(rule.endpoint, values)
            for method in sorted(rule.methods - {"HEAD"}):
                for body, content_type in BODIES if method == "POST" else BODIES[:1]:
                    sent = {"Content-Type": content_type, "Accept": "image/x-python"}
                    answer = iris.open(path, method=method, data=body, headers=sent)
                    assert answer.status_code < 500, (path, body)
                    if answer.status_code >= 400:
                        refused += 1
                        found = LEAKS.search(f"{answer.text} {answer.headers}")
                        assert not found, (path, body, found, answer.text)
    assert refused > 50


def test_the_search_for_leaks_finds_them():
    for leak in ('File "x"', "Traceback", "/opt/venv", "ValueError", "sklearn.pipeline", "a.py"):
        assert LEAKS.search(leak)


# --- OpenTelemetry -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, False),
        ({"OTEL_SDK_DISABLED": "TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, False),
    ],
)
def test_tracing_is_configured_by_variables_of_opentelemetry(environ, expected):
    assert tracing.is_configured(environ) == expected


def test_unsupported_protocol_or_exporter_is_reported():
    assert tracing.unsupported_protocol({}) is None
    assert "'grpc'" in tracing.unsupported_protocol({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    assert "'zipkin'" in tracing.unsupported_protocol({"OTEL_TRACES_EXPORTER": "zipkin"})


def test_gunicorns_configuration_loads_no_numpy():
    """Its libraries read how many threads they may have when they are loaded."""
    code = "import sys; from modelpack.serving import hooks; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- the documentation ---------------------------------------------------------------------------

PAGE = ROOT / "docs" / "service-observe.md"


def test_the_documentation_has_every_metric() -> None:
    """`MODELPACK_UPDATE_DOCS=1 pytest FILE` writes the table anew."""
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for metric in vars(metrics).values():
        if isinstance(metric, (metrics.Counter, metrics.Gauge, metrics.Histogram)):
            (family,) = metric.describe()
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = ", ".join(f"`{label}`" for label in metric._labelnames)
            rows.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    before, opening, rest = PAGE.read_text().partition("<!-- metrics -->\n")
    _, closing, after = rest.partition("<!-- /metrics -->\n")
    expected = before + opening + "\n".join([*rows, "", ""])[:-1] + closing + after
    if os.environ.get("MODELPACK_UPDATE_DOCS") and not os.environ.get("CI"):
        PAGE.write_text(expected)
    assert PAGE.read_text() == expected


def test_the_documentation_shows_a_line_as_it_is(iris, lines):
    iris.post("/predict", json=[SETOSA])
    (shown,) = re.findall(r"```json\n(.*)\n```", PAGE.read_text())
    (line,) = lines()
    assert list(json.loads(shown)) == list(line)
    assert json.loads(shown).keys() == line.keys()


def test_the_documentation_has_every_header_probe_kind_and_variable():
    text = PAGE.read_text()
    for name, _ in problems.SECURITY_HEADERS:
        assert f"`{name}" in text
    for route in observability_requests.PROBES:
        assert f"`{route}`" in text
    for kind in metrics.KINDS.values():
        assert f"`{kind}`" in text
    for name in (auth.VARIABLE, auth.FILE_VARIABLE, auth.OPEN_METRICS, *tracing.ENDPOINTS):
        assert f"`{name}`" in text


# --- where workers count -------------------------------------------------------------------------

PREPARE = """
import pathlib, tempfile
from modelpack.serving.observability import multiprocess as shared
shared.MEMORY = pathlib.Path("/nowhere")
tempfile.tempdir = {folder!r}
shared.prepare()
shared.prepare()
print(shared.Files.folder.parent)
"""


def prepared(folder: Path) -> subprocess.CompletedProcess[str]:
    code = PREPARE.format(folder=str(folder))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_temporary_directory_is_used_without_shared_memory(tmp_path):
    assert prepared(tmp_path).stdout == f"{tmp_path}\n"
    assert list(tmp_path.iterdir()) == []


def test_service_does_not_start_without_a_writable_directory(tmp_path):
    done = prepared(tmp_path / "none")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith(
        "the service cannot start: no folder for temporary files can be written, as /tmp."
    )
