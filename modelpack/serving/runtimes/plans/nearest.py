"""The nearest rows of a training. Of several at the same distance, those that scikit-learn finds.

Distances are computed to all rows of the training. If the last neighbor is as far away as a row
that is left out, the choice depends on the algorithm, which is then followed step by step for this
row: a heap that gets the rows of the training in order or in the order of a tree, or a partition.
"""

from __future__ import annotations

import math
from typing import Any, Callable, List

import numpy as np

from .distances import Metric

STEP = 1024
"""Distances that are compared at once with the largest in a heap, which only becomes smaller."""

Choose = Callable[[np.ndarray, np.ndarray], List[int]]
"""Function from a row and its distances to the numbers of its nearest rows of the training."""


def nearest(distances: np.ndarray, rows: np.ndarray, count: int, choose: Choose) -> np.ndarray:
    """Return the numbers of the `count` nearest rows of the training, (n_rows, count), by distance.

    Args:
        distances: (n_rows, n_others), or powers of them.
        rows: The rows, for `choose`.
        count: The number of neighbors.
        choose: The algorithm for rows whose last neighbor is as far away as another row.
    """
    chosen = np.argpartition(distances, count - 1, axis=1)[:, :count]
    last = np.take_along_axis(distances, chosen, axis=1).max(axis=1, keepdims=True)
    for index in np.flatnonzero((distances <= last).sum(axis=1) > count):
        chosen[index] = choose(rows[index], distances[index])
    chosen.sort(axis=1)
    order = np.take_along_axis(distances, chosen, axis=1).argsort(axis=1, kind="stable")
    return np.take_along_axis(chosen, order, axis=1)


class Heap:
    """The smallest numbers that were pushed, of which the largest is at the root."""

    def __init__(self, count: int) -> None:
        self.values = [math.inf] * count
        self.numbers = [0] * count

    def push(self, value: float, number: int) -> None:
        """Replace the largest value if it is larger than `value`, as `heap_push`."""
        values, numbers, size = self.values, self.numbers, len(self.values)
        if value >= values[0]:
            return
        position = 0
        while True:
            child = 2 * position + 1
            if child >= size:
                break
            if child + 1 < size and values[child] < values[child + 1]:
                child += 1
            if values[child] <= value:
                break
            values[position], numbers[position] = values[child], numbers[child]
            position = child
        values[position], numbers[position] = value, number


def by_order(count: int) -> Choose:
    """Return the choice of a heap that gets all rows of the training in order."""

    def choose(_: np.ndarray, distances: np.ndarray) -> list[int]:
        heap = Heap(count)
        for start in range(0, len(distances), STEP):
            part = distances[start : start + STEP]
            numbers = np.flatnonzero(part < heap.values[0])
            for number, value in zip((numbers + start).tolist(), part[numbers].tolist()):
                heap.push(value, number)
        return heap.numbers

    return choose


class SearchTree:
    """A tree of the training, which is searched for the nearest rows as by scikit-learn.

    Args:
        tree: A record of a KDTree or BallTree.
        metric: Its metric.

    Attributes:
        order: The numbers of the rows of the training in the order of the tree.
    """

    def __init__(self, tree: Any, metric: Metric) -> None:
        self.order = np.asarray(tree.idx_array)
        if not np.array_equal(np.sort(self.order), np.arange(len(tree.data))):
            raise ValueError("the tree does not order the rows of the training")
        nodes, self._bounds = np.asarray(tree.node_data), np.asarray(tree.node_bounds)
        self._starts, self._ends = nodes["idx_start"].tolist(), nodes["idx_end"].tolist()
        self._is_leaf, self._radius = nodes["is_leaf"].tolist(), nodes["radius"]
        self._metric, self._from_centres = metric, metric.powers(self._bounds[0])

    def choose(self, count: int) -> Choose:
        def choose(row: np.ndarray, distances: np.ndarray) -> list[int]:
            heap, least = Heap(count), self._least(row)
            waiting = [0]
            while waiting:
                node = waiting.pop()
                if least(node) > heap.values[0]:
                    continue
                if self._is_leaf[node]:
                    numbers = self.order[self._starts[node] : self._ends[node]]
                    for number, value in zip(numbers.tolist(), distances[numbers].tolist()):
                        heap.push(value, number)
                    continue
                one, other = 2 * node + 1, 2 * node + 2
                waiting += [other, one] if least(one) <= least(other) else [one, other]
            return heap.numbers

        return choose

    def _least(self, row: np.ndarray) -> Callable[[int], float]:
        """Return the least distance of a row from the rows of a node."""
        return self._from_box(row) if len(self._bounds) == 2 else self._from_ball(row)

    def _from_box(self, row: np.ndarray) -> Callable[[int], float]:
        low, high = self._bounds - row
        gaps = 0.5 * ((low + np.abs(low)) + (-high + np.abs(high)))

        exponent = self._metric.exponent
        if exponent == math.inf:
            powers = gaps.max(axis=1)
        else:
            powers = np.add.accumulate(gaps**exponent, axis=1)[:, -1]
        return lambda node: float(powers[node])

    def _from_ball(self, row: np.ndarray) -> Callable[[int], float]:
        lengths = self._metric.length(self._from_centres(row[np.newaxis])[0])
        powers = self._metric.power(np.maximum(0, lengths - self._radius))
        return lambda node: float(powers[node])


def by_numpy(count: int) -> Choose:
    """Return the choice of the installed numpy, which depends on the processor."""

    def choose(_: np.ndarray, distances: np.ndarray) -> list[int]:
        chosen: list[int] = np.argpartition(distances, count - 1)[:count].tolist()
        return chosen

    return choose


def by_partition(count: int) -> Choose:
    """Return the choice of `numpy.argpartition`, where numpy does not use AVX-512."""

    def choose(_: np.ndarray, distances: np.ndarray) -> list[int]:
        values = distances.tolist()
        return introselect(values, count - 1)[:count]

    return choose


def introselect(values: list[float], rank: int) -> list[int]:
    """Return an order of `values` in which the first `rank` + 1 numbers are the smallest ones."""
    order = list(range(len(values)))
    low, high = 0, len(values) - 1
    if rank < 3:
        _select_small(values, order, rank + 1)
        return order
    if rank == high:
        return order
    depth = 2 * (len(values).bit_length() - 1)
    while low + 1 < high:
        left, right = low + 1, high
        if depth > 0 or right - left < 5:
            _median_to_low(values, order, low, low + (high - low) // 2, high)
        else:
            raise ArithmeticError("the partition makes no progress")
        depth -= 1
        left, right = _partitioned(values, order, values[order[low]], left, right)
        order[low], order[right] = order[right], order[low]
        if right >= rank:
            high = right - 1
        if right <= rank:
            low = left
    if high == low + 1 and values[order[high]] < values[order[low]]:
        order[high], order[low] = order[low], order[high]
    return order


def _select_small(values: list[float], order: list[int], count: int) -> None:
    for position in range(count):
        least = min(range(position, len(order)), key=lambda each: values[order[each]])
        order[position], order[least] = order[least], order[position]


def _median_to_low(values: list[float], order: list[int], low: int, mid: int, high: int) -> None:
    for one, other in ((high, mid), (high, low), (low, mid)):
        if values[order[one]] < values[order[other]]:
            order[one], order[other] = order[other], order[one]
    order[mid], order[low + 1] = order[low + 1], order[mid]


def _partitioned(
    values: list[float], order: list[int], pivot: float, left: int, right: int
) -> tuple[int, int]:
    while True:
        left += 1
        while values[order[left]] < pivot:
            left += 1
        right -= 1
        while pivot < values[order[right]]:
            right -= 1
        if right < left:
            return left, right
        order[left], order[right] = order[right], order[left]
