"""The numbers of a deployment, each with a sentence on where it comes from.

They are computed from the measurements of the smoke test and from constants of the service. The
bounds below are choices, and the sentences name them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields

from modelpack.errors import UsageError
from modelpack.types import Load, SmokeReport

MIB = 2**20

# Of the service: serving/memory.py and serving/settings.py. Tests compare them.
USABLE_MEMORY = 0.9
WORKER_BYTES = 24 * MIB
BYTES_PER_BODY_BYTE = 40
MAX_WORKERS = 4
DRAIN_SECONDS = 30
PREDICT_SECONDS = 30

BODY_BYTES = MIB
"""The size of a body that the memory is computed for, without another one."""
UTILISATION = 0.7
"""The part of a core that a worker uses before replicas are added."""
PEAK_FACTOR = 1.25
MEMORY_STEP = 16 * MIB
MIN_CPU_MILLICORES = 50
MAX_REPLICAS_FACTOR = 5
QUEUE_SECONDS = 0.1
"""The time in which the workers of a replica answer the queue at which replicas are added."""
IDLE_SECONDS = 620
"""Longer than the 600 s for which a load balancer of Google keeps an idle connection, the longest
that is documented. See https://cloud.google.com/load-balancing/docs/https#timeouts_and_retries."""
START_FACTOR = 10
MIN_START_SECONDS = 30
START_PERIOD = 2
LIVENESS_PERIOD = 10
PRE_STOP_SECONDS = 5
GRACE_MARGIN = 10


@dataclass(frozen=True)
class Number:
    """A number of a deployment, and where it comes from."""

    value: int
    source: str


@dataclass(frozen=True)
class Demand:
    """What the replicas must answer together.

    Attributes:
        rate: Requests of one row per second.
        replicas: The least number of replicas; more are planned if the rate needs them.
        body_bytes: The largest body of a request.
    """

    rate: float
    replicas: int
    body_bytes: int = BODY_BYTES


@dataclass(frozen=True)
class Plan:
    """The computed numbers.

    Attributes:
        memory_mib: Request and limit.
        cpu_request, cpu_limit: In thousandths of a core.
        body_bytes: The largest body of a request.
        scale_cpu: CPU of a replica above which replicas are added, in thousandths of a core.
        scale_queue: Waiting requests of a replica above which replicas are added.
        scale_rate: Requests per second of a replica above which replicas are added.
        start_failures: Failures of the startup probe, one in `START_PERIOD` seconds.
        start_seconds: The same as a time.
        liveness_failures: Failures of the liveness probe, one in `LIVENESS_PERIOD` seconds.
        stop_seconds: From SIGTERM to SIGKILL, without a preStop hook.
        grace_seconds: The same, with one.
    """

    replicas: Number
    max_replicas: Number
    workers: Number
    memory_mib: Number
    cpu_request: Number
    cpu_limit: Number
    body_bytes: Number
    scale_cpu: Number
    scale_queue: Number
    scale_rate: Number
    start_failures: Number
    start_seconds: Number
    liveness_failures: Number
    stop_seconds: Number
    grace_seconds: Number

    def numbers(self) -> Iterator[tuple[str, Number]]:
        for field in fields(self):
            yield field.name, getattr(self, field.name)


def require_load(report: SmokeReport) -> tuple[Load, float]:
    """Return the measurements in a report.

    Raises:
        UsageError: The report has none.
    """
    if report.load is None or report.ready_seconds is None:
        raise UsageError(
            f"The smoke test of {report.target} measured no load: no row of the model is known, or"
            " the report is of an older version of modelpack.",
            hint="Give rows: --example rows.csv",
        )
    return report.load, report.ready_seconds


def create_plan(report: SmokeReport, demand: Demand) -> Plan:
    """Compute the numbers of a deployment.

    Raises:
        UsageError: The report contains no measurements.
    """
    load, ready = require_load(report)
    per_core = load.requests_per_core
    per_worker = per_core * UTILISATION
    replicas = max(demand.replicas, math.ceil(demand.rate / (per_worker * MAX_WORKERS)))
    rate = demand.rate / replicas
    workers = max(1, math.ceil(rate / per_worker))
    measured = (
        f"one core answers {_three_digits(per_core)} requests/s ({load.requests} requests took"
        f" {load.cpu_seconds:.2f} s of CPU time)"
    )
    request = max(MIN_CPU_MILLICORES, _round_up(1000 * rate / per_core, 10))
    scale_cpu = round(1000 * UTILISATION) * workers
    start = _round_up(max(MIN_START_SECONDS, START_FACTOR * ready), START_PERIOD)
    each = f"{rate:g} requests/s for each of {replicas}" if replicas > 1 else f"{rate:g} requests/s"
    busy = f"{UTILISATION:.0%} of a core per worker"
    start_source = (
        f"{START_FACTOR} times the {ready:.1f} s that the smoke test measured from start to ready,"
        f" at least {MIN_START_SECONDS} s"
    )
    return Plan(
        replicas=Number(
            replicas,
            f"{demand.replicas} requested; {demand.rate:g} requests/s need at least"
            f" {math.ceil(demand.rate / (per_worker * MAX_WORKERS))}, as {measured}",
        ),
        max_replicas=Number(
            replicas * MAX_REPLICAS_FACTOR, f"{MAX_REPLICAS_FACTOR} times the replicas at the least"
        ),
        workers=Number(
            workers, f"{each}, and a worker should use at most {UTILISATION:.0%} of a core"
        ),
        memory_mib=_memory(load, workers, demand.body_bytes),
        cpu_request=Number(
            request,
            f"{each}, and {measured}; at least {MIN_CPU_MILLICORES}m",
        ),
        cpu_limit=Number(
            1000 * (workers + 1),
            "one core for each worker, and one for the start and for threads that overlap",
        ),
        body_bytes=Number(
            demand.body_bytes, "--max-body-bytes; the memory is computed for bodies of this size"
        ),
        scale_cpu=Number(scale_cpu, busy),
        scale_queue=Number(
            max(1, round(per_core * workers * QUEUE_SECONDS)),
            f"requests that the workers answer in {QUEUE_SECONDS:g} s: {measured}",
        ),
        scale_rate=Number(max(1, int(per_worker * workers)), f"{busy}: {measured}"),
        start_failures=Number(start // START_PERIOD, start_source),
        start_seconds=Number(start, start_source),
        liveness_failures=Number(
            math.ceil(PREDICT_SECONDS / LIVENESS_PERIOD),
            f"the service itself replaces a worker that hangs for {PREDICT_SECONDS} s",
        ),
        stop_seconds=Number(
            DRAIN_SECONDS + GRACE_MARGIN,
            f"{DRAIN_SECONDS} s for open requests, and a margin of {GRACE_MARGIN} s",
        ),
        grace_seconds=Number(
            PRE_STOP_SECONDS + DRAIN_SECONDS + GRACE_MARGIN,
            f"{PRE_STOP_SECONDS} s of preStop, {DRAIN_SECONDS} s for open requests, and a margin of"
            f" {GRACE_MARGIN} s",
        ),
    )


def _memory(load: Load, workers: int, body_bytes: int) -> Number:
    """Return request and limit, which are equal, so that the node never lacks the memory."""
    added = max(0, workers - load.workers) * WORKER_BYTES
    bodies = workers * (WORKER_BYTES + BYTES_PER_BODY_BYTE * body_bytes)
    needed = (load.rest_bytes + added + bodies) / USABLE_MEMORY
    peak_mib = (load.peak_bytes + added) / MIB
    mib = _round_up(max(needed, peak_mib * MIB * PEAK_FACTOR), MEMORY_STEP) // MIB
    body = f"{body_bytes // MIB} MiB" if body_bytes % MIB == 0 else f"{body_bytes:,} bytes"
    return Number(
        mib,
        f"({(load.rest_bytes + added) / MIB:.0f} MiB at rest + {_counted(workers, 'worker')} x"
        f" ({WORKER_BYTES // MIB} MiB + {BYTES_PER_BODY_BYTE} x a body of {body}))"
        f" / {USABLE_MEMORY:g}, at least {PEAK_FACTOR:g} x the peak of {peak_mib:.0f} MiB; measured"
        f" with {_counted(load.workers, 'worker')}",
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _round_up(number: float, step: int) -> int:
    return math.ceil(number / step) * step


def _three_digits(number: float) -> str:
    """Return a measured number with at most three digits."""
    digits = max(0, 2 - math.floor(math.log10(number)))
    return f"{round(number, digits):,.{digits}f}" if digits else f"{float(f'{number:.3g}'):,.0f}"
