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
    """`extra={"facts": {...}}` of a log call adds members to its line."""

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
    """As JSON in ASCII alone: no terminal takes it for a command, nothing for the end of a line."""
    with suppress(TypeError):  # of half a surrogate
        text = orjson.dumps(line, default=str).decode()
        if text.isascii() and "\x7f" not in text:
            return text
    text = json.dumps(line, default=str, separators=(",", ":"))
    return text.replace("\x7f", "\\u007f")


@lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


def log_all(logger: logging.Logger, message: str, facts: Sequence[Mapping[str, Any]]) -> None:
    """Log a message with each of `facts`, all lines at once where nobody has changed how."""
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
    """The one handler of a logger below ours, if it is as `configure` has made it."""
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
        StartupError: MODELPACK_LOG_LEVEL is no level.
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
                # It says of each batch that no collector takes it.
                "opentelemetry": {"handlers": ["seldom"], "propagate": False},
            },
        }
    )


def level(environ: Mapping[str, str]) -> str:
    """MODELPACK_LOG_LEVEL, else INFO. DEBUG also shows the probes that succeed.

    Raises:
        StartupError: it is no level.
    """
    asked = (environ.get("MODELPACK_LOG_LEVEL") or "INFO").upper()
    if asked not in LEVELS:
        raise StartupError(f"MODELPACK_LOG_LEVEL is none of {', '.join(LEVELS).lower()}.")
    return asked
