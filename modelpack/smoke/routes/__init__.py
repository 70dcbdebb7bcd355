"""The ordered table `ROUTES`: ways to send rows, one file per protocol."""

from __future__ import annotations

from modelpack.smoke.routes import pandas, rest, v2
from modelpack.smoke.routes.pandas import BodyRoute
from modelpack.smoke.routes.rest import Route

ROUTES: tuple[Route | BodyRoute, ...] = (
    *rest.PREDICT_ROUTES,
    *pandas.ROUTES,
    *rest.INVOCATION_ROUTES,
    *rest.V1_ROUTES,
    *v2.ROUTES,
)

__all__ = ["ROUTES", "BodyRoute", "Route"]
