"""Memory over many requests of all sorts. MODELPACK_SOAK=1 makes it 100,000 of them."""

from __future__ import annotations

import json
import os
import statistics

import load
import raw
from gunicorn_server import resident_bytes, worker_pids

REQUESTS = 100_000 if os.environ.get("MODELPACK_SOAK") else 5_000
MAX_SLOPE = 40 if REQUESTS > 5_000 else 800
"""Bytes per request. A sample varies by some 100 KiB, which few requests do not even out."""
SAMPLES = 20
KINDS = (
    raw.post(),
    raw.chunked(),
    raw.post(json.dumps([[5.1, 3.5, 1.4, 0.2]] * 100).encode()),
    raw.post(b"[[1, 2, 3]]"),
    raw.post(b"not json"),
    raw.get("/healthz"),
    raw.get("/unknown"),
    raw.get("/signature"),
    raw.HEAD.replace(b"/predict", b"/predict?probabilities=true")
    + b"Content-Length: 22\r\n\r\n"
    + raw.ROW,
    b"nonsense\r\n\r\n",
)


def test_memory_does_not_grow(iris, figure):
    """The slope over the second half, after caches and pools have filled."""
    samples: list[int] = []
    for _ in range(SAMPLES):
        load.run_concurrently(4, lambda _: mixture(iris.port, REQUESTS // SAMPLES // 4))
        samples.append(sum(resident_bytes(pid) for pid in worker_pids(iris)))
    half = samples[SAMPLES // 2 :]
    slope = statistics.linear_regression(range(len(half)), half).slope * SAMPLES / REQUESTS
    figure(
        f"{REQUESTS} requests: {samples[0] >> 10} KiB after the first {REQUESTS // SAMPLES}, "
        f"{samples[-1] >> 10} KiB at the end, {slope:.0f} bytes a request in the second half"
    )
    assert slope < MAX_SLOPE


def mixture(port: int, count: int) -> None:
    """On kept connections, where the request does not end them."""
    for start in range(0, count, len(KINDS)):
        kinds = list(KINDS[: count - start])
        while kinds:
            with raw.Client(port) as client:
                is_open = True
                while kinds and is_open:
                    client.send(kinds.pop(0))
                    response = client.answer()
                    assert response.status < 500
                    is_open = response.headers.get("connection") != "close"
