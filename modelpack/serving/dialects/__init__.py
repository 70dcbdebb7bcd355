"""The wire protocols, one file each: `routes(service)` is its Flask blueprint."""

from __future__ import annotations

from . import describe, health, metrics, predict, v1, v2

DIALECTS = (
    predict,
    v1,
    v2,
    health,
    metrics,
    describe,
)
