"""The second version of `deploy --canary` and `--shadow`: when it is refused, and its demand."""

from __future__ import annotations

import math

from modelpack.comparison import Difference
from modelpack.deployment import Demand, Plan
from modelpack.errors import DifferentError

from . import diff
from .deploy_request import DeployRequest, Requested
from .stages import Pipeline
from .targets import DIFF, Target, classify


def require_compatible(
    run: Pipeline, target: Target, version: Requested, fail_on: str
) -> Difference:
    """Compare both versions as `modelpack diff`.

    Raises:
        DifferentError: They differ in what `fail_on` names.
    """
    difference = diff.diff(run, classify(target.text, DIFF), classify(version.text, DIFF))
    try:
        diff.require_no_difference(difference, fail_on)
    except DifferentError as error:
        raise DifferentError(
            f"{error.message}\n  So it is not deployed as a {version.kind}.",
            hint="Deploy it nevertheless: --fail-on never",
        ) from error
    return difference


def demand(request: DeployRequest, kind: str, plan: Plan) -> Demand:
    """Return what the replicas of a second version must answer together.

    A replica gets as many requests as one of the first version, so that its numbers do not depend
    on the weight. The revision of KServe replaces the earlier one, and gets all.
    """
    replicas = plan.replicas.value
    if kind == "shadow" or request.platform == "kserve":
        return Demand(request.rate, replicas, request.max_body_bytes)
    part = max(1, math.ceil(replicas * request.weight / 100))
    return Demand(request.rate * part / replicas, part, request.max_body_bytes)
