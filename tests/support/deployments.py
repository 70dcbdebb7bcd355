"""A deployment with fixed measurements."""

from __future__ import annotations

from modelpack.deployment import Demand, Deployment, ImageFacts, create_plan
from modelpack.types import Load, SmokeReport

MIB = 2**20
DIGEST = "sha256:" + "a1" * 32
LOAD = Load(2, 80 * MIB, 90 * MIB, 400, 0.2)
REPORT = SmokeReport("iris:1", "docker", (), ready_seconds=0.9, load=LOAD)
IMAGE = ImageFacts(
    f"registry.example.org/team/iris@{DIGEST}",
    "sha256:" + "b2" * 32,
    is_pullable=True,
    estimator="sklearn.linear_model._logistic.LogisticRegression",
    framework="scikit-learn 1.7.2",
    model_sha256="c3" * 32,
    parity="exact",
)


def deployment(image: ImageFacts = IMAGE, replicas: int = 2, **options: object) -> Deployment:
    plan = create_plan(REPORT, Demand(100, replicas))
    return Deployment("iris", image, plan, namespace="iris", **options)  # type: ignore[arg-type]
