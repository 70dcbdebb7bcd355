"""Models that KServe's authors trained and saved: the facts that their files load to."""

from pathlib import Path

import pytest

from modelpack.inspection import require_servable
from modelpack.inspection.inspector import inspect
from modelpack.types import ModelSpec, from_json, to_json

KSERVE = Path(__file__).parents[1] / "data" / "kserve"
SVCS = [
    ("kserve-svc-joblib-1.3.2/model.joblib", "joblib", "1.3.2", True),
    ("kserve-svc-pkl-1.3.2/model.pkl", "pickle", "1.3.2", True),
    ("kserve-svc-noproba/model.pickle", "pickle", "1.0.1", False),
    ("kserve-svc-noproba/model.joblib", "joblib", "0.23.1", False),
    ("kserve-svc-pkl-0.20.3/model.pkl", "pickle", "0.20.3", False),
]


@pytest.mark.parametrize(("path", "format_", "version", "probabilities"), SVCS)
def test_svc_on_iris(path, format_, version, probabilities):
    spec = inspect(KSERVE / path)
    require_servable(spec)
    assert spec.safety.verdict == "pass"
    assert (spec.format, spec.framework, spec.framework_version) == (
        format_,
        "scikit-learn",
        version,
    )
    assert spec.estimator.rpartition(".")[2] == "SVC"
    assert (spec.task, spec.method, spec.python, spec.local_modules) == (
        "classifier",
        "predict",
        None,
        (),
    )
    signature = spec.signature
    assert [field.name for field in signature.inputs] == ["x0", "x1", "x2", "x3"]
    assert {field.type for field in signature.inputs} == {"number"}
    assert not signature.named
    assert signature.layout == "array"
    assert signature.classes == (0, 1, 2)
    assert signature.probabilities is probabilities
    assert signature.outputs[0].type == "integer"


def test_requirements_are_what_the_file_records():
    new = inspect(KSERVE / "kserve-svc-joblib-1.3.2/model.joblib")
    # Arrays padded as joblib does since 1.2 cannot be read by older releases.
    assert new.requirements == {"scikit-learn": "==1.3.2", "numpy": "<2", "joblib": ">=1.2"}
    old = inspect(KSERVE / "kserve-svc-noproba/model.joblib")
    assert old.requirements == {"scikit-learn": "==0.23.1", "numpy": "<2", "joblib": ""}
    plain = inspect(KSERVE / "kserve-svc-pkl-0.20.3/model.pkl")
    assert plain.requirements == {"scikit-learn": "==0.20.3", "numpy": "<2"}


def test_mixed_columns():
    spec = inspect(KSERVE / "kserve-mixedtype-1.3.0/model.joblib")
    require_servable(spec)
    signature = spec.signature
    inputs = {field.name: field for field in signature.inputs}
    # fmt: off
    assert list(inputs) == [
        "MSZoning", "LotArea", "LotShape", "Utilities", "YrSold", "Neighborhood", "OverallQual",
        "YearBuilt", "SaleType", "GarageArea",
    ]
    # fmt: on
    assert signature.layout == "frame"
    assert signature.named
    assert inputs["LotShape"].type == "string"
    assert inputs["LotShape"].categories == ("IR1", "IR2", "IR3", "Reg")
    assert inputs["LotShape"].example == "Reg"  # the imputer's most frequent value
    assert inputs["YearBuilt"].type == "number"
    assert 1900 < inputs["YearBuilt"].example < 2010
    # A mean and a deviation do not bound what is plausible.
    assert inputs["YearBuilt"].minimum is inputs["YearBuilt"].maximum is None
    assert all(field.nullable for field in inputs.values())
    assert spec.task == "regressor"
    assert spec.requirements["pandas"] == ""
    assert signature.outputs[0].shape == ()
    assert signature.classes is None


def test_mixed_columns_tree():
    steps = inspect(KSERVE / "kserve-mixedtype-1.3.0/model.joblib").steps
    columns, regressor = steps
    assert columns.type == "sklearn.compose._column_transformer.ColumnTransformer"
    assert regressor.type == "sklearn.linear_model._stochastic_gradient.SGDRegressor"
    numbers = next(step for step in columns.steps if "YearBuilt" in step.columns)
    assert [step.type.rpartition(".")[2] for step in numbers.steps] == [
        "SimpleImputer",
        "StandardScaler",
    ]


@pytest.mark.parametrize("path", sorted(p.as_posix() for p in KSERVE.glob("*/model.*")))
def test_spec_survives_json(path):
    spec = inspect(path)
    assert from_json(ModelSpec, to_json(spec)) == spec
