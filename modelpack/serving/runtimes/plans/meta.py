"""Meta-estimators: search, calibration, voting, stacking, bagging."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from ...data.columns import FallbackRequiredError
from .arithmetic import expit_of, finite, normalized
from .compiler import Compiler, Compilers, Part, UnplannedError, classes_of
from .pipelines import SEARCHES, is_text_step
from .records import is_record

Function = Callable[[Any], Any]


def _part(estimator: Any, compiler: Compiler) -> Part:
    """Compile an estimator that gets the same block as its wrapper."""
    return compiler.part(estimator)


def search(model: Any, compiler: Compiler) -> Part:
    return _part(model.best_estimator_, compiler)


def frozen(model: Any, compiler: Compiler) -> Part:
    return _part(model.estimator, compiler)


def consensus(model: Any, compiler: Compiler) -> Part:
    return {"predict": _part(model.estimator_, compiler)["predict"]}


def calibrated(model: Any, compiler: Compiler) -> Part:
    """Compute the mean of classifiers, each with calibrators."""
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
    """Return the calibrated probabilities of one classifier; the caller may modify the result."""
    if getattr(member, "method", "sigmoid") not in ("sigmoid", "isotonic"):
        raise UnplannedError("the calibration has no plan")
    inner = getattr(member, "estimator", None) or member.base_estimator  # until 1.1
    calibrators = getattr(member, "calibrators", None) or member.calibrators_  # until 0.23
    if not np.array_equal(classes_of(inner), classes):
        raise UnplannedError("a calibrated classifier has fewer classes")
    if len(calibrators) != (1 if len(classes) == 2 else len(classes)):
        raise UnplannedError("the numbers of calibrators and classes differ")
    scores = _calibrator_input(inner, compiler)
    values = _calibration(calibrators, compiler)

    def proba(block: Any) -> np.ndarray:
        calibrated = values(scores(block))
        if len(classes) > 2:
            return np.asarray(np.minimum(normalized(calibrated, is_uniform=True), 1.0))
        pair = np.empty((len(calibrated), 2))
        np.subtract(1.0, calibrated[:, 0], out=pair[:, 0])
        pair[:, 1] = calibrated[:, 0]
        return np.asarray(np.minimum(pair, 1.0))

    return proba


def _calibrator_input(inner: Any, compiler: Compiler) -> Function:
    """Return a function that computes the scores for the calibrators, (n_rows, n_calibrators)."""
    part = _part(inner, compiler)
    if has_decision(inner, part):
        if getattr(inner, "decision_function_shape", "ovr") != "ovr":
            raise UnplannedError("a calibrated classifier decides between pairs of classes")
        decide = part["decision_function"]
        return lambda block: _columns(decide(block))
    proba = part["predict_proba"]
    if len(classes_of(inner)) == 2:
        return lambda block: proba(block)[:, 1:]
    return proba


def has_decision(estimator: Any, part: Part) -> bool:
    """Return whether an estimator has a decision function; `part` is its part of the plan."""
    if is_record(estimator):
        return "decision_function" in part
    return hasattr(estimator, "decision_function")


def _columns(values: np.ndarray) -> np.ndarray:
    return np.asarray(values.reshape(len(values), -1))


def _calibration(calibrators: Any, compiler: Compiler) -> Function:
    kinds = {type(calibrator).__name__ for calibrator in calibrators}
    if kinds == {"_SigmoidCalibration"}:
        slopes = np.array([calibrator.a_ for calibrator in calibrators], np.float64)
        shifts = np.array([calibrator.b_ for calibrator in calibrators], np.float64)
        power = expit_of(calibrators[0]) if compiler.since(0, 21) else _before_21
        return lambda scores: power(-(slopes * np.ascontiguousarray(scores) + shifts))
    if kinds != {"IsotonicRegression"}:
        raise UnplannedError("the calibration has no plan")
    steps = [_isotonic(calibrator) for calibrator in calibrators]
    return lambda scores: np.column_stack([step(scores[:, n]) for n, step in enumerate(steps)])


def _before_21(scores: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-scores)))


def _isotonic(calibrator: Any) -> Function:
    """Interpolate as scipy's `interp1d` does, which calls `np.interp` for arrays of float64."""
    known = _knots(calibrator)
    low, high = calibrator.X_min_, calibrator.X_max_
    if calibrator.out_of_bounds != "clip" or any(each.dtype != np.float64 for each in known):
        raise UnplannedError("the calibration has no plan")
    return lambda scores: np.interp(np.minimum(np.maximum(scores, low), high), *known)


def _knots(calibrator: Any) -> tuple[np.ndarray, np.ndarray]:
    if hasattr(calibrator, "X_thresholds_"):  # since 0.24
        return calibrator.X_thresholds_, calibrator.y_thresholds_
    return calibrator._necessary_X_, calibrator._necessary_y_


def soft_voting(model: Any, compiler: Compiler) -> Part:
    probas = [_part(each, compiler)["predict_proba"] for each in model.estimators_]
    weights = _weights(model)

    def predict_proba(block: Any) -> np.ndarray:
        return _average(np.asarray([proba(block) for proba in probas]), 0, weights)

    return _classifier(predict_proba, model.le_.classes_)


def _weights(model: Any) -> Any:
    """Return the weights of the estimators of a voting model that are not left out."""
    if model.weights is None:
        return None
    pairs = zip(model.estimators, model.weights)
    return [
        weight for (_, each), weight in pairs if each is not None and not is_text_step(each, "drop")
    ]


def _average(values: np.ndarray, axis: int, weights: Any) -> np.ndarray:
    if weights is None:
        return np.asarray(values.mean(axis))
    return np.asarray(np.average(values, axis=axis, weights=weights))


def voting(model: Any, compiler: Compiler) -> Part:
    if model.voting == "soft":
        return soft_voting(model, compiler)
    predictions = [_part(each, compiler)["predict"] for each in model.estimators_]
    classes, weights = model.le_.classes_, _weights(model)
    shares = [1] * len(predictions) if weights is None else weights

    def predict(block: Any) -> np.ndarray:
        votes = 0
        for prediction, share in zip(predictions, shares):
            votes = votes + (prediction(block)[:, np.newaxis] == np.arange(len(classes))) * share
        return np.asarray(classes[np.argmax(votes, axis=1)])

    return {"predict": predict}


def voting_regressor(model: Any, compiler: Compiler) -> Part:
    predictions = [_part(each, compiler)["predict"] for each in model.estimators_]
    weights, stack = _weights(model), _column_stacker(compiler)

    def predict(block: Any) -> np.ndarray:
        return _average(stack([each(block) for each in predictions]), 1, weights)

    return {"predict": predict}


def _column_stacker(compiler: Compiler) -> Function:
    """Return a function that stacks columns. Sums over rows depend on the memory order."""
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
    """Return a function that computes the columns for the final estimator."""
    names = [name for name in model.stack_method_ if name is not None]
    pairs = list(zip(model.estimators_, names))
    methods = [_part(estimator, compiler)[name] for estimator, name in pairs]
    is_binary = len(getattr(model, "classes_", ())) == 2
    halves = [is_binary and name == "predict_proba" for name in names]
    is_passed_through = model.passthrough

    def columns(block: Any, method: Function, is_half: bool) -> np.ndarray:
        result = method(block)
        if result.ndim == 1:
            return np.asarray(result.reshape(-1, 1))
        return np.asarray(result[:, 1:] if is_half else result)

    def stack(block: Any) -> np.ndarray:
        parts = [columns(block, *each) for each in zip(methods, halves)]
        if is_passed_through:
            if not isinstance(block, np.ndarray):
                raise FallbackRequiredError
            parts.append(block)
        return np.hstack(parts)

    return stack


def one_versus_rest(model: Any, compiler: Compiler) -> Part:
    if model.label_binarizer_.y_type_ not in ("multiclass", "binary"):
        raise UnplannedError("the model predicts several labels per row")
    estimators = model.estimators_
    parts = [_part(each, compiler) for each in estimators]
    classes, stack = classes_of(model), _column_stacker(compiler)
    is_decided = "decision_function" in parts[0]
    prefers_first = compiler.since(1, 7)
    if any(has_decision(*pair) != is_decided for pair in zip(estimators, parts)):
        raise UnplannedError("the classifiers of the classes have different methods")
    decides = [_score(part, is_decided) for part in parts]

    def predict(block: Any) -> np.ndarray:
        if len(decides) == 1:
            return np.asarray(classes[(decides[0](block) > (0 if is_decided else 0.5)).astype(int)])
        scores = np.column_stack([decide(block) for decide in decides])
        if prefers_first:
            return np.asarray(classes[scores.argmax(axis=1)])
        return np.asarray(classes[len(classes) - 1 - scores[:, ::-1].argmax(axis=1)])

    def predict_proba(block: Any) -> np.ndarray:
        probabilities = stack([part["predict_proba"](block)[:, 1] for part in parts])
        if len(parts) == 1:
            probabilities = np.concatenate((1 - probabilities, probabilities), axis=1)
        return normalized(probabilities)

    def decision_function(block: Any) -> np.ndarray:
        scores = [decide(block) for decide in decides]
        return np.asarray(scores[0] if len(scores) == 1 else np.column_stack(scores))

    part: Part = {"predict": predict}
    if "predict_proba" in parts[0]:
        part["predict_proba"] = predict_proba
    if is_decided:
        part["decision_function"] = decision_function
    return part


def _score(part: Part, is_decided: bool) -> Function:
    """Return a function that computes the score of the second class, (n_rows,)."""
    if is_decided:
        decide = part["decision_function"]
        return lambda block: decide(block).ravel()
    proba = part["predict_proba"]
    return lambda block: proba(block)[:, 1]


def multiple_outputs(model: Any, compiler: Compiler) -> Part:
    """Predict each target with one estimator. Probabilities are a list, which has no plan."""
    predictions = [_part(each, compiler)["predict"] for each in model.estimators_]
    return {"predict": lambda block: np.asarray([each(block) for each in predictions]).T}


def transformed_target(model: Any, compiler: Compiler) -> Part:
    predict = _part(model.regressor_, compiler)["predict"]
    back = inverse_of(model.transformer_)
    if model._training_dim != 1:
        raise UnplannedError("the model has several targets")
    return {"predict": lambda block: back(predict(block).reshape(-1, 1))[:, 0]}


def inverse_of(transformer: Any) -> Function:
    """Return the inverse of a transformer that transforms each number independently."""
    kind = type(transformer)
    if kind.__module__.startswith("sklearn."):
        function = getattr(transformer, "inverse_func", None)
        if kind.__name__ == "FunctionTransformer" and not transformer.inv_kw_args:
            if isinstance(function, np.ufunc):
                return function
        elif kind.__name__ == "StandardScaler" and transformer.with_mean and transformer.with_std:
            mean, scale = transformer.mean_, transformer.scale_
            return lambda values: finite(values) * scale + mean
    raise UnplannedError("the transformation of the target has no plan")


def bagging_regressor(model: Any, compiler: Compiler) -> Part:
    predictions, count = _bagged(model, compiler, "predict"), len(model.estimators_)
    return {"predict": lambda block: _sum(predictions, block) / count}


def bagging_classifier(model: Any, compiler: Compiler) -> Part:
    if any(len(each.classes_) != model.n_classes_ for each in model.estimators_):
        raise UnplannedError("a bagged classifier has fewer classes")
    probas, count = _bagged(model, compiler, "predict_proba"), len(model.estimators_)
    return _classifier(lambda block: _sum(probas, block) / count, model.classes_)


def _bagged(model: Any, compiler: Compiler, name: str) -> list[Function]:
    if model.n_jobs not in (None, 1) and not is_record(model):
        raise UnplannedError("the number of partial sums depends on the processors")
    if model.n_estimators != len(model.estimators_):
        raise UnplannedError("`n_estimators` differs from the number of estimators")
    methods = [_part(each, compiler)[name] for each in model.estimators_]
    return [_on_columns(*each) for each in zip(methods, model.estimators_features_)]


def _on_columns(method: Function, columns: np.ndarray) -> Function:
    return lambda block: method(block[:, columns])


def _sum(functions: list[Function], block: Any) -> Any:
    return sum(function(block) for function in functions)


def _classifier(predict_proba: Function, classes: np.ndarray) -> Part:
    """Build a part that predicts the most probable class."""
    return {
        "predict": lambda block: classes.take(predict_proba(block).argmax(axis=1)),
        "predict_proba": predict_proba,
    }


def dummy_regressor(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    constant = model.constant_.ravel()
    if len(constant) != 1 or getattr(model, "output_2d_", False):
        raise UnplannedError("the model has several targets")
    return {"predict": lambda block: np.full(_count(block), constant[0], constant.dtype)}


def dummy_classifier(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    strategy, classes, prior = model.strategy, model.classes_, model.class_prior_
    if model.n_outputs_ != 1 or model.sparse_output_ or strategy not in ("prior", "most_frequent"):
        raise UnplannedError("the model predicts by chance, or several labels per row")
    chosen = np.array([classes[prior.argmax()]])  # for strings, an array of the width of this one
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
