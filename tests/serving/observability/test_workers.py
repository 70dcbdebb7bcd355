"""Logs and metrics of a service with two workers: summed, and kept when one is killed."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import serving_models
from gunicorn_server import Server, python_path, serve, startup_error
from hostile_text import LEAKS
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families
from serving_models import render_bundle

SETOSA = [[5.1, 3.5, 1.4, 0.2]]
TOKEN = "0123456789abcdef" * 4
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SECONDS = 20


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return Path(render_bundle(serving_models.iris(), tmp_path_factory.mktemp("iris")).directory)


def get(server: Server, path: str, **headers: str) -> tuple[http.client.HTTPResponse, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)
    try:
        connection.request("GET", path, headers={"Connection": "close", **headers})
        response = connection.getresponse()
        return response, response.read().decode()
    finally:
        connection.close()


def predict(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)
    try:
        headers = {"Content-Type": "application/json", "Connection": "close"}
        connection.request("POST", "/predict", json.dumps(SETOSA), headers)
        connection.getresponse().read()
    finally:
        connection.close()


def scraped(server: Server, **headers: str) -> dict[str, float]:
    """Return the metrics: sample with its labels, as written there -> value."""
    _, text = get(server, "/metrics", **headers)
    assert len(list(text_string_to_metric_families(text))) > 5
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {sample: float(value) for sample, value in pairs}


def scraped_at_rest(server: Server) -> dict[str, float]:
    """Return the metrics after every earlier request is counted, which happens after its response.
    The requests in flight are counted last, but may be read last, too: hence another scrape.
    """
    wait_until(lambda: scraped(server)["modelpack_requests_in_flight"] == 1)  # the scrape itself
    return scraped(server)


def predicted(values: dict[str, float]) -> float:
    sample = 'modelpack_requests_total{method="POST",route="/predict",status="200"}'
    return values.get(sample, 0.0)


def workers(server: Server) -> list[int]:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return [int(pid) for pid in children.read_text().split()]


def wait_until(condition) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def counter_directory(server: Server) -> Path:
    """Return the directory of the counters, which the master keeps open."""
    open_files = [fd.readlink() for fd in Path(f"/proc/{server.process.pid}/fd").iterdir()]
    (folder,) = [path for path in open_files if path.name.startswith("modelpack-metrics-")]
    return folder


def test_the_counters_of_all_workers_are_summed_and_survive_a_killed_one(bundle):
    with serve(bundle, preload=True) as server:
        folder = counter_directory(server)
        request_until_both_respond(server, folder)
        (folder / "counter_7.db").touch()  # as if a worker were just making it
        before = scraped_at_rest(server)
        (folder / "counter_7.db").unlink()
        (victim, *_) = workers(server)
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in workers(server) and len(workers(server)) == 2)
        wait_until(lambda: scraped(server)["modelpack_workers"] == 2)
        after = scraped_at_rest(server)
        assert predicted(after) == predicted(before) >= 2
        falling = {
            sample
            for sample, value in before.items()
            if re.search(r"(_total|_count|_sum|_bucket)(\{|$)", sample) and after[sample] < value
        }
        assert falling == set()
        assert after["modelpack_worker_exits_total"] == 1
        assert after["modelpack_requests_in_flight"] == 1  # this one
        for _ in range(10):
            server.request("POST", "/predict", SETOSA)
        assert predicted(scraped_at_rest(server)) == predicted(before) + 10
        text = get(server, "/metrics")[1]
        linted = subprocess.run(
            ["promtool", "check", "metrics"],
            input=text,
            text=True,
            capture_output=True,
            check=False,
        )
        assert (linted.returncode, linted.stdout + linted.stderr) == (0, "")
        assert {file.stem.rpartition("_")[2] for file in folder.glob("*.db")} == {
            "0",
            "1",
            "master",
        }
        assert server.stop() == 0
    assert not folder.exists()


def request_until_both_respond(server: Server, folder: Path) -> None:
    def counted() -> Counter[str]:
        return Counter(
            file.stem
            for file in folder.glob("counter_[01].db")
            if b'"/predict"' in file.read_bytes()
        )

    deadline = time.monotonic() + SECONDS
    while len(counted()) < 2:
        assert time.monotonic() < deadline
        asking = [
            threading.Thread(target=server.request, args=("POST", "/predict", SETOSA))
            for _ in range(8)
        ]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()


def test_counters_never_decrease_between_scrapes(bundle):
    """Workers are killed while clients send requests, and the counters only rise."""
    with serve(bundle, preload=True) as server:
        stop = threading.Event()

        def send_requests() -> None:
            while not stop.is_set():
                try:
                    predict(server)
                except (OSError, http.client.HTTPException):  # of a killed worker
                    time.sleep(0.01)

        asking = [threading.Thread(target=send_requests) for _ in range(2)]
        for thread in asking:
            thread.start()
        seen = []
        for round_ in range(60):
            if round_ % 20 == 10:
                os.kill(workers(server)[0], signal.SIGKILL)
            try:
                seen.append(predicted(scraped(server)))
            except (OSError, http.client.HTTPException):
                continue
        stop.set()
        for thread in asking:
            thread.join()
    assert len(seen) > 40
    assert seen == sorted(seen)
    assert seen[-1] > seen[0]


def test_files_of_a_killed_service_are_removed_at_the_next_start(bundle):
    with serve(bundle, preload=True) as first, serve(bundle, preload=True) as second:
        left, lives = counter_directory(first), counter_directory(second)
        pids = [first.process.pid, *workers(first)]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        first.process.wait(SECONDS)
        wait_until(lambda: not any(Path(f"/proc/{pid}/fd").exists() for pid in pids))
        with serve(bundle, preload=True):
            assert not left.exists()
        assert lives.exists()
        wait_until(lambda: scraped(second)["modelpack_workers"] == 2)


def test_a_reload_keeps_the_counts(bundle):
    with serve(bundle, preload=True) as server:
        server.request("POST", "/predict", SETOSA)
        before = workers(server)
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(workers(server)) == 2 and not set(workers(server)) & set(before))
        server.request("POST", "/predict", SETOSA)
        assert predicted(scraped_at_rest(server)) == 2


REFUSED = {
    b"GET /canary\x1b[31m HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n": 400,
    b"canary\xe2\x80\xae\r\n\r\n": 400,
    b"POST /canary HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n": 413,
    b"GET /" + b"canary" * 2000 + b" HTTP/1.1\r\nHost: x\r\n\r\n": 414,
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"canary: x\r\n" * 200 + b"\r\n": 431,
}


def test_requests_refused_before_routing_are_logged_without_their_content(bundle):
    with serve(bundle, preload=True, MODELPACK_LOG_LEVEL="debug") as server:
        response, _ = get(server, "/healthz")
        assert response.getheader("Server") is None
        for request, status in REFUSED.items():
            answer = server.raw(request).decode()
            assert int(answer.split()[1]) == status, answer
            assert "X-Content-Type-Options: nosniff" in answer
            assert "Server:" not in answer
            assert not LEAKS.search(answer)
        values = scraped_at_rest(server)
        assert sum(v for name, v in values.items() if "refused_total" in name) == len(REFUSED)
        total = 'modelpack_requests_total{method="other",route="none",status="431"}'
        assert values[total] == 1
        text = server.log_path.read_text()
    assert text.isascii()
    assert "canary" not in text
    refusals = [line for line in server.lines if line.get("reason")]
    assert [line["status"] for line in refusals] == list(REFUSED.values())


def test_the_token_and_the_healthcheck(bundle, tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    with serve(bundle, preload=True, MODELPACK_TOKEN_FILE=str(path)) as server:
        assert get(server, "/")[0].status == 401
        assert get(server, "/", Authorization=f"Bearer {TOKEN}")[0].status == 200
        assert get(server, "/metrics")[0].status == 401
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        wait_until(lambda: scraped(server, **bearer)["modelpack_workers"] == 2)
        done = subprocess.run(
            [sys.executable, "-S", "-m", "modelpack.serving.health"],
            cwd=bundle,
            env={**server.environ, "PORT": str(server.port)},
            check=False,
        )
        assert done.returncode == 0
        curl = ["curl", "--silent", "--fail", "--noproxy", "*", "--user", f"me:{TOKEN}"]
        subprocess.run([*curl, f"http://127.0.0.1:{server.port}/"], check=True, capture_output=True)
        assert TOKEN not in server.log_path.read_text()
        argv = Path(f"/proc/{server.process.pid}/cmdline").read_text()
        assert TOKEN not in argv


def test_an_unsound_token_ends_the_start_in_one_line(bundle):
    line = startup_error(bundle, MODELPACK_TOKEN="hunter2")
    assert line.startswith(
        "modelpack: the service cannot start: MODELPACK_TOKEN contains a token of"
    )
    assert "hunter2" not in line


# --- OpenTelemetry -------------------------------------------------------------------------------


class Collector(BaseHTTPRequestHandler):
    """A collector of traces over OTLP/HTTP in protobuf, as specified."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        message = ExportTraceServiceRequest.FromString(body)
        self.server.got.append((self.path, self.headers, message))  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def collecting():
    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        server.got = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def spans(collector) -> list[tuple[dict, object]]:
    """(attributes of the resource, span) of all that came."""
    return [
        (facts(group.resource.attributes), span)
        for _, _, message in collector.got
        for group in message.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def facts(attributes) -> dict[str, object]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


def test_spans_reach_a_collector_from_both_workers(bundle):
    with collecting() as collector:
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
            "OTEL_EXPORTER_OTLP_HEADERS": "x-key=value",
            "OTEL_SERVICE_NAME": "flowers",
            "OTEL_BSP_SCHEDULE_DELAY": "60000",  # so that they are sent by the end of the worker
        }
        with serve(bundle, preload=True, **environ) as server:
            headers = {
                "traceparent": f"00-{TRACE}-{PARENT}-01",
                "tracestate": "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7",
                "X-Request-Id": "traced",
            }
            get(server, "/signature", traceparent=headers["traceparent"], tracestate="=,\x80,,=")
            response, _ = server.request("POST", "/predict", SETOSA * 3, **headers)
            server.request("POST", "/predict", SETOSA, traceparent=f"00-{'a' * 32}-{PARENT}-00")
            get(server, "/private-path")
            assert server.stop() == 0
            (line,) = [line for line in server.lines if line.get("id") == "traced"]
    path, sent, _ = collector.got[0]
    assert (path, sent["x-key"]) == ("/v1/traces", "value")
    by_name = {span.name: (resource, span) for resource, span in spans(collector)}
    assert set(by_name) == {"POST /predict", "model predict", "GET", "GET /signature"}
    resource, span = by_name["POST /predict"]
    assert (resource["service.name"], span.kind) == ("flowers", span.SPAN_KIND_SERVER)
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert span.trace_state == "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"
    assert facts(span.attributes) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": "/predict",
        "modelpack.rows": 3,
        "url.scheme": "http",
    }
    assert (line["trace_id"], line["span_id"]) == (TRACE, span.span_id.hex())
    assert response.getheader("traceresponse") == f"00-{TRACE}-{span.span_id.hex()}-01"
    model = by_name["model predict"][1]
    assert (model.parent_span_id, model.trace_id) == (span.span_id, span.trace_id)
    unknown = by_name["GET"][1]
    assert facts(unknown.attributes)["http.response.status_code"] == 404
    assert "private" not in str(collector.got)
    assert len(spans(collector)) == 4  # nothing of the trace that its caller does not sample


def test_a_failing_model_is_an_error_in_the_trace(tmp_path):
    bundle = render_bundle(serving_models.stubborn(), tmp_path, "pickle").directory
    with collecting() as collector:
        endpoint = f"http://127.0.0.1:{collector.server_port}/elsewhere"
        with serve(bundle, preload=True, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=endpoint) as server:
            assert server.request("POST", "/predict", [[13]])[0].status == 500
            assert server.stop() == 0
    assert collector.got[0][0] == "/elsewhere"
    by_name = {span.name: span for _, span in spans(collector)}
    request = by_name["POST /predict"]
    assert request.status.code == request.status.STATUS_CODE_ERROR
    assert facts(request.attributes)["error.type"] == "500"
    assert "thirteens" not in str(collector.got)


def test_a_collector_that_fails_hurts_no_request(bundle):
    with socket.socket() as silent:  # takes connections and never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "WEB_CONCURRENCY": "1",
            "OTEL_BSP_MAX_QUEUE_SIZE": "8",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8",
        }
        with serve(bundle, preload=True, **environ) as server:
            slowest = 0.0
            for _ in range(50):
                started = time.monotonic()
                assert server.request("POST", "/predict", SETOSA)[0].status == 200
                slowest = max(slowest, time.monotonic() - started)
            assert slowest < 5  # an export takes 10 s to be given up
            started = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - started < 9


def test_a_collector_that_is_not_there_fills_no_log(bundle):
    with socket.socket() as unused_socket:
        unused_socket.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused_socket.getsockname()[1]}"
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "20"}
        with serve(bundle, preload=True, **environ, WEB_CONCURRENCY="1") as server:
            for _ in range(20):
                assert server.request("POST", "/predict", SETOSA)[0].status == 200
                time.sleep(0.02)
            assert server.stop() == 0
            others = [line for line in server.lines if line["logger"].startswith("opentelemetry")]
    assert 1 <= len(others) <= 3


def test_missing_packages_are_one_warning_that_names_them(bundle, tmp_path):
    (tmp_path / "opentelemetry.py").write_text("raise ImportError\n")
    hidden = f"{tmp_path}{os.pathsep}"
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "WEB_CONCURRENCY": "1",
        "PYTHONPATH": hidden + python_path(),
    }
    with serve(bundle, preload=True, **environ) as server:
        assert server.request("POST", "/predict", SETOSA)[0].status == 200
        warnings = [line for line in server.lines if line["level"] == "warning"]
    (line,) = warnings
    assert "--requirement opentelemetry-exporter-otlp-proto-http" in line["message"]
