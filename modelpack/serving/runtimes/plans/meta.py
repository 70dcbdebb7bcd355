"""Meta-estimators: search, calibration, voting, stacking, bagging."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
from scipy.special import expit  # type: ignore[import-untyped]

from ...data.columns import FallbackRequiredError
from .arithmetic import finite, normalized, since
from .compiler import Compiler, Compilers, Part, UnplannedError
from .pipelines import SEARCHES

Function = Callable[[Any], Any]


def _part(estimator: Any, compiler: Compiler) -> Part:
    """Of an estimator that gets the very block that its wrapper gets."""
    return compiler.part(estimator)


def search(model: Any, compiler: Compiler) -> Part:
    return _part(model.best_estimator_, compiler)


def frozen(model: Any, compiler: Compiler) -> Part:
    return _part(model.estimator, compiler)


def consensus(model: Any, compiler: Compiler) -> Part:
    return {"predict": _part(model.estimator_, compiler)["predict"]}


def calibrated(model: Any, compiler: Compiler) -> Part:
    """The mean of classifiers, each with calibrators."""
    classes, members = model.classes_, model.calibrated_classifiers_
    probas = [_calibrated(member, classes, compiler) for member in members]

    def predict_proba(block: Any) -> np.ndarray:
        total = probas[0](block)
        for proba in probas[1:]:
            total += proba(block)
        total /= len(probas)
        return np.asarray(total)

    return _classifier(predict_proba, classes)


def _calibrated(member: Any, classes: np.ndarray, compiler: Compiler) -> Function:
    """Of one classifier and its calibrators: (n_rows, n_classes), which the caller may change."""
    if getattr(member, "method", "sigmoid") not in ("sigmoid", "isotonic"):
        raise UnplannedError("it calibrates in a way that has no plan")
    inner = getattr(member, "estimator", None) or member.base_estimator  # until 1.1
    calibrators = getattr(member, "calibrators", None) or member.calibrators_  # until 0.23
    if not np.array_equal(inner.classes_, classes):
        raise UnplannedError("one of its classifiers knows fewer classes")
    if len(calibrators) != (1 if len(classes) == 2 else len(classes)):
        raise UnplannedError("it has other calibrators than classes")
    scores = _scores_of(inner, compiler)
    values = _calibration(calibrators)

    def proba(block: Any) -> np.ndarray:
        each = values(scores(block))
        if len(classes) > 2:
            return np.asarray(np.minimum(normalized(each), 1.0))
        pair = np.empty((len(each), 2))
        np.subtract(1.0, each[:, 0], out=pair[:, 0])
        pair[:, 1] = each[:, 0]
        return np.asarray(np.minimum(pair, 1.0))

    return proba


def _scores_of(inner: Any, compiler: Compiler) -> Function:
    """(n_rows, n_calibrators)."""
    part = _part(inner, compiler)
    if hasattr(inner, "decision_function"):
        if getattr(inner, "decision_function_shape", "ovr") != "ovr":
            raise UnplannedError("its classifiers decide between pairs of classes")
        decide = part["decision_function"]
        return lambda block: _columns(decide(block))
    proba = part["predict_proba"]
    if len(inner.classes_) == 2:
        return lambda block: proba(block)[:, 1:]
    return proba


def _columns(values: np.ndarray) -> np.ndarray:
    return np.asarray(values.reshape(len(values), -1))


def _calibration(calibrators: Any) -> Function:
    kinds = {type(calibrator).__name__ for calibrator in calibrators}
    if kinds == {"_SigmoidCalibration"}:
        slopes = np.array([calibrator.a_ for calibrator in calibrators], np.float64)
        shifts = np.array([calibrator.b_ for calibrator in calibrators], np.float64)
        power = expit if since(0, 21) else _before_21
        return lambda scores: power(-(slopes * np.ascontiguousarray(scores) + shifts))
    if kinds != {"IsotonicRegression"}:
        raise UnplannedError("it calibrates in a way that has no plan")
    steps = [_isotonic(calibrator) for calibrator in calibrators]
    return lambda scores: np.column_stack([step(scores[:, n]) for n, step in enumerate(steps)])


def _before_21(scores: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-scores)))


def _isotonic(calibrator: Any) -> Function:
    """As scipy's interp1d, which calls np.interp for arrays of float64."""
    line, low, high = calibrator.f_, calibrator.X_min_, calibrator.X_max_
    known = (line.x, line.y)
    if calibrator.out_of_bounds != "clip" or any(each.dtype != np.float64 for each in known):
        raise UnplannedError("it calibrates in a way that has no plan")
    return lambda scores: np.interp(np.minimum(np.maximum(scores, low), high), *known)


def soft_voting(model: Any, compiler: Compiler) -> Part:
    probas = [_part(each, compiler)["predict_proba"] for each in model.estimators_]
    weights = model._weights_not_none

    def predict_proba(block: Any) -> np.ndarray:
        return _average(np.asarray([proba(block) for proba in probas]), 0, weights)

    return _classifier(predict_proba, model.le_.classes_)


def _average(values: np.ndarray, axis: int, weights: Any) -> np.ndarray:
    if weights is None:
        return np.asarray(values.mean(axis))
    return np.asarray(np.average(values, axis=axis, weights=weights))


def voting(model: Any, compiler: Compiler) -> Part:
    if model.voting == "soft":
        return soft_voting(model, compiler)
    predictions = [_part(each, compiler)["predict"] for each in model.estimators_]
    classes, weights = model.le_.classes_, model._weights_not_none
    shares = [1] * len(predictions) if weights is None else weights

    def predict(block: Any) -> np.ndarray:
        votes = 0
        for prediction, share in zip(predictions, shares):
            votes = votes + (prediction(block)[:, np.newaxis] == np.arange(len(classes))) * share
        return np.asarray(classes[np.argmax(votes, axis=1)])

    return {"predict": predict}


def voting_regressor(model: Any, compiler: Compiler) -> Part:
    predictions = [_part(each, compiler)["predict"] for each in model.estimators_]
    weights, beside = model._weights_not_none, _beside(compiler)

    def predict(block: Any) -> np.ndarray:
        return _average(beside([each(block) for each in predictions]), 1, weights)

    return {"predict": predict}


def _beside(compiler: Compiler) -> Function:
    """What makes columns (n_rows,) a matrix; sums of its rows depend on its order in memory."""
    if compiler.row_by_row:
        return np.column_stack
    return lambda columns: np.asarray(columns).T


def stacking(model: Any, compiler: Compiler) -> Part:
    predict = compiler.part(model.final_estimator_)["predict"]
    return {"predict": _after(_stack(model, compiler), predict)}


def stacking_classifier(model: Any, compiler: Compiler) -> Part:
    encoder = getattr(model, "_label_encoder", None) or model._le  # since 1.2
    classes, stack = encoder.classes_, _stack(model, compiler)
    final = compiler.part(model.final_estimator_)
    part: Part = {
        name: _after(stack, method) for name, method in final.items() if name != "transform"
    }
    chosen = part["predict"]
    return {**part, "predict": lambda block: classes[chosen(block)]}


def _after(stack: Function, method: Function) -> Function:
    return lambda block: method(stack(block))


def _stack(model: Any, compiler: Compiler) -> Function:
    """What the estimators of the first row give: the columns that the final one takes."""
    names = [name for name in model.stack_method_ if name is not None]
    pairs = list(zip(model.estimators_, names))
    methods = [_part(estimator, compiler)[name] for estimator, name in pairs]
    is_binary = len(getattr(model, "classes_", ())) == 2
    halves = [is_binary and name == "predict_proba" for name in names]
    is_passed_through = model.passthrough

    def columns(block: Any, method: Function, is_half: bool) -> np.ndarray:
        given = method(block)
        if given.ndim == 1:
            return np.asarray(given.reshape(-1, 1))
        return np.asarray(given[:, 1:] if is_half else given)

    def stack(block: Any) -> np.ndarray:
        made = [columns(block, *each) for each in zip(methods, halves)]
        if is_passed_through:
            if not isinstance(block, np.ndarray):
                raise FallbackRequiredError
            made.append(block)
        return np.hstack(made)

    return stack


def one_versus_rest(model: Any, compiler: Compiler) -> Part:
    if model.label_binarizer_.y_type_ not in ("multiclass", "binary"):
        raise UnplannedError("it gives several labels at once")
    estimators = model.estimators_
    parts = [_part(each, compiler) for each in estimators]
    classes, beside = model.classes_, _beside(compiler)
    is_decided = "decision_function" in parts[0]
    if any(hasattr(each, "decision_function") != is_decided for each in estimators):
        raise UnplannedError("its estimators are of several kinds")
    decides = [_score(part, is_decided) for part in parts]

    def predict(block: Any) -> np.ndarray:
        if len(decides) == 1:
            return np.asarray(classes[(decides[0](block) > (0 if is_decided else 0.5)).astype(int)])
        scores = np.column_stack([decide(block) for decide in decides])
        if (np.count_nonzero(scores == scores.max(axis=1, keepdims=True))) > len(scores):
            raise FallbackRequiredError  # which of equals is taken depends on the release
        return np.asarray(classes[scores.argmax(axis=1)])

    def predict_proba(block: Any) -> np.ndarray:
        each = beside([part["predict_proba"](block)[:, 1] for part in parts])
        if len(parts) == 1:
            each = np.concatenate((1 - each, each), axis=1)
        return normalized(each)

    def decision_function(block: Any) -> np.ndarray:
        each = [decide(block) for decide in decides]
        return np.asarray(each[0] if len(each) == 1 else np.column_stack(each))

    part: Part = {"predict": predict}
    if "predict_proba" in parts[0]:
        part["predict_proba"] = predict_proba
    if is_decided:
        part["decision_function"] = decision_function
    return part


def _score(part: Part, is_decided: bool) -> Function:
    """(n_rows,)."""
    if is_decided:
        decide = part["decision_function"]
        return lambda block: decide(block).ravel()
    proba = part["predict_proba"]
    return lambda block: proba(block)[:, 1]


def multiple_outputs(model: Any, compiler: Compiler) -> Part:
    """Of each target an estimator. Their probabilities would be a list, which has no plan."""
    predictions = [_part(each, compiler)["predict"] for each in model.estimators_]
    return {"predict": lambda block: np.asarray([each(block) for each in predictions]).T}


def transformed_target(model: Any, compiler: Compiler) -> Part:
    predict = _part(model.regressor_, compiler)["predict"]
    back = _inverse(model.transformer_)
    if model._training_dim != 1:
        raise UnplannedError("it has several targets")
    return {"predict": lambda block: back(predict(block).reshape(-1, 1))[:, 0]}


def _inverse(transformer: Any) -> Function:
    """What it does to each number by itself."""
    kind = type(transformer)
    if kind.__module__.startswith("sklearn."):
        function = getattr(transformer, "inverse_func", None)
        if kind.__name__ == "FunctionTransformer" and not transformer.inv_kw_args:
            if isinstance(function, np.ufunc):
                return function
        elif kind.__name__ == "StandardScaler" and transformer.with_mean and transformer.with_std:
            mean, scale = transformer.mean_, transformer.scale_
            return lambda values: finite(values) * scale + mean
    raise UnplannedError("its target is transformed in a way that has no plan")


def bagging_regressor(model: Any, compiler: Compiler) -> Part:
    predictions, count = _bagged(model, compiler, "predict"), len(model.estimators_)
    return {"predict": lambda block: _sum(predictions, block) / count}


def bagging_classifier(model: Any, compiler: Compiler) -> Part:
    if any(len(each.classes_) != model.n_classes_ for each in model.estimators_):
        raise UnplannedError("one of its estimators knows fewer classes")
    probas, count = _bagged(model, compiler, "predict_proba"), len(model.estimators_)
    return _classifier(lambda block: _sum(probas, block) / count, model.classes_)


def _bagged(model: Any, compiler: Compiler, name: str) -> list[Function]:
    if model.n_jobs not in (None, 1):
        raise UnplannedError("it adds up by as many parts as there are processors")
    if model.n_estimators != len(model.estimators_):
        raise UnplannedError("it has other estimators than it says")
    methods = [_part(each, compiler)[name] for each in model.estimators_]
    return [_of_columns(*each) for each in zip(methods, model.estimators_features_)]


def _of_columns(method: Function, columns: np.ndarray) -> Function:
    return lambda block: method(block[:, columns])


def _sum(functions: list[Function], block: Any) -> Any:
    return sum(function(block) for function in functions)


def _classifier(predict_proba: Function, classes: np.ndarray) -> Part:
    """The most probable class is predicted."""
    return {
        "predict": lambda block: classes.take(predict_proba(block).argmax(axis=1)),
        "predict_proba": predict_proba,
    }


def dummy_regressor(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    constant = model.constant_.ravel()
    if len(constant) != 1 or getattr(model, "output_2d_", False):
        raise UnplannedError("it has several targets")
    return {"predict": lambda block: np.full(_count(block), constant[0], constant.dtype)}


def dummy_classifier(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    strategy, classes, prior = model.strategy, model.classes_, model.class_prior_
    if model.n_outputs_ != 1 or model.sparse_output_ or strategy not in ("prior", "most_frequent"):
        raise UnplannedError("it answers by chance, or several labels at once")
    chosen = np.array([classes[prior.argmax()]])  # of strings, an array no wider than this one
    certain = (np.arange(len(prior)) == prior.argmax()).astype(np.float64)
    proba = prior if strategy == "prior" else certain
    return {
        "predict": lambda block: np.repeat(chosen, _count(block)),
        "predict_proba": lambda block: np.ones((_count(block), 1)) * proba,
    }


def _count(block: Any) -> int:
    if not isinstance(block, np.ndarray):
        raise FallbackRequiredError
    return len(block)


COMPILERS: Compilers = {
    **dict.fromkeys(SEARCHES, search),
    **dict.fromkeys(("MultiOutputClassifier", "MultiOutputRegressor"), multiple_outputs),
    "BaggingClassifier": bagging_classifier,
    "BaggingRegressor": bagging_regressor,
    "CalibratedClassifierCV": calibrated,
    "DummyClassifier": dummy_classifier,
    "DummyRegressor": dummy_regressor,
    "FrozenEstimator": frozen,
    "OneVsRestClassifier": one_versus_rest,
    "RANSACRegressor": consensus,
    "StackingClassifier": stacking_classifier,
    "StackingRegressor": stacking,
    "TransformedTargetRegressor": transformed_target,
    "VotingClassifier": voting,
    "VotingRegressor": voting_regressor,
}
