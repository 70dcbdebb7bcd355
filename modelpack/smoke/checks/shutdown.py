"""SIGTERM ends the service by itself, with exit code 0."""

from __future__ import annotations

import time

from modelpack.smoke.probe import CheckFailedError, Probe

STOP_SECONDS = 15.0


def check(probe: Probe) -> str:
    """SIGTERM ends the service by itself, with exit code 0."""
    probe.leave()
    started = time.monotonic()
    code = probe.service.stop(STOP_SECONDS)
    seconds = time.monotonic() - started
    if code != 0:
        raise CheckFailedError(f"exit code {code} after {seconds:.1f} s")
    return f"SIGTERM, exit code 0 after {seconds:.1f} s"
