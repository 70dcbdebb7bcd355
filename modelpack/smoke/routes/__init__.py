"""The ordered table `ROUTES`: ways to send rows, one file per protocol."""

from __future__ import annotations

from modelpack.smoke.routes import dataframes, grpc, predict, v2
from modelpack.smoke.routes.dataframes import BodyRoute
from modelpack.smoke.routes.route import Route

ROUTES: tuple[Route | BodyRoute, ...] = (
    *predict.PREDICT_ROUTES,
    *dataframes.ROUTES,
    *predict.INVOCATION_ROUTES,
    *predict.V1_ROUTES,
    *v2.ROUTES,
    *grpc.ROUTES,
)

__all__ = ["ROUTES", "BodyRoute", "Route"]
