"""Nearest neighbors, by distances to all rows of the training."""

from __future__ import annotations

from typing import Any, Callable, Tuple

import numpy as np

from ...data.columns import FallbackRequiredError
from .arithmetic import contiguous, finite
from .compiler import Compiler, Compilers, Part, RecordsOnly, UnplannedError
from .distances import BLOCK, CHUNKED, Metric, blas_of
from .gaussians import by_logarithms
from .nearest import Choose, SearchTree, by_numpy, by_order, by_partition, nearest

Neighbors = Tuple[np.ndarray, np.ndarray]
"""The numbers of the neighbors of rows, and their distances, (n_rows, n_neighbors)."""
Neighborhood = Tuple[np.ndarray, np.ndarray]
"""The same for one row, (n_neighbors,)."""

LARGEST = 1 << 23
"""Numbers of a training, all of which are compared with each row."""
MOST_PARTITIONED = 1 << 16
"""Rows of a training that are partitioned one by one, as releases before 1.5 choose neighbors."""
BY_HEAP = (1, 1)
"""First version whose search without a tree uses a heap."""

BY_NUMPY_2 = (1, 5)
"""First version that appeared after numpy 2, whose partitions use instructions of the processor."""


def partition(compiler: Compiler, count: int, rows: int) -> Choose:
    """Return the choice, among `rows` rows, of the numpy that appeared with a release.

    Raises:
        UnplannedError: The choice would take long.
    """
    if compiler.since(*BY_NUMPY_2):
        return by_numpy(count)
    if rows > MOST_PARTITIONED:
        raise UnplannedError(f"the training has more than {MOST_PARTITIONED:,} rows")
    return by_partition(count)


class Search:
    """The search of a fitted estimator for neighbors of rows.

    Raises:
        UnplannedError: The metric has no plan, or the training is too large.
    """

    def __init__(self, model: Any, compiler: Compiler) -> None:
        trained = np.asarray(model._fit_X)
        if trained.size > LARGEST:
            raise UnplannedError(f"the training has more than {LARGEST:,} numbers")
        self._count, self._width = trained.shape
        self._metric = Metric(model.effective_metric_, model.effective_metric_params_)
        has_tree = model._fit_method in ("kd_tree", "ball_tree")
        if not has_tree and model._fit_method != "brute":
            raise UnplannedError(f"the search {model._fit_method} has no plan")
        self._tree = SearchTree(model._tree, self._metric) if has_tree else None
        is_usual = trained.dtype == np.float64 and self._metric.name != "cosine"
        self._has_heap = compiler.since(*BY_HEAP) and is_usual
        blas = CHUNKED if self._has_heap else blas_of(compiler)
        self._powers = self._metric.powers(trained.astype(np.float64), None if has_tree else blas)
        self._compiler = compiler

    def rows(self, block: Any) -> np.ndarray:
        """Return a block as rows for the other methods."""
        rows = finite(contiguous(block))
        if rows.shape[1] != self._width:
            raise FallbackRequiredError
        return rows

    def nearest(self, count: int) -> Callable[[np.ndarray], Neighbors]:
        """Return a function that finds `count` neighbors of each row, the nearest first."""
        if not 0 < count <= self._count:
            raise UnplannedError("the training has fewer rows than neighbors")
        if self._tree is not None:
            choose = self._tree.choose(count)
        elif self._has_heap:
            choose = by_order(count)
        else:
            choose = partition(self._compiler, count, self._count)

        def find(rows: np.ndarray) -> Neighbors:
            powers = self._powers(rows)
            numbers = nearest(powers, rows, count, choose)
            return numbers, self._metric.length(np.take_along_axis(powers, numbers, axis=1))

        def find_all(rows: np.ndarray) -> Neighbors:
            numbers, lengths = zip(*map(find, self._steps(rows)))
            return np.concatenate(numbers), np.concatenate(lengths)

        return find_all

    def within(self, radius: float) -> Callable[[np.ndarray], list[Neighborhood]]:
        """Return a function that finds the neighbors of each row within a radius."""
        limit = self._metric.power(radius)
        order = np.arange(self._count) if self._tree is None else self._tree.order

        def neighborhood(powers: np.ndarray) -> Neighborhood:
            chosen = np.flatnonzero(powers <= limit)
            return order[chosen], self._metric.length(powers[chosen])

        def find_all(rows: np.ndarray) -> list[Neighborhood]:
            return [
                neighborhood(powers)
                for few in self._steps(rows)
                for powers in self._powers(few)[:, order]
            ]

        return find_all

    def _steps(self, rows: np.ndarray) -> list[np.ndarray]:
        """Divide rows so that the distances of each part need little memory."""
        step = max(1, BLOCK // self._count)
        return [rows[start : start + step] for start in range(0, len(rows), step)]


def weights_of(model: Any) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return the function of distances that weighs neighbors, None if all count the same."""
    if model.weights in (None, "uniform"):
        return None
    if model.weights != "distance":
        raise UnplannedError("neighbors are weighted by a function of the author")
    return _by_distance


def _by_distance(lengths: np.ndarray) -> np.ndarray:
    """Return the inverse of distances, or 1 for neighbors at distance 0 and 0 for all others."""
    with np.errstate(divide="ignore"):
        weights = 1.0 / lengths
    infinite = np.isinf(weights)
    return np.where(infinite.any(axis=-1, keepdims=True), infinite, weights)


def nearest_classifier(model: Any, compiler: Compiler) -> Part:
    classes, labels = _classes(model)
    search, weigh = Search(model, compiler), weights_of(model)
    find = search.nearest(model.n_neighbors)

    def weighted_labels(block: Any) -> Neighbors:
        numbers, lengths = find(search.rows(block))
        weights = np.ones(numbers.shape) if weigh is None else weigh(lengths)
        return labels[numbers], weights

    def predict(block: Any) -> np.ndarray:
        chosen, weights = weighted_labels(block)
        votes = [(weights * (chosen == label)).sum(axis=1) for label in range(len(classes))]
        return np.asarray(classes.take(np.argmax(votes, axis=0)))

    def predict_proba(block: Any) -> np.ndarray:
        chosen, weights = weighted_labels(block)
        votes, rows = np.zeros((len(chosen), len(classes))), np.arange(len(chosen))
        for label, weight in zip(chosen.T, weights.T):
            votes[rows, label] += weight
        votes /= _or_one(votes.sum(axis=1))[:, np.newaxis]
        return votes

    return {"predict": predict, "predict_proba": predict_proba}


def _classes(model: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes, and the number of the class of each row of the training."""
    if model.outputs_2d_:
        raise UnplannedError("the model has several outputs")
    labels = np.asarray(model._y)
    if labels.ndim != 1 or labels.max(initial=0) >= len(model.classes_) or labels.min() < 0:
        raise UnplannedError("the labels of the training are invalid")
    return np.asarray(model.classes_), labels


def _or_one(sums: np.ndarray) -> np.ndarray:
    return np.where(sums == 0, 1.0, sums)


def nearest_regressor(model: Any, compiler: Compiler) -> Part:
    targets, search, weigh = np.asarray(model._y), Search(model, compiler), weights_of(model)
    find = search.nearest(model.n_neighbors)
    columns = targets.reshape(len(targets), -1)

    def predict(block: Any) -> np.ndarray:
        numbers, lengths = find(search.rows(block))
        if weigh is None:
            means = np.mean(columns[numbers], axis=1)
        else:
            weights = weigh(lengths)
            total = np.sum(weights, axis=1)
            sums = [np.sum(column[numbers] * weights, axis=1) for column in columns.T]
            means = np.stack([each / total for each in sums], axis=1)
        return np.asarray(means.ravel() if targets.ndim == 1 else means)

    return {"predict": predict}


def radius_classifier(model: Any, compiler: Compiler) -> Part:
    classes, labels = _classes(model)
    search, weigh = Search(model, compiler), weights_of(model)
    find, count = search.within(model.radius), len(classes)
    outlier = _outlier(model)

    def votes(block: Any) -> np.ndarray:
        rows = [
            np.bincount(labels[numbers], None if weigh is None else weigh(lengths), count)
            for numbers, lengths in find(search.rows(block))
        ]
        return np.array(rows, np.float64).reshape(len(rows), count)

    def are_outliers(shares: np.ndarray) -> np.ndarray:
        found = ~shares.any(axis=1)
        if outlier is None and found.any():
            raise FallbackRequiredError
        return np.asarray(found)

    def predict(block: Any) -> np.ndarray:
        shares = votes(block)
        shares /= _or_one(shares.sum(axis=1))[:, np.newaxis]
        chosen, found = classes.take(shares.argmax(axis=1)), are_outliers(shares)
        if found.any():
            chosen[found] = outlier
        return np.asarray(chosen)

    def predict_proba(block: Any) -> np.ndarray:
        shares = votes(block)
        found = are_outliers(shares)
        shares /= _or_one(shares.sum(axis=1))[:, np.newaxis]
        if found.any() and (classes == outlier).any():
            shares[found, np.flatnonzero(classes == outlier)[0]] = 1.0
        return shares

    return {"predict": predict, "predict_proba": predict_proba}


def _outlier(model: Any) -> Any:
    """Return the label of rows without neighbors, None if the estimator rejects them."""
    label = getattr(model, "outlier_label_", model.outlier_label)  # since 0.22
    return label[0] if isinstance(label, list) else label


def radius_regressor(model: Any, compiler: Compiler) -> Part:
    targets, search, weigh = np.asarray(model._y), Search(model, compiler), weights_of(model)
    find = search.within(model.radius)
    columns = targets.reshape(len(targets), -1)
    nothing = np.full_like(columns[0], np.nan, np.float64)

    def mean(numbers: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        if not len(numbers):
            return nothing
        if weigh is None:
            return np.asarray(np.mean(columns[numbers], axis=0))
        return np.asarray(np.average(columns[numbers], axis=0, weights=weigh(lengths)))

    def predict(block: Any) -> np.ndarray:
        found = find(search.rows(block))
        means = np.array([mean(*each) for each in found]).reshape(len(found), -1)
        return np.asarray(means.ravel() if targets.ndim == 1 else means)

    return {"predict": predict}


def nearest_centroid(model: Any, compiler: Compiler) -> Part:
    """Choose the class of the nearest centroid, of several at the same distance the first one."""
    classes, metric = np.asarray(model.classes_), Metric(model.metric, {})
    powers = metric.powers(np.asarray(model.centroids_, np.float64), blas_of(compiler))

    def predict(block: Any) -> np.ndarray:
        return np.asarray(classes[powers(finite(contiguous(block))).argmin(axis=1)])

    if not hasattr(model, "class_prior_"):  # until 1.5
        return {"predict": predict}
    part = by_logarithms(_centroid_scores(model, metric, compiler), classes)
    is_uniform = np.isclose(model.class_prior_, 1 / len(classes)).all()
    return {**part, "predict": predict} if is_uniform else part


def _centroid_scores(model: Any, metric: Metric, compiler: Compiler) -> Callable[[Any], np.ndarray]:
    """Return the scores of the classes by distances in units of deviations within the classes."""
    deviations = np.asarray(model.within_class_std_dev_, np.float64)
    scale = np.where(deviations == 0, 1.0, deviations)
    centroids, blas = np.asarray(model.centroids_, np.float64) / scale, blas_of(compiler)
    powers = [metric.powers(centroid[np.newaxis], blas) for centroid in centroids]
    priors = [2.0 * np.log(prior) for prior in model.class_prior_]

    def scores(block: Any) -> np.ndarray:
        rows = finite(contiguous(block)) / scale
        lengths = [metric.length(power(rows)).ravel() for power in powers]
        return np.column_stack([-(each**2) + prior for each, prior in zip(lengths, priors)])

    return scores


COMPILERS: Compilers = {
    "KNeighborsClassifier": RecordsOnly(nearest_classifier),
    "KNeighborsRegressor": RecordsOnly(nearest_regressor),
    "NearestCentroid": RecordsOnly(nearest_centroid),
    "RadiusNeighborsClassifier": RecordsOnly(radius_classifier),
    "RadiusNeighborsRegressor": RecordsOnly(radius_regressor),
}
