"""Models that try to end the process that serves them."""

from __future__ import annotations

import os
import signal
import time

import pytest
import raw
import serving_models
from faulty_model import ENDS, GOOD
from gunicorn_server import worker_pids
from serving_models import render_bundle

ANSWER = b'{"predictions":["yes"]}'


def predict_request(value: float, headers: bytes = b"") -> bytes:
    return raw.post(b"[[%f]]" % value, headers)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faulty")
    return render_bundle(serving_models.faulty(), folder, "pickle").directory


@pytest.mark.parametrize("path", [b"/predict", b"/v1/models/model:predict"])
def test_exit_of_a_model_is_a_500_at_once_and_the_thread_continues(start, bundle, path):
    server = start(bundle)
    (worker,) = worker_pids(server)
    for value in [*ENDS, 11]:
        body = b'{"instances": [[%d]]}' % value
        data = raw.post(body).replace(b"/predict", path, 1)
        started = time.monotonic()
        answer = raw.request(server.port, data, 5)
        assert (value, answer.status) == (value, 500)
        assert answer.problem["detail"]
        assert time.monotonic() - started < 2
        assert raw.request(server.port, predict_request(GOOD), 5).body == ANSWER
    assert worker_pids(server) == [worker]
    causes = [line["cause"] for line in server.lines if "cause" in line]
    assert len(causes) == len(ENDS)
    assert "the model raised SystemExit" in causes[0]


def test_request_behind_a_failing_one_is_answered(start, bundle):
    """A model of its author's own code does not merge; those behind one that fails are answered."""
    server = start(bundle)
    with raw.Client(server.port) as first, raw.Client(server.port) as second:
        first.send(predict_request(30))
        second.send(predict_request(GOOD))
        assert (first.answer().status, second.answer().status) == (500, 200)


@pytest.mark.parametrize("value", [40, 41, 42, 43])
def test_a_worker_that_the_model_ends_is_replaced(start, bundle, value):
    """By `os._exit`: 3 and 4 are gunicorn's codes for a worker that cannot start."""
    server = start(bundle)
    for _ in range(3):
        (before,) = worker_pids(server)
        with raw.Client(server.port) as client:
            client.send(predict_request(value))
            assert client.rest() == b""
        assert raw.request(server.port, predict_request(GOOD), 10).body == ANSWER
        assert worker_pids(server) != [before]
    crashes = [line for line in server.lines if line["message"].startswith("a worker crashed")]
    assert [line["crashes"] for line in crashes] == [1, 2, 3]
    assert server.stop() == 0


def test_a_crash_loop_ends_the_service_with_a_reason(start, bundle):
    server = start(bundle, MODELPACK_MAX_CRASHES="2")
    for _ in range(3):
        with raw.Client(server.port) as client:
            client.send(predict_request(42))
            assert client.rest() == b""
        time.sleep(0.5)
    assert server.process.wait(20) == 1
    reasons = [line["message"] for line in server.lines if "Reason" in line["message"]]
    assert reasons == ["Reason: 3 workers crashed within 60 s."]


def test_workers_that_are_stopped_are_no_crashes(start, bundle):
    server = start(bundle, MODELPACK_MAX_CRASHES="1")
    for _ in range(3):
        (before,) = worker_pids(server)
        os.kill(before, signal.SIGTERM)
        deadline = time.monotonic() + 10
        while worker_pids(server) in ([before], []) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert raw.request(server.port, predict_request(GOOD), 10).body == ANSWER
    assert server.stop() == 0
