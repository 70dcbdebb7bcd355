"""Running service -> `SmokeReport`."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

from modelpack.smoke.checks import CHECKS, READY, SHUTDOWN, SmokeCheck
from modelpack.smoke.load import LoadMeter
from modelpack.smoke.probe import CheckFailedError, CheckNotRunError, Probe
from modelpack.types import Check, ModelSpec, Reference, Ruling, RunningService, SmokeReport

_NOT_READY = "the service was not ready"

__all__ = ["smoke"]


def smoke(  # noqa: PLR0913 - two arguments are results of parallel work
    service: RunningService,
    model: ModelSpec,
    reference: Reference | None = None,
    answered: Callable[[], Reference] | None = None,
    scanned: Callable[[], tuple[Ruling, ...]] | None = None,
    *,
    on_check: Callable[[Check], None] = lambda _: None,
) -> SmokeReport:
    """Run the checks that apply, in order.

    If the service does not become ready, the other checks are not run. The last check stops it.

    `answered` waits for the reference with its answers, and `scanned` for the rulings on the image
    (None without an image). `on_check` is called with the result of each check.
    """
    checks: list[Check] = []
    memory_bytes = None
    with closing(Probe(service, model, reference, answered, scanned)) as probe:
        meter = LoadMeter(probe)
        for entry in _applicable(probe):
            if checks and not checks[0].passed:
                checks.append(Check(entry.name, False, 0.0, "", reason=_NOT_READY))
                continue
            if entry is SHUTDOWN:
                meter.measure()
                memory_bytes = service.memory_bytes()
            checks.append(_run(entry, probe))
            on_check(checks[-1])
            if entry is READY and checks[-1].passed:
                meter.ready()
    return SmokeReport(
        target=service.target,
        engine=service.engine,
        checks=tuple(checks),
        ready_seconds=checks[0].seconds if checks[0].passed else None,
        latency_ms=meter.latency_ms,
        memory_bytes=memory_bytes,
        parity=probe.parity,
        rulings=probe.rulings,
        load=meter.load,
    )


def _applicable(probe: Probe) -> list[SmokeCheck]:
    in_container = probe.service.engine not in {"process", "bubblewrap"}
    return [
        entry
        for entry in CHECKS
        if (in_container or not entry.container_only) and entry.applies(probe)
    ]


def _run(entry: SmokeCheck, probe: Probe) -> Check:
    started = time.monotonic()
    passed, detail, reason = False, "", ""
    try:
        passed, detail = True, entry.check(probe)
    except CheckFailedError as error:
        detail = str(error)
    except CheckNotRunError as error:
        reason = str(error)
    return Check(entry.name, passed, round(time.monotonic() - started, 3), detail, reason)
