"""A model of LightGBM, XGBoost, CatBoost, ONNX or Keras behind transformers, or with labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Sequence

import numpy as np

from ..data.columns import Rows
from ..manifest import Manifest
from .estimator import Chain, EstimatorRuntime
from .wrappers import Configured, decode

NATIVE = {
    "lightgbm", "xgboost", "catboost", "onnx", "torch-export", "torchscript", "keras", "keras-h5",
}  # fmt: skip
"""Formats whose objects have no interface of scikit-learn."""


class NativeChain(Chain):
    """Transformers, and the native model that predicts.

    Attributes:
        transformers: The other members, in order.
        native: The last member.
        labels: The labels of the predictions 0, 1, ..., or None.
    """

    def __init__(
        self, members: Sequence[Any], transform_output: str | None, labels: Sequence[Any] | None
    ) -> None:
        super().__init__(members)
        *transformers, self.native = members
        self.transformers = (
            transformers
            if transform_output is None
            else [Configured(each, transform_output) for each in transformers]
        )
        self.labels = labels


class NativeChainRuntime(EstimatorRuntime):
    """Transforms the rows, and calls the runtime of the native model."""

    kind = "library"

    def __init__(
        self,
        model: NativeChain,
        manifest: Manifest,
        select: Callable[[Any, Manifest], EstimatorRuntime],
    ) -> None:
        super().__init__(model, manifest)
        self.transformers = model.transformers
        # The inputs of the manifest are those of the first transformer, if there is one.
        own = replace(manifest, inputs=(), layout="array") if model.transformers else manifest
        self.native = select(model.native, own)
        self.labels = None if model.labels is None else np.array(model.labels)
        self.classes = self.native.classes if self.labels is None else self.labels

    def has_method(self, method: str) -> bool:
        return self.native.has_method(method)

    def call(self, method: str, rows: Rows) -> Any:
        result = self._call(method, rows)
        return result if self.labels is None or method != "predict" else decode(result, self.labels)

    def _call(self, method: str, rows: Rows) -> Any:
        if not self.transformers:
            return self.native.call(method, rows)
        values = self.arrange(rows)
        for transformer in self.transformers:
            values = transformer.transform(values)
        return self.native.call_transformed(method, values)
