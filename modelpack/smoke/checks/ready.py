"""The service says that it is ready within a minute of its start, and stays alive until then."""

from __future__ import annotations

import time

from modelpack.smoke.probe import CheckFailedError, Probe

NAME = "ready"
READY_SECONDS = 60.0
POLL_SECONDS = 0.02
LOG_LINES = 12


def check(probe: Probe) -> str:
    started = time.monotonic()
    while time.monotonic() - started < READY_SECONDS:
        if not probe.service.is_running():
            raise CheckFailedError(f"the service ended at start:\n{_last_lines(probe)}")
        if _answers(probe):
            return f"/readyz answered after {time.monotonic() - started:.1f} s"
        time.sleep(POLL_SECONDS)
    raise CheckFailedError(f"not ready after {READY_SECONDS:.0f} s:\n{_last_lines(probe)}")


def _answers(probe: Probe) -> bool:
    try:
        return probe.get("/readyz").status == 200
    except CheckFailedError:
        return False


def _last_lines(probe: Probe) -> str:
    return "\n".join(probe.service.logs().splitlines()[-LOG_LINES:])
