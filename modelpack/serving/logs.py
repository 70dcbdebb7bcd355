"""One JSON object a line on standard error: the service's own log, gunicorn's, and one line a
request. No bodies and no raw paths: what a client wrote is never in them but for a request id of
plain characters.
"""

from __future__ import annotations

import json
import logging
import logging.config
import os
from datetime import datetime, timezone
from typing import Any, Mapping

from .errors import CannotStartError

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
SELDOM_SECONDS = 60.0


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
        # ASCII alone: no terminal takes it for a command, nothing for the end of a line.
        return json.dumps(line, default=str).replace("\x7f", "\\u007f")


class Seldom(logging.Filter):
    """Lets what the same place of a program says pass once in so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self._said: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        place = record.name, record.lineno
        passes = record.created - self._said.get(place, 0.0) >= self.seconds
        if passes:
            self._said[place] = record.created
        return passes


def configure() -> None:
    """Log as JSON lines, warnings too, for this process and those it forks.

    Raises:
        CannotStartError: MODELPACK_LOG_LEVEL is no level.
    """
    logging.captureWarnings(True)
    loud = {"level": level(os.environ), "handlers": ["stderr"], "propagate": False}
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"json": {"()": JsonFormatter}},
            "filters": {"seldom": {"()": Seldom, "seconds": SELDOM_SECONDS}},
            "handlers": {
                "stderr": {"class": "logging.StreamHandler", "formatter": "json"},
                "seldom": {
                    "class": "logging.StreamHandler",
                    "formatter": "json",
                    "filters": ["seldom"],
                },
            },
            "root": {"level": "WARNING", "handlers": ["stderr"]},
            "loggers": {
                "modelpack": loud,
                "gunicorn.error": loud,
                # It says of each batch that no collector takes it.
                "opentelemetry": {"handlers": ["seldom"], "propagate": False},
            },
        }
    )


def level(environ: Mapping[str, str]) -> str:
    """MODELPACK_LOG_LEVEL, else INFO. DEBUG also shows the probes that succeed.

    Raises:
        CannotStartError: it is no level.
    """
    asked = (environ.get("MODELPACK_LOG_LEVEL") or "INFO").upper()
    if asked not in LEVELS:
        raise CannotStartError(f"MODELPACK_LOG_LEVEL is none of {', '.join(LEVELS).lower()}.")
    return asked
