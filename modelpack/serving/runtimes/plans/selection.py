"""The columns that a fitted selector selects, without its method `get_support`."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from .compiler import UnplannedError
from .records import is_record

Mask = np.ndarray


def support(model: Any) -> Mask:
    """Return which columns a selector selects, as booleans (n_inputs,).

    Raises:
        UnplannedError: The mask of a record depends on something other than its own arrays.
    """
    if not is_record(model):
        return np.asarray(model.get_support())
    name = type(model).__name__
    if name == "GenericUnivariateSelect":
        return MODES[model.mode](model, model.param)
    if name in PARAMETER_OF:
        return PARAMETER_OF[name][1](model, getattr(model, PARAMETER_OF[name][0]))
    if name == "VarianceThreshold":
        return np.asarray(model.variances_ > model.threshold)
    if name == "SelectFromModel":
        return by_importance(model)
    return np.asarray(model.support_)


def best(model: Any, count: Any) -> Mask:
    scores = _without_nan(model.scores_)
    if count == "all":
        return np.ones(len(scores), bool)
    mask: Mask = np.zeros(len(scores), bool)
    if count:
        mask[np.argsort(scores, kind="mergesort")[-count:]] = True
    return mask


def percentile(model: Any, percent: float) -> Mask:
    scores = _without_nan(model.scores_)
    if percent in (0, 100):
        return np.full(len(scores), percent == 100)
    limit = np.percentile(scores, 100 - percent)
    mask: Mask = np.asarray(scores > limit)
    ties = np.where(scores == limit)[0]
    if len(ties):
        mask[ties[: int(len(scores) * percent / 100) - mask.sum()]] = True
    return mask


def _without_nan(scores: np.ndarray) -> np.ndarray:
    """Replace NaN by the smallest number."""
    cleaned: np.ndarray = np.array(scores, np.float64)
    cleaned[np.isnan(cleaned)] = np.finfo(cleaned.dtype).min
    return cleaned


def false_positives(model: Any, alpha: float) -> Mask:
    return np.asarray(model.pvalues_ < alpha)


def false_discoveries(model: Any, alpha: float) -> Mask:
    count = len(model.pvalues_)
    values = np.sort(model.pvalues_)
    chosen = values[values <= float(alpha) / count * np.arange(1, count + 1)]
    if not chosen.size:
        return np.zeros(count, bool)
    return np.asarray(model.pvalues_ <= chosen.max())


def family_wise_errors(model: Any, alpha: float) -> Mask:
    return np.asarray(model.pvalues_ < alpha / len(model.pvalues_))


MODES: dict[str, Callable[[Any, Any], Mask]] = {
    "fdr": false_discoveries,
    "fpr": false_positives,
    "fwe": family_wise_errors,
    "k_best": best,
    "percentile": percentile,
}
PARAMETER_OF = {
    "SelectFdr": ("alpha", false_discoveries),
    "SelectFpr": ("alpha", false_positives),
    "SelectFwe": ("alpha", family_wise_errors),
    "SelectKBest": ("k", best),
    "SelectPercentile": ("percentile", percentile),
}
"""Class -> its parameter, and the function that it passes to."""


def by_importance(model: Any) -> Mask:
    """Return the mask of SelectFromModel whose estimator has coefficients or trees."""
    inner = getattr(model, "estimator_", None) or model.estimator
    scores = _importances(inner, getattr(model, "importance_getter", "auto"))
    if scores.ndim > 1:
        scores = np.linalg.norm(scores, axis=0, ord=getattr(model, "norm_order", 1))
    mask: Mask = np.ones(len(scores), bool)
    largest = getattr(model, "max_features_", getattr(model, "max_features", None))
    if largest is not None:
        mask[np.argsort(-scores, kind="mergesort")[largest:]] = False
    mask[scores < _limit(model.threshold, scores, inner)] = False
    return mask


def _importances(inner: Any, getter: Any) -> np.ndarray:
    """Return absolute coefficients, or the importances of trees."""
    coefficients = getattr(inner, "coef_", None)
    if getter in ("auto", "coef_") and isinstance(coefficients, np.ndarray):
        return np.abs(coefficients)
    name = type(inner).__name__
    if getter not in ("auto", "feature_importances_") or not name.startswith(WITH_TREES):
        raise UnplannedError("SelectFromModel reads other importances than those of coefficients")
    trees = np.ravel(np.asarray(getattr(inner, "estimators_", [inner]), object)).tolist()
    is_boosted = name.startswith("Gradient")
    parts = [_tree_importances(each.tree_, not is_boosted) for each in trees]
    used = [each for each in parts if each is not None]
    if not used:
        return np.zeros(int(trees[0].tree_.n_features))
    mean = np.mean(used, axis=0, dtype=np.float64)
    return np.asarray(mean / np.sum(mean) if hasattr(inner, "estimators_") else used[0])


WITH_TREES = ("DecisionTree", "ExtraTree", "GradientBoosting", "RandomForest")


def _tree_importances(tree: Any, is_normalized: bool) -> np.ndarray | None:
    """Return by how much the splits of each input reduce the impurity, None without splits."""
    nodes = np.asarray(tree.nodes)
    inner = np.flatnonzero(nodes["left_child"] >= 0)
    if not len(inner):
        return None
    losses = nodes["weighted_n_node_samples"] * nodes["impurity"]
    left, right = nodes["left_child"][inner], nodes["right_child"][inner]
    gains = losses[inner] - losses[left] - losses[right]
    counted = np.bincount(nodes["feature"][inner], gains, int(tree.n_features))
    sums = np.asarray(counted / nodes["weighted_n_node_samples"][0], np.float64)
    total = sums.sum()
    return np.asarray(sums / total if is_normalized and total > 0 else sums)


def _limit(threshold: Any, scores: np.ndarray, inner: Any) -> float:
    if threshold is None:
        ratios = (getattr(inner, "l1_ratio", None), getattr(inner, "l1_ratio_", None))
        if any(ratio is not None and np.isclose(ratio, 1.0).any() for ratio in ratios):
            raise UnplannedError("the threshold of SelectFromModel depends on the release")
        is_sparse_fit = getattr(inner, "penalty", None) == "l1" or "Lasso" in type(inner).__name__
        return 1e-5 if is_sparse_fit else float(np.mean(scores))
    if not isinstance(threshold, str):
        return float(threshold)
    factor, _, name = threshold.rpartition("*")
    functions: dict[str, Callable[[Any], Any]] = {"mean": np.mean, "median": np.median}
    return float(factor or 1.0) * float(functions[name.strip()](scores))
