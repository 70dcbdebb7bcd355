"""One JSON object a line on standard error: the service's own log, gunicorn's, and one line a
request. No bodies and no raw paths: what a client wrote is never in them but for a request id of
plain characters.
"""

from __future__ import annotations

import logging
import logging.config
import re
import time
import uuid
from datetime import datetime, timezone
from typing import Any

import orjson
from flask import Flask, Response, g, request

access = logging.getLogger("modelpack.access")

PROBES = {"/healthz", "/readyz"}
"""Asked every few seconds by whoever runs the service; their lines would hide all others."""

REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class JsonFormatter(logging.Formatter):
    """`extra={"facts": {...}}` of a log call adds members to its line."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, timezone.utc)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(getattr(record, "facts", {}))
        if record.exc_info:
            line["cause"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def configure() -> None:
    """Log as JSON lines, warnings too, for this process and those it forks."""
    logging.captureWarnings(True)
    loud = {"level": "INFO", "handlers": ["stderr"], "propagate": False}
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"json": {"()": JsonFormatter}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
            "root": {"level": "WARNING", "handlers": ["stderr"]},
            "loggers": {"modelpack": loud, "gunicorn.error": loud},
        }
    )


def install(app: Flask) -> None:
    """Give every request of `app` an id, and a line in the log when it is answered."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    g.started = time.perf_counter()
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _end(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    route = request.url_rule.rule if request.url_rule else None
    access.log(
        logging.DEBUG if route in PROBES else logging.INFO,
        "request",
        extra={
            "facts": {
                "id": g.request_id,
                "method": request.method,
                "route": route,
                "status": response.status_code,
                "ms": round((time.perf_counter() - g.started) * 1000, 3),
                "bytes": response.content_length,
            }
        },
    )
    return response
