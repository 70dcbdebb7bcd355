"""Linear models and multilayer perceptrons."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from ...data.columns import FallbackRequiredError
from .arithmetic import (
    both_classes,
    both_classes_in_c,
    expit_of,
    finite,
    normalized,
    product,
    sigmoid,
    softmax,
)
from .compiler import Compiler, Compilers, Part, UnplannedError, classes_of, identity
from .records import is_record

Function = Callable[[Any], Any]


def regressor(model: Any, compiler: Compiler) -> Part:
    """Predict (n_rows,), or (n_rows, n_targets)."""
    return {"predict": scores(model, compiler)}


def flat_regressor(model: Any, compiler: Compiler) -> Part:
    score = scores(model, compiler)
    return {"predict": lambda block: score(block).ravel()}


def generalized(model: Any, compiler: Compiler) -> Part:
    """Generalized linear models: the prediction is the inverse link of the sum."""
    loss = getattr(model, "_base_loss", None)  # since 1.1
    link = model._link_instance if loss is None else loss.link
    score = scores(model, compiler)
    inverse = {"IdentityLink": None, "LogLink": np.exp}[type(link).__name__]
    return {"predict": score if inverse is None else lambda block: inverse(score(block))}


def classifier(model: Any, compiler: Compiler) -> Part:
    binarizer = getattr(model, "_label_binarizer", None)  # ridge classifiers have one
    if binarizer is not None and binarizer.y_type_.startswith("multilabel"):
        raise UnplannedError("the model predicts several labels per row")
    decide = decision(model, compiler)
    return {"predict": labels(decide, classes_of(model)), "decision_function": decide}


def logistic_regression(model: Any, compiler: Compiler) -> Part:
    part = classifier(model, compiler)
    decide = part["decision_function"]
    if _is_one_versus_rest(model, compiler):
        proba = one_versus_rest(model, decide, compiler)
    else:
        proba = multinomial(decide)
    return {**part, "predict_proba": proba}


def _is_one_versus_rest(model: Any, compiler: Compiler) -> bool:
    """Return whether each class has a separate model (one versus rest)."""
    has_setting = "multi_class" in model._get_param_names() and hasattr(model, "multi_class")
    by_class = model.multi_class if has_setting else "auto"  # until 1.7
    if by_class not in ("auto", "deprecated"):
        return by_class in ("ovr", "warn")
    solvers = ("liblinear",) if compiler.since(1, 6) else ("liblinear", "newton-cholesky")
    return len(model.classes_) <= 2 or (has_setting and model.solver in solvers)


def stochastic_gradient(model: Any, compiler: Compiler) -> Part:
    part = classifier(model, compiler)
    decide = part["decision_function"]
    if model.loss in ("log", "log_loss"):
        part["predict_proba"] = one_versus_rest(model, decide, compiler)
    elif model.loss == "modified_huber":
        part["predict_proba"] = modified_huber(decide)
    return part


def discriminant_analysis(model: Any, compiler: Compiler) -> Part:
    part = classifier(model, compiler)
    decide = part["decision_function"]
    if not compiler.since(0, 21):
        part["predict_proba"] = one_versus_rest(model, decide, compiler)
    elif len(model.classes_) == 2:
        part["predict_proba"] = one_of_two(model, decide, compiler)
    else:
        part["predict_proba"] = multinomial(decide)
    if model.solver != "lsqr":
        part["transform"] = projection(model, compiler)
    return part


def projection(model: Any, compiler: Compiler) -> Function:
    scalings, width = array(model.scalings_), model._max_components
    dot = product(compiler, 1, 2)
    mean = model.xbar_ if model.solver == "svd" else None

    def transform(block: np.ndarray) -> np.ndarray:
        centred = block if mean is None else block - mean
        return finite(dot(centred, scalings))[:, :width]

    return transform


def array(coefficients: Any) -> np.ndarray:
    """Return `coefficients` if they are a dense array. Raise UnplannedError if they are sparse."""
    if isinstance(coefficients, np.ndarray):
        return coefficients
    raise UnplannedError("the coefficients are not a dense array")


def scores(model: Any, compiler: Compiler) -> Function:
    """Return a function that multiplies rows by the coefficients and adds the intercept."""
    coefficients, intercept = array(model.coef_).T, model.intercept_
    dot = product(compiler, 0, 22)

    def score(block: Any) -> np.ndarray:
        return finite(dot(block, coefficients) + intercept)

    return score


def decision(model: Any, compiler: Compiler) -> Function:
    """Return a function with the result (n_rows, n_classes), or (n_rows,) for two classes."""
    score, coefficients = scores(model, compiler), array(model.coef_)
    if coefficients.ndim == 2 and coefficients.shape[0] == 1:
        return lambda block: score(block).ravel()
    return score


def labels(decide: Function, classes: np.ndarray) -> Function:
    def predict(block: Any) -> np.ndarray:
        decided = decide(block)
        chosen = decided > 0 if decided.ndim == 1 else decided.argmax(axis=1)
        return np.asarray(classes.take(chosen))

    return predict


def one_versus_rest(model: Any, decide: Function, compiler: Compiler) -> Function:
    power, is_uniform = sigmoid(compiler, model), compiler.since(1, 9)
    pair = both_classes_in_c if is_uniform else both_classes

    def proba(block: Any) -> np.ndarray:
        values = power(decide(block))
        return np.asarray(pair(values) if values.ndim == 1 else normalized(values, is_uniform))

    return proba


def one_of_two(model: Any, decide: Function, compiler: Compiler) -> Function:
    power = sigmoid(compiler, model)
    pair = both_classes_in_c if compiler.since(1, 2) else both_classes
    return lambda block: pair(power(decide(block)))


def multinomial(decide: Function) -> Function:
    def proba(block: Any) -> np.ndarray:
        decided = decide(block)
        return softmax(np.c_[-decided, decided] if decided.ndim == 1 else decided)

    return proba


def modified_huber(decide: Function) -> Function:
    def proba(block: Any) -> np.ndarray:
        values = (np.minimum(np.maximum(decide(block), -1), 1) + 1.0) / 2.0
        if values.ndim == 1:
            return both_classes_in_c(values)
        return normalized(values, is_uniform=True)

    return proba


REGRESSORS = (
    "ARDRegression",
    "BayesianRidge",
    "ElasticNet",
    "ElasticNetCV",
    "HuberRegressor",
    "Lars",
    "LarsCV",
    "Lasso",
    "LassoCV",
    "LassoLars",
    "LassoLarsCV",
    "LassoLarsIC",
    "LinearRegression",
    "LinearSVR",
    "MultiTaskElasticNet",
    "MultiTaskElasticNetCV",
    "MultiTaskLasso",
    "MultiTaskLassoCV",
    "OrthogonalMatchingPursuit",
    "OrthogonalMatchingPursuitCV",
    "QuantileRegressor",
    "Ridge",
    "RidgeCV",
    "TheilSenRegressor",
)
CLASSIFIERS = (
    "LinearSVC",
    "PassiveAggressiveClassifier",
    "Perceptron",
    "RidgeClassifier",
    "RidgeClassifierCV",
)


def mlp_classifier(model: Any, compiler: Compiler) -> Part:
    binarizer, outputs = model._label_binarizer, forward(model, compiler)
    classes, threshold = binarizer.classes_, (binarizer.pos_label + binarizer.neg_label) / 2.0
    if binarizer.y_type_ == "binary" and len(classes) == 2:
        return {
            "predict": lambda block: classes[(outputs(block).ravel() > threshold).astype(int)],
            "predict_proba": lambda block: both_classes(outputs(block).ravel()),
        }
    if binarizer.y_type_ == "multiclass":
        return {
            "predict": lambda block: classes.take(outputs(block).argmax(axis=1)),
            "predict_proba": outputs,
        }
    raise UnplannedError("the model predicts several labels per row, or has a single class")


def mlp_regressor(model: Any, compiler: Compiler) -> Part:
    outputs = forward(model, compiler)
    if model.n_outputs_ == 1:
        return {"predict": lambda block: outputs(block).ravel()}
    return {"predict": outputs}


def activation(name: str, model: Any) -> Function:
    """Return an activation function, which changes an array in place."""
    if name == "logistic":
        logistic = expit_of(model)

        def in_place(values: np.ndarray) -> None:
            values[...] = logistic(values)

        return in_place
    return ACTIVATIONS[name]


def _softmax(values: np.ndarray) -> None:
    values[...] = softmax(values)


ACTIVATIONS: dict[str, Function] = {
    "exp": lambda values: np.exp(values, out=values),
    "identity": identity,
    "relu": lambda values: np.maximum(values, 0, out=values),
    "softmax": _softmax,
    "tanh": lambda values: np.tanh(values, out=values),
}


def forward(model: Any, compiler: Compiler) -> Function:
    """Return a function that computes the last layer."""
    hidden = activation(model.activation, model)
    output = activation(model.out_activation_, model)
    first, *others = list(zip(model.coefs_, model.intercepts_))
    is_narrow = any(len(intercepts) == 1 for intercepts in model.intercepts_[:-1])
    needs_single_rows = compiler.row_by_row and (is_narrow or model.out_activation_ == "exp")
    dot = product(compiler, 0, 22)
    refuses_rows = needs_single_rows and not is_record(model)

    def layer(values: Any, weights: np.ndarray, intercepts: np.ndarray) -> np.ndarray:
        sums = dot(values, weights)
        sums += intercepts
        return np.asarray(sums)

    def outputs(block: Any) -> np.ndarray:
        if refuses_rows and block.shape[0] > 1:
            raise FallbackRequiredError  # functions in place differ in numpy for a single number
        values = finite(layer(block, *first))  # functions of sums hide infinity
        for weights, intercepts in others:
            hidden(values)
            values = layer(values, weights, intercepts)
        output(values)
        return values

    return outputs


COMPILERS: Compilers = {
    **dict.fromkeys(REGRESSORS, regressor),
    **dict.fromkeys(("PassiveAggressiveRegressor", "SGDRegressor"), flat_regressor),
    **dict.fromkeys(("GammaRegressor", "PoissonRegressor", "TweedieRegressor"), generalized),
    **dict.fromkeys(CLASSIFIERS, classifier),
    **dict.fromkeys(("LogisticRegression", "LogisticRegressionCV"), logistic_regression),
    "LinearDiscriminantAnalysis": discriminant_analysis,
    "MLPClassifier": mlp_classifier,
    "MLPRegressor": mlp_regressor,
    "SGDClassifier": stochastic_gradient,
}
