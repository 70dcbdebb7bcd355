"""A model of LightGBM, XGBoost, CatBoost, ONNX or Keras behind transformers in other files.

The transformers are read as a pipeline. This module checks that the native model takes what they
return, and replaces the facts of the pipeline that describe its predictions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from modelpack.types import Estimator, Finding, ModelSpec, Signature

from .facts.estimators import EstimatorNode
from .formats.model import NativeModel, spec

_SCALERS = {
    "MaxAbsScaler", "MinMaxScaler", "PowerTransformer", "QuantileTransformer", "RobustScaler",
    "StandardScaler",
}  # fmt: skip
_WITH_MISSING = (0, 20)
"""The first release of scikit-learn whose scalers accept missing values."""

_NUMBERS = {"number", "integer", "boolean"}


@dataclass(frozen=True)
class NativeMember:
    """A native model among the files of a model.

    Attributes:
        position: The index of its file.
        name: The name of its file.
    """

    model: NativeModel
    position: int
    name: str

    def comes_before(self, name: str) -> Finding:
        """Return the finding that the estimator `name` is in a file behind this model."""
        return Finding("file-order", f"{self.model.description} comes before {name}, but predicts")

    def mismatch(self, name: str, width: int | None, *, transforms: bool) -> Finding | None:
        """Return why rows cannot pass from a transformer to this model.

        Args:
            name: The class of the transformer.
            width: The number of values per row that it returns, if known.
            transforms: Whether it may transform rows.
        """
        description, inputs = self.model.description, self.model.signature.inputs
        if not transforms:
            message = f"{name} comes before {description}, but does not transform rows"
            return Finding("misfit", message)
        other = next((f for f in inputs if f.type not in _NUMBERS or f.dtype == "category"), None)
        if other is not None:
            message = (
                f"{name} returns numbers, but {description} takes categories or texts as "
                f"{repr(other.name)[1:-1]}"
            )
            return Finding("misfit", message)
        if width is not None and inputs and width != len(inputs):
            message = (
                f"{name} returns {width:,} values per row, but {description} takes {len(inputs):,}"
            )
            return Finding("misfit", message)
        if width is not None and width < self.model.min_width:
            message = (
                f"{name} returns {width:,} values per row, but {description} reads at least "
                f"{self.model.min_width:,}"
            )
            return Finding("misfit", message)
        return None

    def predicting(self, signature: Signature, root: EstimatorNode | None) -> Signature:
        """Return the signature of transformers with the predictions of this model.

        Without transformers (`root` is None), it is that of the model.
        """
        own = self.model.signature
        if root is None:
            return own
        parts = list(root.parts) or [root]
        if len(own.inputs) == len(signature.inputs) and all(map(_keeps_missing, parts)):
            pairs = zip(signature.inputs, own.inputs, strict=True)
            inputs = tuple(replace(f, nullable=f.nullable or o.nullable) for f, o in pairs)
            signature = replace(signature, inputs=inputs)
        return replace(
            signature, outputs=own.outputs, classes=own.classes, probabilities=own.probabilities
        )

    def complete(self, whole: ModelSpec) -> ModelSpec:
        """Add the facts of this model to the spec of all files, which describes transformers."""
        own = spec(self.model, [whole.files[self.position]], ())
        return replace(
            whole,
            framework=own.framework,
            framework_version=own.framework_version,
            task=own.task,
            estimator="sklearn.pipeline.Pipeline" if whole.estimator else own.estimator,
            steps=(*_steps(whole), Estimator(self.name, own.estimator or ""))
            if whole.estimator
            else own.steps,
            method=own.method,
            requirements=dict(sorted({**own.requirements, **whole.requirements}.items())),
            versions={**whole.versions, **own.versions},
            globals=tuple(sorted({*whole.globals, *own.globals})),
            reasons={**own.reasons, **whole.reasons},
            locales=own.locales,
            not_compilable=own.not_compilable or (whole.not_compilable if whole.estimator else ""),
        )


def _keeps_missing(part: EstimatorNode) -> bool:
    """Return whether a scaler returns a missing value as such, in the same column."""
    return part.is_sklearn and part.name in _SCALERS and part.release >= _WITH_MISSING


def _steps(whole: ModelSpec) -> tuple[Estimator, ...]:
    """Return the transformers as steps: those of a composition, or the only one."""
    if len(whole.members) > 2:
        return whole.steps
    cls = whole.estimator or ""
    return (Estimator(cls.rpartition(".")[2].lower(), cls, steps=whole.steps),)
