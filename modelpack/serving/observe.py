"""What is told of requests that never reach the application."""

from __future__ import annotations

import logging
import uuid

access = logging.getLogger("modelpack.access")


def refused(status: int, reason: str, seconds: float) -> str:
    """Log a request that the worker itself has refused; its new request id.

    `reason`: in words of ours, nothing that the client wrote.
    """
    request_id = uuid.uuid4().hex
    facts = {
        "id": request_id,
        "method": None,
        "route": None,
        "status": status,
        "ms": round(seconds * 1000, 3),
        "reason": reason,
    }
    access.info("request", extra={"facts": facts})
    return request_id
