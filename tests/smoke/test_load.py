"""The measurement of the load that a service bears, with a stub of the service."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from modelpack.smoke import load
from modelpack.smoke.load import LoadMeter


class Service:
    """Each prediction takes a part of the CPU time that a measurement needs."""

    def __init__(self, cpu_seconds: float) -> None:
        self.cpu, self._step = 0.0, cpu_seconds
        self.requests, self.unknown_row, self.service = 0, "", self

    def cpu_seconds(self) -> float:
        return self.cpu

    def memory_bytes(self) -> int:
        return 2**20

    def example_row(self) -> list[float]:
        return [1.0]

    def predict(self, _: object) -> SimpleNamespace:
        self.requests += 1
        self.cpu += self._step
        return SimpleNamespace(seconds=0.01)

    def get(self, _: str) -> SimpleNamespace:
        return SimpleNamespace(content=b"modelpack_workers 1\n")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "SECONDS", 1e-9)


def measured(service: Service) -> LoadMeter:
    meter = LoadMeter(service)  # type: ignore[arg-type]
    meter.ready()
    meter.measure()
    return meter


def test_requests_go_on_until_they_took_enough_cpu_time() -> None:
    """20 requests take half of it, as on a busy machine."""
    assert measured(Service(load.MIN_CPU_SECONDS / 40)).load is not None


def test_measurement_ends_without_a_result_if_requests_take_no_cpu_time() -> None:
    assert measured(Service(0.0)).load is None
