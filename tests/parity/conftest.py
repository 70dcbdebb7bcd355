"""A model spec made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modelpack.types import Field, ModelFile, ModelSpec, Safety, Signature


@pytest.fixture(scope="session")
def make_spec() -> Callable[..., ModelSpec]:
    """Create specs of models with the given inputs; `more` are arguments of Signature."""

    def make(*inputs: Field, **more: Any) -> ModelSpec:
        return ModelSpec(
            file=ModelFile("model.pkl", "ab" * 32, 1, "raw", 4, "pickle"),
            format="pickle",
            framework="scikit-learn",
            framework_version="1.7.2",
            python=None,
            task="classifier",
            estimator="sklearn.svm._classes.SVC",
            steps=(),
            method="predict",
            requirements={"scikit-learn": "==1.7.2", "numpy": ">=2", "pandas": ""},
            versions={},
            local_modules=(),
            signature=Signature(inputs, (Field("prediction", "string"),), **more),
            safety=Safety("pass"),
        )

    return make
