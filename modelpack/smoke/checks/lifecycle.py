"""Readiness, health, user, hardening, shutdown."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence

from modelpack.errors import ModelpackError
from modelpack.smoke.probe import CheckFailedError, Probe
from modelpack.types import Ruling

READY_SECONDS = 60.0
POLL_SECONDS = 0.02
LOG_LINES = 12


def check_ready(probe: Probe) -> str:
    """The service is ready within a minute of its start."""
    started = probe.started
    while time.monotonic() - started < READY_SECONDS:
        if not probe.service.is_running():
            raise CheckFailedError(f"the service ended at start:\n{_last_errors(probe)}")
        status = _status(probe)
        if status == 200:
            return f"/readyz returned 200 after {time.monotonic() - started:.1f} s"
        if status is not None:  # it predicted its example before it started to listen
            raise CheckFailedError(f"/readyz returned {status}:\n{_last_errors(probe)}")
        time.sleep(POLL_SECONDS)
    raise CheckFailedError(f"no response after {READY_SECONDS:.0f} s:\n{_last_errors(probe)}")


def _status(probe: Probe) -> int | None:
    """Return the status of /readyz; None while nothing listens."""
    try:
        return probe.get("/readyz").status
    except CheckFailedError:
        return None


def _last_errors(probe: Probe) -> str:
    """Return the last errors in the log with their causes; its last lines if it has none."""
    lines = probe.service.logs().splitlines()
    errors = [text for line in lines if (text := _error(line))]
    return "\n".join((errors or lines)[-LOG_LINES:])


def _error(line: str) -> str:
    try:
        entry = json.loads(line)
        if entry["level"] not in {"error", "critical"}:
            return ""
        cause = entry.get("cause", "").strip().splitlines()[-1:]
        return ": ".join([entry["message"], *cause])
    except (ValueError, TypeError, KeyError, AttributeError):
        return ""


HEALTHY_SECONDS = 45.0


def check_health(probe: Probe) -> str:
    """The HEALTHCHECK of the image reports healthy."""
    started = time.monotonic()
    status = probe.service.health()
    while status == "starting" and time.monotonic() - started < HEALTHY_SECONDS:
        time.sleep(POLL_SECONDS)
        status = probe.service.health()
    if status != "healthy":
        raise CheckFailedError(f"the health status is {status or 'missing: no HEALTHCHECK'}")
    return "healthy"


def check_user(probe: Probe) -> str:
    """The service runs as a user other than root."""
    user_id = probe.service.user_id()
    if user_id is None:
        raise CheckFailedError("the user of the service cannot be read: its engine gives no answer")
    if user_id == 0:
        raise CheckFailedError("the service runs as root, with user id 0")
    return f"user id {user_id}"


SHOWN = 12
"""Violations in a report; `modelpack scan` lists all."""


def image_applies(probe: Probe) -> bool:
    return probe.scanned is not None


def check_image(probe: Probe) -> str:
    """The image follows every rule of `modelpack.hardening`."""
    assert probe.scanned is not None  # noqa: S101 - see `applies`
    try:
        probe.rulings = probe.scanned()
    except ModelpackError as error:
        raise CheckFailedError(error.message) from error
    lines = list(format_violations(probe.rulings))
    if lines:
        more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        raise CheckFailedError("\n".join([*lines[:SHOWN], *more]))
    return f"files, history and configuration follow all {len(probe.rulings)} rules"


def format_violations(rulings: Sequence[Ruling]) -> Iterator[str]:
    for ruling in rulings:
        sources = ", ".join(ruling.sources)
        for violation in ruling.violations:
            yield f"{ruling.rule} ({sources}): {violation.where} {violation.what}"


STOP_SECONDS = 15.0


def check_shutdown(probe: Probe) -> str:
    """The service ends after SIGTERM with exit code 0."""
    probe.leave()
    started = time.monotonic()
    code = probe.service.stop(STOP_SECONDS)
    seconds = time.monotonic() - started
    if code != 0:
        raise CheckFailedError(f"exit code {code} after {seconds:.1f} s")
    return f"SIGTERM, exit code 0 after {seconds:.1f} s"
