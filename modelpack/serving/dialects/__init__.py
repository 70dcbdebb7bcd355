"""The wire protocols, one file each: `routes(service)` is its Flask blueprint."""

from __future__ import annotations

from . import describe, health, invocations, predict

DIALECTS = (predict, invocations, health, describe)
