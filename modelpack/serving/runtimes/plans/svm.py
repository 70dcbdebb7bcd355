"""Support vector machines."""

from __future__ import annotations

import sys
from typing import Any, Callable

import numpy as np

from ...data.columns import FallbackRequiredError
from .arithmetic import contiguous, finite
from .compiler import Compiler, Compilers, Part, UnplannedError

Function = Callable[[Any], Any]

KERNELS = ("linear", "poly", "rbf", "sigmoid")


def classifier(model: Any, compiler: Compiler) -> Part:
    rows, decide = rows_of(model, compiler), None
    n_classes = len(model.classes_)
    part: Part = {}
    if n_classes == 2 or model.decision_function_shape == "ovo" or compiler.since(0, 21):
        decide = part["decision_function"] = decision(model, rows)
    is_untied = getattr(model, "break_ties", False)  # since 0.22
    if is_untied and model.decision_function_shape != "ovr":
        raise UnplannedError("the model refuses to break ties")
    if is_untied and n_classes > 2:
        part["predict"] = untied(decide, model.classes_)
    else:
        part["predict"] = labels(model, rows)
    if model.probability is True and len(model.probA_):
        proba = model._dense_predict_proba
        part["predict_proba"] = lambda block: proba(rows(block))
    return part


def regressor(model: Any, compiler: Compiler) -> Part:
    rows, predict = rows_of(model, compiler), model._dense_predict
    return {"predict": lambda block: predict(rows(block))}


def outlier_detector(model: Any, compiler: Compiler) -> Part:
    rows, predict, decide = rows_of(model, compiler), model._dense_predict, raw_decision(model)
    return {
        "predict": lambda block: np.asarray(predict(rows(block)), dtype=np.intp),
        "decision_function": lambda block: decide(rows(block)).ravel(),
    }


def rows_of(model: Any, compiler: Compiler) -> Function:
    """Return a function that checks rows for libsvm, which would read past the end of short rows.

    Raises:
        UnplannedError: The estimator checks more than that.
    """
    support = model.support_vectors_
    if model._sparse or model.kernel not in KERNELS:
        raise UnplannedError("the kernel needs other input than an array")
    is_counted = hasattr(model, "classes_") or compiler.since(0, 22)
    count = model.n_support_.sum() if is_counted else len(support)
    if count != len(support) or support.shape[1] != model.shape_fit_[1]:
        raise UnplannedError("the support vectors were changed after the training")
    width = model.shape_fit_[1]

    def rows(block: Any) -> np.ndarray:
        vectors = finite(contiguous(block))
        if vectors.shape[1] != width:
            raise FallbackRequiredError
        return vectors

    return rows


def raw_decision(model: Any) -> Function:
    """Return the decision function of libsvm, with one value for each pair of classes."""
    base = next(kind for kind in type(model).__mro__ if kind.__name__ == "BaseLibSVM")
    module: Any = sys.modules[base.__module__]
    count, first, second = (
        getattr(model, f"_{name}" if hasattr(model, f"_{name}") else f"{name}_")
        for name in ("n_support", "probA", "probB")
    )
    fitted = (
        model.support_,
        model.support_vectors_,
        count,
        model._dual_coef_,
        model._intercept_,
        first,
        second,
    )
    settings = {
        "svm_type": module.LIBSVM_IMPL.index(model._impl),
        "kernel": model.kernel,
        "degree": model.degree,
        "cache_size": model.cache_size,
        "coef0": model.coef0,
        "gamma": model._gamma,
    }
    call = module.libsvm.decision_function
    return lambda rows: call(rows, *fitted, **settings)


def decision(model: Any, rows: Function) -> Function:
    raw, n_classes = raw_decision(model), len(model.classes_)
    if n_classes == 2:
        return lambda block: -raw(rows(block)).ravel()
    if model.decision_function_shape != "ovr":
        return lambda block: raw(rows(block))
    return lambda block: votes(raw(rows(block)), n_classes)


def votes(pairs: np.ndarray, n_classes: int) -> np.ndarray:
    """Convert the decisions for pairs of classes to (n_rows, n_classes).

    It equals `sklearn.utils.multiclass._ovr_decision_function`.
    """
    counts = np.zeros((len(pairs), n_classes))
    confidences = np.zeros((len(pairs), n_classes))
    chosen = pairs < 0
    pair = 0
    for one in range(n_classes):
        for other in range(one + 1, n_classes):
            confidences[:, one] += pairs[:, pair]  # libsvm has the opposite signs
            confidences[:, other] -= pairs[:, pair]
            counts[:, other] += chosen[:, pair]
            counts[:, one] += ~chosen[:, pair]
            pair += 1
    return np.asarray(counts + confidences / (3 * (np.abs(confidences) + 1)))


def labels(model: Any, rows: Function) -> Function:
    predict, classes = model._dense_predict, model.classes_
    return lambda block: classes.take(predict(rows(block)).astype(np.intp))


def untied(decide: Any, classes: np.ndarray) -> Function:
    return lambda block: classes.take(decide(block).argmax(axis=1))


COMPILERS: Compilers = {
    "NuSVC": classifier,
    "NuSVR": regressor,
    "OneClassSVM": outlier_detector,
    "SVC": classifier,
    "SVR": regressor,
}
