"""The service says that it is ready within a minute of its start, and stays alive until then."""

from __future__ import annotations

import json
import time

from modelpack.smoke.probe import CheckFailedError, Probe

READY_SECONDS = 60.0
POLL_SECONDS = 0.02
LOG_LINES = 12


def check(probe: Probe) -> str:
    """The service is ready within a minute of its start, and keeps running until then."""
    started = time.monotonic()
    while time.monotonic() - started < READY_SECONDS:
        if not probe.service.is_running():
            raise CheckFailedError(f"the service ended at start:\n{_last_words(probe)}")
        status = _status(probe)
        if status == 200:
            return f"/readyz answered after {time.monotonic() - started:.1f} s"
        if status is not None:  # it has tried its own example before it began to listen
            raise CheckFailedError(f"/readyz answers {status}:\n{_last_words(probe)}")
        time.sleep(POLL_SECONDS)
    raise CheckFailedError(f"no answer after {READY_SECONDS:.0f} s:\n{_last_words(probe)}")


def _status(probe: Probe) -> int | None:
    """None while nothing listens."""
    try:
        return probe.get("/readyz").status
    except CheckFailedError:
        return None


def _last_words(probe: Probe) -> str:
    """The errors among the log's JSON lines, each with the last line of its cause; where there are
    none, the log's last lines as they are.
    """
    lines = probe.service.logs().splitlines()
    errors = [words for line in lines if (words := _error(line))]
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
