"""More requests than the model can process, and predictions that do not end."""

from __future__ import annotations

import time
from contextlib import ExitStack

import load
import raw
from gunicorn_server import worker_pids

SECONDS = 0.02  # of a prediction: 50 a second


def slept(seconds: float) -> bytes:
    return raw.post(b"[[%g]]" % seconds)


def test_overload_is_refused_at_once_and_accepted_requests_keep_their_time(patient, figure):
    """Three times as many as can be answered, for three seconds, with a queue of 8."""
    done = load.open_loop(patient.port, slept(SECONDS), rate=3 / SECONDS, seconds=3)
    assert done.lost == []
    assert done.count(200) + done.count(503) == len(done.answers) == 450
    accepted, refused = done.seconds(200), done.seconds(503)
    longest = accepted[int(0.99 * len(accepted))]
    figure(
        f"{len(accepted)} answered, p99 {longest:.2f} s; {len(refused)} refused, "
        f"median {1000 * refused[len(refused) // 2]:.1f} ms; 9 x {SECONDS} s is the longest turn"
    )
    assert len(accepted) > 75  # half of its throughput without any other load
    assert longest < 2.5 * 9 * SECONDS + 0.2
    assert refused[len(refused) // 2] < 0.1


def test_refused_request_gets_retry_after(patient):
    with ExitStack() as stack:
        clients = [stack.enter_context(raw.Client(patient.port)) for _ in range(9)]
        for client, seconds in zip(clients, [1.0, *[0.0] * 8], strict=True):
            client.send(slept(seconds))
            time.sleep(0.02)  # the longest first
        with raw.Client(patient.port) as another:
            another.send(slept(0))
            answer = another.answer()
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert answer.problem["detail"].startswith("Too many requests are waiting.")
            another.send(raw.get("/healthz"))  # the connection is kept, and this is no prediction
            assert another.answer().status == 200
        assert [client.answer().status for client in clients] == [200] * 9


def test_health_routes_respond_while_predictions_wait(patient, figure):
    with ExitStack() as stack:
        clients = [stack.enter_context(raw.Client(patient.port)) for _ in range(8)]
        for client in clients:
            client.send(slept(0.1))
        seconds = sorted(
            seconds
            for path in ("/healthz", "/readyz", "/ping", "/metrics", "/v2/models/model/ready")
            for seconds in raw.time_requests(patient.port, raw.get(path), 20)
        )
        assert [client.answer().status for client in clients] == [200] * 8
    figure(f"p99 {1000 * seconds[98]:.1f} ms beside a queue of predictions of 100 ms")
    assert seconds[98] < 0.1


def test_disconnected_clients_wait_behind_connected_ones(patient, figure):
    """They may have closed half of the connection only, so that they are answered in the end."""
    with raw.Client(patient.port) as first:
        first.send(slept(0.5))
        time.sleep(0.1)
        for _ in range(8):
            with raw.Client(patient.port) as leaving:
                leaving.send(slept(0.5))
                time.sleep(0.02)
        assert first.answer().status == 200
    started = time.monotonic()
    assert raw.request(patient.port, slept(0)).status == 200
    seconds = time.monotonic() - started
    figure(f"the next waits {seconds:.2f} s, for one at most; the 8 that left take 4 s")
    assert seconds < 1


def test_disconnected_clients_leave_a_full_queue(patient):
    with raw.Client(patient.port) as first:
        first.send(slept(0.5))
        time.sleep(0.1)
        for _ in range(8):
            with raw.Client(patient.port) as leaving:
                leaving.send(slept(0.3))
                time.sleep(0.02)
        assert raw.request(patient.port, slept(0)).status == 200
        assert first.answer().status == 200


def test_request_that_waits_beyond_the_deadline_gets_503(patient):
    results = load.Load()
    requests = [slept(0.8), slept(0.8), slept(0)]

    def send_request(number: int) -> None:
        time.sleep(0.05 * number)
        load.send_one(patient.port, requests[number], results)

    load.run_concurrently(3, send_request)
    assert sorted(status for status, _ in results.answers) == [200, 200, 503]
    assert results.lost == []


def test_a_prediction_that_does_not_end_costs_its_sender_only(patient, figure):
    """504 at the deadline of 1 s; what waits is answered; a new worker takes over."""
    (before,) = worker_pids(patient)
    with raw.Client(patient.port) as stuck, raw.Client(patient.port) as waiting:
        started = time.monotonic()
        stuck.send(slept(600))
        time.sleep(0.4)
        waiting.send(slept(0.01))
        answer = stuck.answer()
        seconds = time.monotonic() - started
        assert answer.status == 504
        assert answer.problem["detail"] == "The model took longer than 1 s."
        assert waiting.answer().status == 200
    assert raw.request(patient.port, slept(0)).status == 200
    back = time.monotonic() - started - seconds
    (after,) = worker_pids(patient)
    assert after != before
    figure(f"504 after {seconds:.2f} s, a new worker has answered {back:.2f} s later")
    assert 1 <= seconds < 2
    assert back < 8


def test_a_native_loop_that_does_not_end_is_ended(patient, figure):
    """Nothing else runs in its worker: the master ends that at twice the deadline of 1 s."""
    (before,) = worker_pids(patient)
    started = time.monotonic()
    with raw.Client(patient.port) as stuck:
        stuck.send(slept(-600))
        time.sleep(0.1)
        assert raw.request(patient.port, slept(0), 20).status == 200
    seconds = time.monotonic() - started
    (after,) = worker_pids(patient)
    assert after != before
    figure(f"a request is answered {seconds:.2f} s after one that never ends")
    assert seconds < 10
