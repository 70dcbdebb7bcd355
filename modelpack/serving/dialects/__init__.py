"""The wire protocols, one file each: `routes(service)` is its Flask blueprint, and
`describe(service)` its paths of OpenAPI.
"""

from __future__ import annotations

from . import describe, health, invocations, metrics, openapi, page, predict, v1, v2

DIALECTS = (
    predict,
    invocations,
    v1,
    v2,
    page,
    health,
    metrics,
    describe,
    openapi,
)
