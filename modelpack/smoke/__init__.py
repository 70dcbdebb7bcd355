"""Running service -> `SmokeReport`."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
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
    answered_again: Callable[[], Reference | None] | None = None,
    measured: SmokeReport | None = None,
    started: float | None = None,
    on_check: Callable[[Check], None] = lambda _: None,
) -> SmokeReport:
    """Run the checks that apply, and report them in order.

    If the service does not become ready, the other checks are not run. The last check stops it.

    Args:
        service: The service, which was just started.
        model: Its model.
        reference: Rows and expected answers.
        answered: Waits for the reference with its answers.
        scanned: Waits for the rulings on the image; None without an image.
        answered_again: If `answered` has the answers of an earlier test, queries the model when
            they differ from those of the service. None if the model gave the same answers again.
        measured: An earlier report of the same image on this machine. Its measurements are reported
            again, and latency, memory and CPU time are not measured.
        started: When the service was started, of `time.monotonic`; None for now.
        on_check: Called with the result of each check.
    """
    checks: list[Check] = []
    probe = Probe(service, model, reference, answered, scanned)
    probe.started = time.monotonic() if started is None else started
    if answered_again is not None:
        probe.expected_again = answered_again
    with closing(probe), _Threads() as pool:
        meter = LoadMeter(probe)
        running: dict[str, Future[Check]] = {}
        for entry in (applicable := _applicable(probe)):
            if checks and not checks[0].passed:
                checks.append(Check(entry.name, False, 0.0, "", reason=_NOT_READY))
                continue
            running |= {
                each.name: pool.submit(_run, each, probe)
                for each in applicable
                if each.starts_with == entry.name
            }
            if entry is SHUTDOWN and measured is None:
                meter.measure()
            submitted = running.get(entry.name)
            checks.append(submitted.result() if submitted else _run(entry, probe))
            on_check(checks[-1])
            if entry is READY and checks[-1].passed and measured is None:
                wait(running.values())  # a program in the container would be measured
                meter.ready()
    return SmokeReport(
        target=service.target,
        engine=service.engine,
        checks=tuple(checks),
        ready_seconds=checks[0].seconds if checks[0].passed else None,
        latency_ms=measured.latency_ms if measured else meter.latency_ms,
        memory_bytes=measured.memory_bytes if measured else meter.memory_bytes,
        parity=probe.parity,
        rulings=probe.rulings,
        load=measured.load if measured else meter.load,
    )


class _Threads(ThreadPoolExecutor):
    """Threads that an exception, such as an interrupt, does not wait for."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.shutdown(wait=kind is None, cancel_futures=True)


def _applicable(probe: Probe) -> list[SmokeCheck]:
    in_container = probe.service.engine not in {"process", "bubblewrap"}
    return [
        entry
        for entry in CHECKS
        if (in_container or not entry.container_only) and entry.applies(probe)
    ]


def _run(entry: SmokeCheck, probe: Probe) -> Check:
    started = probe.started if entry is READY else time.monotonic()
    passed, detail, reason = False, "", ""
    try:
        passed, detail = True, entry.check(probe)
    except CheckFailedError as error:
        detail = str(error)
    except CheckNotRunError as error:
        reason = str(error)
    return Check(entry.name, passed, round(time.monotonic() - started, 3), detail, reason)
