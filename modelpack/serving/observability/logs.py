"""JSON logs."""

from __future__ import annotations

import json
import logging
import logging.config
import os
import time
from contextlib import suppress
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, Mapping, Sequence

import orjson

from ..errors import StartupError

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
RATE_LIMIT_SECONDS = 60.0


class JsonFormatter(logging.Formatter):
    """Formats records as JSON lines. `extra={"facts": {...}}` of a call adds members."""

    def format(self, record: logging.LogRecord) -> str:
        facts = dict(getattr(record, "facts", {}))
        if record.exc_info:
            facts["cause"] = self.formatException(record.exc_info)
        return _line(record.created, record.levelname, record.name, record.getMessage(), facts)


def _line(created: float, level: str, logger: str, message: str, facts: Mapping[str, Any]) -> str:
    moment = f"{_second(int(created))}.{int(created % 1 * 1000):03d}+00:00"
    known = {"time": moment, "level": level.lower(), "logger": logger, "message": message}
    return _ascii({**known, **facts})


def _ascii(line: Mapping[str, Any]) -> str:
    """Return JSON in ASCII, without terminal commands or line ends."""
    with suppress(TypeError):  # half of a surrogate pair
        text = orjson.dumps(line, default=str).decode()
        if text.isascii() and "\x7f" not in text:
            return text
    text = json.dumps(line, default=str, separators=(",", ":"))
    return text.replace("\x7f", "\\u007f")


@lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


def log_all(logger: logging.Logger, message: str, facts: Sequence[Mapping[str, Any]]) -> None:
    """Log a message with each of `facts`, in one write unless the author changed the logging."""
    if not logger.isEnabledFor(logging.INFO):
        return
    handler = _own_handler(logger)
    if handler is None:
        for each in facts:
            logger.info(message, extra={"facts": each})
        return
    now = time.time()
    lines = [_line(now, "INFO", logger.name, message, each) for each in facts]
    handler.acquire()
    try:
        handler.stream.write("\n".join([*lines, ""]))
        handler.flush()
    finally:
        handler.release()


def _own_handler(logger: logging.Logger) -> Any:
    """Return the handler that `configure` installed, or None if the author changed the logging."""
    parent = logger.parent
    if parent is None or logger.handlers or logger.filters or not logger.propagate:
        return None
    if parent.name != "modelpack" or len(parent.handlers) != 1 or parent.propagate:
        return None
    handler = parent.handlers[0]
    if type(handler) is not logging.StreamHandler or type(handler.formatter) is not JsonFormatter:
        return None
    return None if handler.filters or handler.level else handler


class RateLimitFilter(logging.Filter):
    """Passes one record from each line of code within so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self._logged: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        line = record.name, record.lineno
        passes = record.created - self._logged.get(line, 0.0) >= self.seconds
        if passes:
            self._logged[line] = record.created
        return passes


def configure() -> None:
    """Log as JSON lines, also warnings, in this process and its workers.

    Raises:
        StartupError: MODELPACK_LOG_LEVEL is not a level.
    """
    logging.captureWarnings(True)
    loud = {"level": level(os.environ), "handlers": ["stderr"], "propagate": False}
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"json": {"()": JsonFormatter}},
            "filters": {"seldom": {"()": RateLimitFilter, "seconds": RATE_LIMIT_SECONDS}},
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
                # It logs each batch that it cannot send.
                "opentelemetry": {"handlers": ["seldom"], "propagate": False},
            },
        }
    )


def level(environ: Mapping[str, str]) -> str:
    """Return MODELPACK_LOG_LEVEL, or INFO. DEBUG also logs successful probes.

    Raises:
        StartupError: The variable is not a level.
    """
    name = (environ.get("MODELPACK_LOG_LEVEL") or "INFO").upper()
    if name not in LEVELS:
        raise StartupError(f"MODELPACK_LOG_LEVEL is none of {', '.join(LEVELS).lower()}.")
    return name
