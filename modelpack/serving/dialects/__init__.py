"""The wire protocols, one file each: `routes(service)` is its Flask blueprint."""

from __future__ import annotations

from . import describe, health, invocations, metrics, page, predict

DIALECTS = (predict, invocations, health, metrics, page, describe)
