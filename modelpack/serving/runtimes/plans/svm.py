"""Support vector machines."""

from __future__ import annotations

import sys
from typing import Any, Callable

import numpy as np

from ...data.columns import FallbackRequiredError
from . import libsvm
from .arithmetic import contiguous, finite
from .compiler import Compiler, Compilers, Part, UnplannedError
from .records import is_record

Function = Callable[[Any], Any]

KERNELS = ("linear", "poly", "rbf", "sigmoid")


def classifier(model: Any, compiler: Compiler) -> Part:
    rows, decide = rows_of(model, compiler), None
    n_classes = len(model.classes_)
    part: Part = {}
    if n_classes == 2 or model.decision_function_shape == "ovo" or compiler.since(0, 21):
        decide = part["decision_function"] = decision(model, rows, compiler)
    is_untied = getattr(model, "break_ties", False)  # since 0.22
    if is_untied and model.decision_function_shape != "ovr":
        raise UnplannedError("the model refuses to break ties")
    if is_untied and n_classes > 2:
        part["predict"] = untied(decide, model.classes_)
    else:
        part["predict"] = labels(model, rows, compiler)
    if model.probability is True and len(libsvm.fitted(model, "probA")):
        proba = probabilities(model, compiler)
        part["predict_proba"] = lambda block: proba(rows(block))
    return part


def regressor(model: Any, compiler: Compiler) -> Part:
    rows = rows_of(model, compiler)
    predict = one_column(model, compiler) if is_record(model) else model._dense_predict
    return {"predict": lambda block: predict(rows(block))}


def one_column(model: Any, compiler: Compiler) -> Function:
    """Return the decision function (n_rows,) of a model without classes, by numpy."""
    decide = libsvm.decision(model, compiler)
    return lambda rows: decide(rows)[:, 0]


def probabilities(model: Any, compiler: Compiler) -> Function:
    if not is_record(model):
        proba: Function = model._dense_predict_proba
        return proba
    decide, n_classes = libsvm.decision(model, compiler), len(model.classes_)
    sigmoids = libsvm.fitted(model, "probA"), libsvm.fitted(model, "probB")
    return lambda rows: libsvm.probabilities(decide(rows), sigmoids, n_classes)


def outlier_detector(model: Any, compiler: Compiler) -> Part:
    rows, decide = rows_of(model, compiler), raw_decision(model, compiler)
    predict = signs(decide) if is_record(model) else model._dense_predict
    return {
        "predict": lambda block: np.asarray(predict(rows(block)), dtype=np.intp),
        "decision_function": lambda block: decide(rows(block)).ravel(),
    }


def signs(decide: Function) -> Function:
    return lambda rows: np.where(decide(rows)[:, 0] > 0, 1, -1)


def rows_of(model: Any, compiler: Compiler) -> Function:
    """Return a function that checks rows for libsvm, which would read past the end of short rows.

    Raises:
        UnplannedError: The estimator checks more than that.
    """
    support = model.support_vectors_
    if model._sparse or model.kernel not in KERNELS:
        raise UnplannedError("the kernel needs other input than an array")
    is_of_classes = hasattr(model, "classes_")
    is_counted = is_of_classes or compiler.since(0, 22)
    counts = libsvm.fitted(model, "n_support")
    # The second number of a model without classes has no meaning.
    count = counts[: None if is_of_classes else 1].sum() if is_counted else len(support)
    if count != len(support) or support.shape[1] != model.shape_fit_[1]:
        raise UnplannedError("the support vectors were changed after the training")
    width = model.shape_fit_[1]

    def rows(block: Any) -> np.ndarray:
        vectors = finite(contiguous(block))
        if vectors.shape[1] != width:
            raise FallbackRequiredError
        return vectors

    return rows


def raw_decision(model: Any, compiler: Compiler) -> Function:
    """Return the decision function of libsvm, with one value for each pair of classes."""
    if is_record(model):
        return libsvm.decision(model, compiler)
    base = next(kind for kind in type(model).__mro__ if kind.__name__ == "BaseLibSVM")
    module: Any = sys.modules[base.__module__]
    count, first, second = (libsvm.fitted(model, name) for name in ("n_support", "probA", "probB"))
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


def decision(model: Any, rows: Function, compiler: Compiler) -> Function:
    raw, n_classes = raw_decision(model, compiler), len(model.classes_)
    if n_classes == 2:
        return lambda block: -raw(rows(block)).ravel()
    if model.decision_function_shape != "ovr":
        return lambda block: raw(rows(block))
    return lambda block: votes(raw(rows(block)), n_classes)


def votes(pairs: np.ndarray, n_classes: int, chosen: Any = None) -> np.ndarray:
    """Convert the decisions for pairs of classes to (n_rows, n_classes).

    It equals `sklearn.utils.multiclass._ovr_decision_function`.

    Args:
        pairs: Negative numbers for the second class of each pair.
        n_classes: The number of classes.
        chosen: Whether the second class is predicted, if something else than `pairs` decides it.
    """
    counts = np.zeros((len(pairs), n_classes))
    confidences = np.zeros((len(pairs), n_classes))
    chosen = pairs < 0 if chosen is None else chosen
    pair = 0
    for one in range(n_classes):
        for other in range(one + 1, n_classes):
            confidences[:, one] += pairs[:, pair]  # libsvm has the opposite signs
            confidences[:, other] -= pairs[:, pair]
            counts[:, other] += chosen[:, pair]
            counts[:, one] += ~chosen[:, pair]
            pair += 1
    return np.asarray(counts + confidences / (3 * (np.abs(confidences) + 1)))


def labels(model: Any, rows: Function, compiler: Compiler) -> Function:
    classes = model.classes_
    if is_record(model):
        decide, n_classes = libsvm.decision(model, compiler), len(classes)
        return lambda block: classes.take(libsvm.most_votes(decide(rows(block)), n_classes))
    predict = model._dense_predict
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
