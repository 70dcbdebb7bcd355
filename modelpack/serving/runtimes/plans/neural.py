"""Neural networks: layers of sums, each with a function of them."""

from __future__ import annotations

import sys
from typing import Any, Callable

import numpy as np

from ...data.columns import FallbackRequiredError
from .arithmetic import both, finite, product
from .compiler import Compiler, Compilers, Part, UnplannedError

Function = Callable[[Any], Any]


def classifier(model: Any, compiler: Compiler) -> Part:
    binarizer, outputs = model._label_binarizer, forward(model, compiler)
    classes, threshold = binarizer.classes_, (binarizer.pos_label + binarizer.neg_label) / 2.0
    if binarizer.y_type_ == "binary" and len(classes) == 2:
        return {
            "predict": lambda block: classes[(outputs(block).ravel() > threshold).astype(int)],
            "predict_proba": lambda block: both(outputs(block).ravel()),
        }
    if binarizer.y_type_ == "multiclass":
        return {
            "predict": lambda block: classes.take(outputs(block).argmax(axis=1)),
            "predict_proba": outputs,
        }
    raise UnplannedError("it gives several labels at once, or always the same")


def regressor(model: Any, compiler: Compiler) -> Part:
    outputs = forward(model, compiler)
    if model.n_outputs_ == 1:
        return {"predict": lambda block: outputs(block).ravel()}
    return {"predict": outputs}


def forward(model: Any, compiler: Compiler) -> Function:
    """What the last layer gives."""
    functions = sys.modules["sklearn.neural_network._base"].ACTIVATIONS
    hidden, output = functions[model.activation], functions[model.out_activation_]
    first, *others = list(zip(model.coefs_, model.intercepts_))
    is_narrow = any(len(intercepts) == 1 for intercepts in model.intercepts_[:-1])
    is_lonely = compiler.row_by_row and (is_narrow or model.out_activation_ == "exp")
    dot = product(compiler, 0, 22)

    def layer(values: Any, weights: np.ndarray, intercepts: np.ndarray) -> np.ndarray:
        sums = dot(values, weights)
        sums += intercepts
        return np.asarray(sums)

    def outputs(block: Any) -> np.ndarray:
        if is_lonely and block.shape[0] > 1:
            raise FallbackRequiredError  # numpy's functions are others for a single number in place
        values = finite(layer(block, *first))  # functions of sums hide infinity
        for weights, intercepts in others:
            hidden(values)
            values = layer(values, weights, intercepts)
        output(values)
        return values

    return outputs


COMPILERS: Compilers = {"MLPClassifier": classifier, "MLPRegressor": regressor}
