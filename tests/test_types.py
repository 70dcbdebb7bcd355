"""Values survive JSON, and invalid JSON is reported."""

from __future__ import annotations

import json

import pytest

from modelpack.types import (
    Bundle,
    Check,
    Environment,
    Estimator,
    Field,
    Finding,
    ModelFile,
    ModelSpec,
    Safety,
    Signature,
    SmokeReport,
    from_json,
    to_json,
)

MODEL = ModelSpec(
    file=ModelFile("model.joblib", "ab" * 32, 5827, "raw", 4, "joblib"),
    format="joblib",
    framework="scikit-learn",
    framework_version="1.3.2",
    python=None,
    task="classifier",
    estimator="sklearn.pipeline.Pipeline",
    steps=(Estimator("", "sklearn.pipeline.Pipeline", None, (Estimator("a", "b.C", ("x", 1)),)),),
    method="predict",
    requirements={"scikit-learn": "==1.3.2", "numpy": "<2"},
    versions={"scikit-learn": "1.3.2"},
    local_modules=("shop",),
    signature=Signature(
        inputs=(Field("x0", "string", categories=("a", 1, 2.5, None, True), nullable=True),),
        outputs=(Field("prediction", "integer"),),
        classes=(0, "b", 1.5),
    ),
    safety=Safety("trust", (Finding("unknown-global", "m", 3, "GLOBAL", "shop:Model"),)),
    globals=("shop:Model",),
)
REPORT = SmokeReport("svc:1", "docker", (Check("ready", True, 0.5, "fine"),), 0.5, 1.25, 10)
VALUES = [
    MODEL,
    Bundle("folder", MODEL, Environment("3.11", "linux/amd64", {"a": "1"}, {"a": "file"}, "a==1")),
    REPORT,
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_survives_json(value: object) -> None:
    text = json.dumps(to_json(value), allow_nan=False)
    assert from_json(type(value), json.loads(text)) == value


def test_a_finding_names_its_global_as_the_contract_does() -> None:
    finding = to_json(MODEL)["safety"]["findings"][0]
    assert finding["global"] == "shop:Model"
    assert "global_" not in finding


def test_report_records_whether_it_passed() -> None:
    failed = SmokeReport("svc:1", "docker", (*REPORT.checks, Check("user", False, 0, "root")))
    assert to_json(REPORT)["passed"] is True
    assert to_json(failed)["passed"] is False


def test_a_report_without_checks_proves_nothing() -> None:
    assert not SmokeReport("svc:1", "docker", ()).passed


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"name": "a", "passed": True, "seconds": 0.1}, "detail"),
        ({"name": "a", "passed": True, "seconds": "soon", "detail": ""}, "seconds"),
        ({"name": "a", "passed": True, "seconds": 1, "detail": "", "more": 1}, "more"),
    ],
)
def test_json_of_another_shape_is_refused(document: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        from_json(Check, document)
