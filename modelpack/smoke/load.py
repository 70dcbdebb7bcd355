"""Memory and CPU time under requests, from which `modelpack deploy` computes its numbers."""

from __future__ import annotations

import json
import re
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread

from modelpack.smoke.probe import CheckFailedError, Probe
from modelpack.types import Load, RunningService

SECONDS = 0.2
"""Time for requests of one row, and the same again for those of many rows."""
MIN_REQUESTS = 20
MIN_CPU_SECONDS = 0.02
"""A shorter time is not measured well: without a cgroup, a clock tick has 0.01 s."""
MAX_REPEATS = 9
LARGE_BYTES = 2**18
"""Size of a body of many rows."""
MAX_ROWS = 10_000
_WORKERS = re.compile(rb"^modelpack_workers (\d+)", re.MULTILINE)


@dataclass
class LoadMeter:
    """Measures a service after it is ready, and again after its checks.

    Attributes:
        latency_ms: Median time of a prediction for one row over loopback.
        memory_bytes: Memory after all requests.
    """

    probe: Probe
    rest_bytes: int | None = None
    latency_ms: float | None = None
    load: Load | None = None
    memory_bytes: int | None = None
    memory: list[int] = field(default_factory=list)

    def ready(self) -> None:
        """Measure the service at rest."""
        self.rest_bytes = self.probe.service.memory_bytes()

    def measure(self) -> None:
        """Send requests of one row, then of many rows."""
        if not self.probe.unknown_row:
            self._measure_requests()
        self.memory_bytes = self.probe.service.memory_bytes()

    def _measure_requests(self) -> None:
        try:
            started = self.probe.service.cpu_seconds()
            seconds = self._request_single_rows(SECONDS if started is not None else 0)
            ended = self.probe.service.cpu_seconds()
            for _ in range(MAX_REPEATS):  # on a busy machine, the service gets little CPU time
                if started is None or ended is None or ended - started >= MIN_CPU_SECONDS:
                    break
                seconds += self._request_single_rows(SECONDS)
                ended = self.probe.service.cpu_seconds()
            self.latency_ms = round(statistics.median(seconds) * 1000, 2)
            if self.rest_bytes and started is not None and ended is not None:
                # Not before: to read the memory, some engines run a process in the container.
                with _sampled_memory(self.probe.service, self.memory):
                    self._request_many_rows(statistics.median(seconds))
                self.load = self._load(self.rest_bytes, len(seconds), ended - started)
        except CheckFailedError:
            return

    def _load(self, rest_bytes: int, requests: int, cpu_seconds: float) -> Load | None:
        workers = self._workers()
        if not workers or cpu_seconds < MIN_CPU_SECONDS:
            return None
        peak_bytes = max([rest_bytes, *self.memory])
        return Load(workers, rest_bytes, peak_bytes, requests, round(cpu_seconds, 4))

    def _request_single_rows(self, duration: float) -> list[float]:
        document = {"instances": [self.probe.example_row()]}
        deadline = time.monotonic() + duration
        seconds: list[float] = []
        while time.monotonic() < deadline or len(seconds) < MIN_REQUESTS:
            seconds.append(self.probe.predict(document).seconds)
        return seconds

    def _request_many_rows(self, seconds: float) -> None:
        """Request more and more rows, from as many as fit in the time one by one."""
        row = self.probe.example_row()
        most = max(1, min(MAX_ROWS, LARGE_BYTES // (len(json.dumps(row)) + 2)))
        count = max(1, min(most, int(SECONDS / seconds)))
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            if self.probe.predict({"instances": [row] * count}).seconds < SECONDS / 4:
                count = min(most, 2 * count)

    def _workers(self) -> int:
        """Return the number of workers, 0 if the service does not report it."""
        match = _WORKERS.search(self.probe.get("/metrics").content)
        return int(match[1]) if match else 0


@contextmanager
def _sampled_memory(service: RunningService, samples: list[int]) -> Iterator[None]:
    """Add the memory of the service to `samples` until the context ends, and once after it."""
    is_done = Event()

    def sample() -> None:
        while not is_done.wait(0.05):
            samples.extend(filter(None, [service.memory_bytes()]))

    thread = Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_done.set()
        thread.join()
        samples.extend(filter(None, [service.memory_bytes()]))
