"""The ways in which rows can be asked for: one file a dialect, and its routes in ROUTES."""

from __future__ import annotations

from modelpack.smoke.routes import invocations, pandas, predict, v1, v2
from modelpack.smoke.routes.pandas import BodyRoute
from modelpack.smoke.routes.route import Route

ROUTES: tuple[Route | BodyRoute, ...] = (
    *predict.ROUTES,
    *pandas.ROUTES,
    *invocations.ROUTES,
    *v1.ROUTES,
    *v2.ROUTES,
)

__all__ = ["ROUTES", "BodyRoute", "Route"]
