"""The image's own HEALTHCHECK reports healthy."""

from __future__ import annotations

import time

from modelpack.smoke.probe import CheckFailedError, Probe

HEALTHY_SECONDS = 45.0
POLL_SECONDS = 0.02


def check(probe: Probe) -> str:
    """The image's own HEALTHCHECK reports healthy."""
    started = time.monotonic()
    status = probe.service.health()
    while status == "starting" and time.monotonic() - started < HEALTHY_SECONDS:
        time.sleep(POLL_SECONDS)
        status = probe.service.health()
    if status != "healthy":
        raise CheckFailedError(f"the health status is {status or 'missing: no HEALTHCHECK'}")
    return "healthy"
