"""The computed numbers follow the measurements and the constants of the service."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelpack.deployment import Demand, create_plan, plan
from modelpack.errors import UsageError
from modelpack.serving import memory, settings
from modelpack.types import Load, SmokeReport

MIB = 2**20
LOAD = Load(workers=2, rest_bytes=80 * MIB, peak_bytes=90 * MIB, requests=400, cpu_seconds=0.2)
REPORT = SmokeReport("iris:1", "docker", (), ready_seconds=0.9, load=LOAD)


def values(report: SmokeReport = REPORT, rate: float = 100, replicas: int = 2) -> dict[str, int]:
    computed = create_plan(report, Demand(rate, replicas))
    return {name: number.value for name, number in computed.numbers()}


def with_load(**changes: float) -> SmokeReport:
    return replace(REPORT, load=replace(LOAD, **changes))


def test_numbers_of_a_fast_model() -> None:
    assert values() == {
        "replicas": 2,
        "max_replicas": 10,
        "workers": 1,
        "memory_mib": 160,  # (80 + 24 + 40) / 0.9
        "cpu_request": 50,  # 50 requests/s of 2,000 for each core are 25m
        "cpu_limit": 2000,
        "body_bytes": MIB,
        "scale_cpu": 700,
        "scale_queue": 200,  # in 0.1 s
        "scale_rate": 1400,
        "start_failures": 15,
        "start_seconds": 30,
        "liveness_failures": 3,
        "stop_seconds": 40,
        "grace_seconds": 45,
    }


def test_slow_model_gets_more_workers_and_then_more_replicas() -> None:
    slow = with_load(requests=20, cpu_seconds=1.0)  # 20 requests/s a core, 14 a worker
    assert (values(slow, 50)["replicas"], values(slow, 50)["workers"]) == (2, 2)
    assert values(slow, 50)["cpu_request"] == 1250
    assert (values(slow, 500)["replicas"], values(slow, 500)["workers"]) == (9, 4)
    assert values(slow, 500)["cpu_limit"] == 5000


@pytest.mark.parametrize("rate", [0.5, 3, 77, 140, 141, 1000, 12345])
@pytest.mark.parametrize("cpu_seconds", [0.02, 0.3, 5.0])
def test_workers_stay_below_the_utilisation_at_the_promised_rate(
    rate: float, cpu_seconds: float
) -> None:
    report = with_load(requests=100, cpu_seconds=cpu_seconds)
    computed = values(report, rate)
    cores = rate * cpu_seconds / 100 / computed["replicas"]
    assert cores <= plan.UTILISATION * computed["workers"] + 1e-9
    assert cores * 1000 <= computed["cpu_request"] < computed["cpu_limit"]
    assert 1 <= computed["workers"] <= plan.MAX_WORKERS


def test_memory_follows_the_peak_and_the_number_of_workers() -> None:
    peak = with_load(peak_bytes=400 * MIB)
    assert values(peak)["memory_mib"] == 512
    slow = with_load(requests=20, cpu_seconds=1.0)
    # (80 + 2 more workers of 24 + 4 workers of 24 + 40) / 0.9
    assert values(slow, 100)["memory_mib"] == 432


def test_room_for_the_promised_body_is_what_the_service_needs() -> None:
    """The service would compute at least this body from the memory limit itself."""
    room = memory.room(values()["memory_mib"] * MIB, LOAD.rest_bytes, values()["workers"])
    fitted = memory.fitted(settings.Limits(), {}, room)
    assert fitted.body_bytes >= plan.BODY_BYTES


def test_slow_start_gets_more_time() -> None:
    assert values(replace(REPORT, ready_seconds=12.3))["start_seconds"] == 124


def test_constants_are_those_of_the_service() -> None:
    assert plan.USABLE_MEMORY == memory.USABLE
    assert plan.WORKER_BYTES == memory.WORKER_BYTES
    assert memory.SHARES["body_bytes"][0] == plan.BYTES_PER_BODY_BYTE
    assert plan.MAX_WORKERS == settings.MAX_WORKERS
    assert settings.Limits().predict_seconds == plan.PREDICT_SECONDS


def test_each_number_names_its_source() -> None:
    computed = create_plan(REPORT, Demand(100, 2))
    assert all(number.source for _, number in computed.numbers())
    assert computed.memory_mib.source == (
        "(80 MiB at rest + 1 worker x (24 MiB + 40 x a body of 1 MiB)) / 0.9, at least 1.25 x the"
        " peak of 90 MiB; measured with 2 workers"
    )
    assert computed.cpu_request.source == (
        "50 requests/s for each of 2, and one core answers 2,000 requests/s (400 requests took"
        " 0.20 s of CPU time); at least 50m"
    )
    assert "0.9 s that the smoke test measured" in computed.start_failures.source


def test_memory_is_computed_for_the_largest_body() -> None:
    usual = create_plan(REPORT, Demand(100, 2))
    large = create_plan(REPORT, Demand(100, 2, 10 * MIB))
    assert (usual.body_bytes.value, large.body_bytes.value) == (MIB, 10 * MIB)
    added = large.memory_mib.value - usual.memory_mib.value
    assert abs(added - 9 * plan.BYTES_PER_BODY_BYTE / plan.USABLE_MEMORY) < plan.MEMORY_STEP / MIB
    assert "40 x a body of 10 MiB" in large.memory_mib.source
    assert "40 x a body of 1,000 bytes" in create_plan(REPORT, Demand(1, 1, 1000)).memory_mib.source
    assert large.body_bytes.source.startswith("--max-body-bytes;")


def test_report_without_measurements_is_refused_with_a_hint() -> None:
    with pytest.raises(UsageError, match="measured no load") as caught:
        create_plan(replace(REPORT, load=None), Demand(1, 1))
    assert "--example" in caught.value.hint
