"""The service runs as a user that is not root, whichever that is."""

from __future__ import annotations

from modelpack.smoke.probe import CheckFailedError, Probe


def check(probe: Probe) -> str:
    """The service runs as a user that is not root, whichever that is."""
    user_id = probe.service.user_id()
    if not user_id:
        raise CheckFailedError(f"the service runs with user id {user_id}")
    return f"user id {user_id}"
