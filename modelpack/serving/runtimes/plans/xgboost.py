"""XGBoost: Boosters, and its estimators for scikit-learn.

XGBoost computes with float32: rows, thresholds, the sums in the order of the trees, and the
functions that it applies to them.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Tuple

import numpy as np

from ...data.columns import FallbackRequiredError
from .boosted import BoostedTrees, Rows, output_count, reader
from .compiler import Compiler, Compilers, Part, UnplannedError
from .links import exp32, exp64, log32, sigmoid32, softmax32

Step = Callable[[np.ndarray], np.ndarray]

LOGISTIC = {"binary:logistic", "reg:logistic"}
FAILURE, RAW_LOGISTIC = "survival:aft", "binary:logitraw"
LOGARITHMIC = {"count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", FAILURE}
IDENTITIES = {
    "reg:squarederror", "reg:linear", "reg:squaredlogerror", "reg:pseudohubererror",
    "reg:absoluteerror", "reg:quantileerror", "rank:pairwise", "rank:ndcg", "rank:map",
    RAW_LOGISTIC,
}  # fmt: skip
Release = Tuple[int, int]
"""Major and minor version of the XGBoost that predicts."""

IN_PLACE: Release = (1, 4)
"""Since this release, estimators predict without a matrix of XGBoost, which rejects infinite
values."""
BASE_FIRST = {"gbtree": (1, 3), "dart": (1, 4)}
"""Since these releases, sums start with the base score. Before, it is added to them."""
RAW_LINK_UNTIL: Release = (1, 2)
"""Until this release, the base score of the raw logistic loss is a probability."""
DROPS_UNTIL: Release = (0, 90)
"""Until this release, DART predicts without some trees, which it chooses at random."""
WIDE_FAILURE: Release = (2, 1)
"""Since this release, the exponentials of survival times are computed with float64."""


def booster(model: Any, _compiler: Compiler) -> Part:
    """Predict as the service does with a file: labels for a model that XGBClassifier saved."""
    predict = _predict(model, math.nan, best=bool(model.wrapper), is_in_place=False)
    if not model.predicts_labels:
        return {"predict": predict}

    def proba(block: Any) -> np.ndarray:
        return _both(predict(block))

    def choose(block: Any) -> np.ndarray:
        result = predict(block)
        return result.argmax(axis=1) if result.ndim > 1 else (result > 0.5).astype(np.int64)

    return {"predict": choose, "predict_proba": proba}


def classifier(model: Any, _compiler: Compiler) -> Part:
    predict, is_binary = _wrapped(model), int(model.n_classes_) == 2
    if is_binary and int(model._Booster.n_outputs) > 1:
        raise UnplannedError("a classifier of XGBoost predicts several labels per row")
    labels = np.asarray(model._le.classes_) if hasattr(model, "_le") else None

    def choose(block: Any) -> np.ndarray:
        result = predict(block)
        codes = result.argmax(axis=1) if result.ndim > 1 else (result > 0.5).astype(np.int64)
        return codes if labels is None else np.asarray(labels[codes])

    return {"predict": choose, "predict_proba": lambda block: _both(predict(block))}


def regressor(model: Any, _compiler: Compiler) -> Part:
    return {"predict": _wrapped(model)}


def _both(result: np.ndarray) -> np.ndarray:
    return result if result.ndim > 1 else np.vstack((1.0 - result, result)).T


def _wrapped(model: Any) -> Callable[[Any], np.ndarray]:
    own = model._Booster
    is_in_place = own.booster != "gblinear" and _release(own) >= IN_PLACE
    missing = math.nan if model.missing is None else float(model.missing)
    return _predict(own, missing, best=True, is_in_place=is_in_place)


def _predict(
    model: Any, missing: float, best: bool, is_in_place: bool
) -> Callable[[Any], np.ndarray]:
    """Return the prediction of a Booster: (n_rows,), or (n_rows, n_outputs) for several.

    Args:
        model: The record of the Booster.
        missing: A value that is missing, besides NaN.
        best: Whether only trees up to the best iteration predict.
        is_in_place: Whether it is that of an estimator without a matrix of XGBoost: infinite
            values are accepted, to which float32 rounds large ones.
    """
    outputs, objective = output_count(model.n_outputs), str(model.objective)
    margins, link = _margins(model, best, is_in_place), _link(objective, _release(model))
    encoded, absent = reader(model, None, math.nan), np.float32(missing)

    def rows_of(block: Any) -> np.ndarray:
        with np.errstate(over="ignore"):
            rows = encoded(block).astype(np.float32)
        if not is_in_place and np.isinf(rows).any():
            raise FallbackRequiredError
        if not np.isnan(absent):
            rows[rows == absent] = np.nan
        return rows

    def predict(block: Any) -> np.ndarray:
        result = link(margins(rows_of(block)))
        return result[:, 0] if result.ndim > 1 and outputs == 1 else result

    return predict


def _release(model: Any) -> Release:
    major, minor = model.release
    return int(major), int(minor)


def _margins(model: Any, best: bool, is_in_place: bool) -> Rows:
    start = _base_margins(model)
    if model.booster == "gblinear":
        return _linear(model, start)
    weights = np.asarray(model.tree_weights, np.float32)
    trees = BoostedTrees(model, _count(model) if best else None, is_truncating=False)
    outputs = np.asarray(model.tree_outputs)[: len(trees.splits)]
    order = _in_turn(outputs, len(start))
    if model.booster == "dart":
        if _release(model) <= DROPS_UNTIL:
            raise UnplannedError("DART of XGBoost before 1.0 predicts at random")
        bases = start[outputs] if is_in_place else np.zeros(len(outputs), np.float32)
        parts = zip(trees.values, bases, weights)
        trees.values = [(values + base - base) * weight for values, base, weight in parts]
    for index, split in enumerate(trees.splits):
        below = np.nextafter(split.threshold, np.float32(-np.inf), dtype=np.float32)
        is_number = split.feature < trees.numbers
        trees.splits[index] = split._replace(threshold=np.where(is_number, below, split.threshold))
    trees.splits = [trees.splits[index] for index in order]
    trees.values = [trees.values[index] for index in order]
    if _release(model) >= BASE_FIRST[model.booster]:
        sum_up = trees.sums(start)
        return lambda rows: sum_up(trees.rows(rows))
    sum_up = trees.sums(np.zeros_like(start))
    return lambda rows: sum_up(trees.rows(rows)) + start


def _in_turn(outputs: np.ndarray, count: int) -> list[int]:
    """Return the order in which trees belong to the outputs in turn, each in its own order.

    Raises:
        ValueError: An output has more trees than another, or does not exist.
    """
    positions = [np.flatnonzero(outputs == output) for output in range(count)]
    if len({len(each) for each in positions}) > 1 or sum(map(len, positions)) != len(outputs):
        raise ValueError("the outputs have different numbers of trees")
    order: list[int] = np.array(positions, np.intp).T.ravel().tolist()
    return order


def _count(model: Any) -> int | None:
    """Return the number of trees up to the best iteration, or None for all."""
    if model.best_round is None:
        return None
    if model.best_trees is not None:
        return min(int(model.best_trees) * int(model.n_outputs), len(model.tree_outputs))
    rounds, starts = int(model.best_round) + 1, np.asarray(model.round_starts)
    if len(starts):
        return int(starts[min(rounds, len(starts) - 1)])
    return min(rounds * int(model.n_outputs) * int(model.parallel_trees), len(model.tree_outputs))


def _base_margins(model: Any) -> np.ndarray:
    """Return what the sums start with, float32 (n_outputs,)."""
    scores, release = np.asarray(model.base_scores, np.float32), _release(model)
    objective, is_margin = str(model.objective), bool(model.base_is_margin)
    if is_margin and release >= (1, 0):  # which converts it forth and back
        scores, is_margin = _link(objective, release)(scores[:, np.newaxis]).ravel(), False
    if not is_margin:
        is_raw_link = objective == RAW_LOGISTIC and _release(model) <= RAW_LINK_UNTIL
        if objective in LOGISTIC or is_raw_link:
            one = np.float32(1.0)
            scores = np.array([-log32(one / score - one) for score in scores], np.float32)
        elif objective in LOGARITHMIC:
            scores = np.array([log32(score) for score in scores], np.float32)
    if len(scores) not in (1, int(model.n_outputs)):
        raise ValueError("there is not one base score for each output")
    return np.resize(scores, int(model.n_outputs))


def _linear(model: Any, start: np.ndarray) -> Rows:
    count, width = len(start), int(model.n_features)
    weights = np.asarray(model.weights, np.float32).reshape((width + 1, count))
    bias = weights[-1] + start[0]  # XGBoost reads the first base score for all outputs

    def margins(rows: np.ndarray) -> np.ndarray:
        sums = np.repeat(bias[np.newaxis], len(rows), axis=0)
        for column, factors in zip(rows.T, weights):
            terms = column[:, np.newaxis] * factors
            sums += np.where(np.isnan(column)[:, np.newaxis], np.float32(0.0), terms)
        return sums

    return margins


def _link(objective: str, release: Release) -> Step:
    """Return the function that XGBoost applies to sums (n_rows, n_outputs).

    Raises:
        UnplannedError: The objective has no plan.
    """
    if objective == FAILURE and release < WIDE_FAILURE:
        return exp32
    if objective not in LINKS:
        raise UnplannedError(f"the objective {objective} of XGBoost has no compiled form")
    return LINKS[objective]


def _unchanged(sums: np.ndarray) -> np.ndarray:
    return sums


LINKS: dict[str, Step] = {
    **dict.fromkeys(IDENTITIES, _unchanged),
    **dict.fromkeys(LOGISTIC, sigmoid32),
    **dict.fromkeys(LOGARITHMIC, exp32),
    FAILURE: lambda sums: exp64(sums).astype(np.float32),
    "multi:softprob": softmax32,
    "multi:softmax": lambda sums: sums.argmax(axis=1).astype(np.float32),
    "binary:hinge": lambda sums: (sums > 0).astype(np.float32),
}


COMPILERS: Compilers = {
    "XGBClassifier": classifier,
    "XGBRFClassifier": classifier,
    "XGBRFRegressor": regressor,
    "XGBRanker": regressor,
    "XGBRegressor": regressor,
}
