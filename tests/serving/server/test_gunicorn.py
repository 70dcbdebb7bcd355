"""A bundle under gunicorn with several workers, using its own copy of serving."""

from __future__ import annotations

import copy
import json
import os
import re
import select
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import serving_models
from gunicorn_server import Server, python_path, serve, startup_error
from serving_models import render_bundle
from sklearn.ensemble import RandomForestRegressor

from modelpack.engines.local import processes
from modelpack.serving import __main__ as entry_point
from modelpack.types import Field, Signature


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    bundle = render_bundle(serving_models.iris(), tmp_path_factory.mktemp("iris"))
    with serve(bundle.directory, MODELPACK_MAX_BODY_BYTES="100000") as server:
        yield server


@pytest.fixture
def stubborn(tmp_path):
    bundle = render_bundle(serving_models.stubborn(), tmp_path, "pickle")
    with serve(bundle.directory) as server:
        yield server


def test_service_predicts_and_is_ready(iris):
    assert iris.request("GET", "/readyz")[1] == {"status": "ready"}
    response, answer = iris.request("POST", "/predict", [[5.1, 3.5, 1.4, 0.2]])
    assert (response.status, answer) == (200, {"predictions": ["setosa"]})
    assert response.getheader("Server") is None


def test_the_health_module_answers_quickly_either_way(iris):
    folder = iris.log_path.parent / "bundle"

    def health(port: int) -> tuple[int, float]:
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-S", "-X", "importtime", "-m", "modelpack.serving.health"],
            cwd=folder,
            env={**iris.environ, "PORT": str(port)},
            capture_output=True,
            text=True,
            check=False,
        )
        for heavy in ("numpy", "flask", "orjson", "sklearn"):
            assert f" {heavy}\n" not in done.stderr
        return done.returncode, time.monotonic() - started

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        codes, seconds = zip(health(iris.port), health(unused.getsockname()[1]), strict=True)
    assert codes == (0, 1)
    assert max(seconds) < 2


def test_a_body_of_the_limit_is_read_and_one_byte_more_is_not(iris):
    row = b"[[5.1, 3.5, 1.4, 0.2]]"
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    for size, status in ((100_000, b"200"), (100_001, b"413")):
        body = row.ljust(size)
        fixed = head + b"Content-Length: %d\r\n\r\n" % size + body
        chunked = (
            head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size + body + b"\r\n0\r\n\r\n"
        )
        assert iris.raw(fixed).split()[1] == status
        assert iris.raw(chunked).split()[1] == status


def test_413_comes_before_the_body_is_sent(iris):
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    assert iris.raw(head + b"Content-Length: 1000000000\r\n\r\n").split()[1] == b"413"


def test_413_ends_a_flood_of_chunks(iris):
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"
    with socket.create_connection(("127.0.0.1", iris.port), timeout=20) as connection:
        connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        sent = 0
        while not select.select([connection], [], [], 0.001)[0]:
            connection.sendall(chunk)
            sent += len(chunk)
            assert sent < 50_000_000
        assert connection.recv(65536).split()[1] == b"413"


@pytest.mark.parametrize(
    ("request_", "statuses"),
    [
        (b"POST //predict HTTP/1.1\r\nHost: x\r\n\r\n", {b"400", b"404"}),
        (b"POST /predict HTTP/1.1\r\nHost: x\r\n\r\n", {b"400"}),
        (
            b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            {b"400"},
        ),
        (b"nonsense\r\n\r\n", {b"400"}),
        (b"GET /\x1b[31m\xe2\x80\xae HTTP/1.1\r\nHost: x\r\n\r\n", {b"400", b"404"}),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\x1b[31m\r\n\r\n", {b"200", b"400"}),
    ],
)  # fmt: skip
def test_raw_requests_of_all_sorts(iris, request_, statuses):
    answer = iris.raw(request_)
    assert answer.split()[1] in statuses
    assert b"Traceback" not in answer


def test_log_has_one_json_line_per_request_without_client_text(iris):
    iris.request("POST", "/predict?secret=1", [[1, 2, 3, "hush"]], **{"X-Request-Id": "mine"})
    iris.request("GET", "/private-path", **{"X-Request-Id": "lost"})
    time.sleep(0.2)
    by_id = {line["id"]: line for line in iris.lines if line["logger"] == "modelpack.access"}
    assert by_id["mine"].items() >= {"method": "POST", "route": "/predict", "status": 422}.items()
    assert by_id["lost"]["route"] is None
    for written in ("hush", "secret", "private-path", "\x1b", "\u202e"):
        assert written not in iris.log_path.read_text()


def test_sigterm_lets_a_request_finish_and_exits_0(stubborn):
    answers = []
    asking = threading.Thread(
        target=lambda: answers.append(stubborn.request("POST", "/predict", [[99]]))
    )
    asking.start()
    time.sleep(0.5)
    assert stubborn.stop() == 0
    asking.join()
    ((response, answer),) = answers
    assert (response.status, answer) == (200, {"predictions": [99.0]})


def test_the_cause_of_a_500_is_in_the_log_under_its_id(stubborn):
    response, problem = stubborn.request("POST", "/predict", [[13]])
    assert response.status == 500
    assert "thirteens" not in json.dumps(problem)
    time.sleep(0.2)
    (line,) = [line for line in stubborn.lines if "cause" in line]
    assert line["id"] == problem["request_id"]
    assert "no thirteens" in line["cause"]


def test_output_of_the_model_goes_to_standard_error(tmp_path):
    bundle = render_bundle(serving_models.printing(), tmp_path, "pickle")
    with serve(bundle.directory) as server:
        assert server.request("POST", "/predict", [[7]])[1] == {"predictions": [7.0]}
        assert server.stop() == 0
    assert server.output_path.read_bytes() == b""
    written = {*server.log_path.read_text().splitlines()}
    assert written >= {"loading", "loading in C", "predicting", "predicting in C"}


def test_a_busy_model_does_not_hold_up_the_health_route(stubborn):
    slow = threading.Thread(target=lambda: stubborn.request("POST", "/predict", [[99]]))
    slow.start()
    time.sleep(0.2)
    started = time.monotonic()
    assert stubborn.request("GET", "/healthz")[0].status == 200
    assert time.monotonic() - started < 1
    slow.join()


def test_idle_workers_stay_and_end_when_their_master_is_killed(tmp_path):
    bundle = render_bundle(serving_models.iris(), tmp_path)
    # gunicorn replaces a worker from which it has not heard for twice as long.
    with serve(bundle.directory, MODELPACK_PREDICT_SECONDS="1") as server:
        server.request("GET", "/readyz")
        workers = server.workers()
        time.sleep(3.5)
        assert server.workers() == workers
        server.process.kill()
        deadline = time.monotonic() + 10
        while any(map(is_alive, workers)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(map(is_alive, workers))


def is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def wood(trees: int) -> serving_models.Trained:
    """A forest that is copies of one tree."""
    noise = np.random.default_rng(0)
    model = RandomForestRegressor(1, random_state=0)
    model.fit(noise.random((30_000, 4)), noise.random(30_000))
    model.estimators_ = [copy.deepcopy(model.estimators_[0]) for _ in range(trees)]
    inputs = tuple(Field(f"x{index}", "number", example=0.5) for index in range(4))
    return serving_models.Trained(model, Signature(inputs, (Field("y", "number"),)), "regressor")


def memory_with_two_workers(trained: serving_models.Trained, folder: Path) -> int:
    """Bytes of all processes together, once they have answered with all of the model."""
    with serve(render_bundle(trained, folder).directory) as server:
        workers = server.workers()
        rows = np.random.default_rng(1).random((200, 4)).tolist()
        with ThreadPoolExecutor(8) as pool:
            futures = [pool.submit(server.request, "POST", "/predict", rows) for _ in range(16)]
        assert [each.result()[0].status for each in futures] == [200] * 16
        return sum(map(processes._pss, [server.process.pid, *workers]))


def test_two_workers_share_the_memory_of_the_model(tmp_path_factory):
    model = wood(40)
    states = [tree.tree_.__getstate__() for tree in model.model.estimators_]
    size = sum(state["nodes"].nbytes + state["values"].nbytes for state in states)
    large = memory_with_two_workers(model, tmp_path_factory.mktemp("large"))
    small = memory_with_two_workers(wood(1), tmp_path_factory.mktemp("small"))
    assert 0.8 * size < large - small < 1.3 * size


def test_a_changed_model_file_is_not_loaded(tmp_path):
    bundle = render_bundle(serving_models.iris(), tmp_path)
    model = bundle.directory / "model" / "model.joblib"
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.chmod(0o644)
    model.write_bytes(content)
    assert "the model file is not the one that was packaged" in startup_error(bundle.directory)


def test_invalid_number_in_a_setting_prevents_the_start(tmp_path):
    bundle = render_bundle(serving_models.iris(), tmp_path)
    assert "MAX_ROWS is 'many'" in startup_error(bundle.directory, MODELPACK_MAX_ROWS="many")
    assert "PORT is '8080:1'" in startup_error(bundle.directory, PORT="8080:1")
    assert "PORT is 65536" in startup_error(bundle.directory, PORT="65536")
    assert "WEB_CONCURRENCY is '0'" in startup_error(bundle.directory, WEB_CONCURRENCY="0")


@pytest.mark.parametrize("value", ["abc", "-1", "1.5", "0"])
def test_entry_point_reports_an_invalid_number_of_workers(tmp_path, value):
    """gunicorn reads the variable when it is imported, and prints a traceback."""
    bundle = render_bundle(serving_models.iris(), tmp_path)
    environ = {"PYTHONPATH": python_path(), "WEB_CONCURRENCY": value}
    command = [sys.executable, "-S", "-m", "modelpack.serving", "serve"]
    done = subprocess.run(
        command, cwd=bundle.directory, env=environ, capture_output=True, text=True, check=False
    )
    reason = f"WEB_CONCURRENCY is {value!r}, not a positive integer."
    assert done.stderr == f"modelpack: the service cannot start: {reason}\n"
    assert done.returncode == 1


def test_entry_point_takes_an_empty_number_of_workers_for_the_default(monkeypatch):
    calls = []
    monkeypatch.setattr(os, "execv", lambda *call: calls.append((call, dict(os.environ))))
    for value in ("", "2"):
        monkeypatch.setenv("WEB_CONCURRENCY", value)
        entry_point.serve()
    assert [environ.get("WEB_CONCURRENCY") for _, environ in calls] == [None, "2"]


def confined(server: Server) -> set[tuple[str, str]]:
    """Return for each worker the seccomp mode and whether it may gain privileges."""
    master = server.process.pid
    workers = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    texts = [Path(f"/proc/{worker}/status").read_text() for worker in workers]
    found = (re.search(r"NoNewPrivs:\s(\d)\nSeccomp:\s(\d)", text) for text in texts)
    return {match.groups() for match in found if match}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [({}, {("1", "2")}), ({"MODELPACK_CONFINE": "0"}, {("0", "0")})],
)
def test_workers_are_confined(iris, tmp_path, environ, expected):
    with serve(iris.log_path.parent / "bundle", **environ) as server:
        assert server.request("GET", "/readyz")[0].status == 200
        if confined_here() == ("0", "0"):  # else the tests are confined themselves
            deadline = time.monotonic() + 10
            while confined(server) != expected and time.monotonic() < deadline:
                time.sleep(0.05)  # the other worker is on its way
            assert confined(server) == expected
        assert server.request("POST", "/predict", [[5.1, 3.5, 1.4, 0.2]])[0].status == 200


def confined_here() -> tuple[str, ...]:
    found = re.search(r"NoNewPrivs:\s(\d)\nSeccomp:\s(\d)", Path("/proc/self/status").read_text())
    return found.groups() if found else ()
