"""Checks of estimators that return uninitialized memory if their attributes disagree.

The prediction methods of these classes allocate the result by one attribute and fill it by others.
In a changed model, the rest of the result would contain earlier data of the process.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..nodes import Node, ObjectNode
from ..pickle.ndarrays import scalar
from . import scan
from .objects import InvariantError, StoredArray, attributes, integer, require, stored_array
from .scan import Rule, Scan, scan_values

_MAX_COLUMNS = 2**63
"""The number of columns that scikit-learn refuses to fit."""


def polynomial(node: ObjectNode) -> Iterator[Scan]:
    """`PolynomialFeatures` counts its columns when it is fitted.

    See `_num_combinations` in sklearn/preprocessing/_polynomial.py. Up to scikit-learn 0.24, the
    degree is always a number, and only `n_output_features_` is saved.
    """
    state = attributes(node)
    if "n_output_features_" not in state and "_n_out_full" not in state:
        return  # not fitted
    least, most = _degrees(state.get("degree"))
    for name, value in (("_min_degree", least), ("_max_degree", most)):
        require(integer(state.get(name, value)) == value, "its degree and the saved degrees differ")
    widths = [state[name] for name in ("n_features_in_", "n_input_features_") if name in state]
    width = integer(widths[0]) if widths else None
    same = all(integer(other) == width for other in widths)
    if width is None or width < 1 or not same:
        raise InvariantError("it does not have one number of features")
    require("_n_out_full" not in state or "n_features_in_" in state, "it has no number of features")
    is_product = _flag(state.get("interaction_only"))
    bias = _flag(state.get("include_bias"))
    full = _count(width, most, is_product) + bias
    below = _count(width, least - 1, is_product) if least > 1 else 0
    counts = {"n_output_features_": full - below, "_n_out_full": full}
    for name, count in counts.items():
        stored_count = integer(state.get(name, count))
        require(
            stored_count == count < _MAX_COLUMNS,
            f"{name} is not the number of columns that it fills",
        )
    yield from ()


def _degrees(node: Node) -> tuple[int, int]:
    pair = node if isinstance(node, list | tuple) else (0, node)
    found = [integer(part) for part in pair]
    if len(found) != 2 or None in found:
        raise InvariantError("its degree is not one number or two")
    least, most = (n for n in found if n is not None)
    require(0 <= least <= most, "its degree is not one number or two")
    return least, most


def _flag(node: Node) -> bool:
    value = scalar(node)
    require(
        type(value) is bool or (type(value) is int and value in (0, 1)),
        "interaction_only or include_bias is not a boolean",
    )
    return bool(value)


def _count(width: int, degree: int, is_product: bool) -> int:
    """Return the number of terms of degree 1 to `degree`; over `_MAX_COLUMNS` if too many."""
    total, terms = 0, 1
    # Without repetitions there are C(width, i) terms of degree i, otherwise C(width + i - 1, i).
    # The terms of all degrees together are C(width + degree, degree), which is symmetric.
    if not is_product:
        small, large = sorted((width, degree))
        for i in range(1, small + 1):
            terms = terms * (large + i) // i
            if terms > _MAX_COLUMNS:
                break
        return terms - 1
    for i in range(1, min(width, degree) + 1):
        terms = terms * (width - i + 1) // i
        total += terms
        if total > _MAX_COLUMNS:
            break
    return total


def chain(node: ObjectNode) -> Iterator[Scan]:
    """`ClassifierChain` and `RegressorChain` invert `order_` into an uninitialized array.

    All of it is written only if `order_` contains each column once.
    """
    order = attributes(node).get("order_")
    if isinstance(order, list | tuple):
        columns = [integer(column) for column in order]
        require(
            set(columns) == set(range(len(columns))),
            "order_ of a chain does not contain each column once",
        )
    elif order is not None:
        found = stored_array(order, "the order of a chain")
        found.expect(scan.INDEX, None)
        yield scan_values(found, _permutation(found))


def _permutation(numbers: StoredArray) -> Rule:
    """Require that each column occurs once."""
    seen = bytearray(numbers.size)
    while piece := (yield):
        for column in scan.values(piece, numbers):
            require(
                0 <= column < len(seen) and not seen[column],
                "order_ of a chain does not contain each column once",
            )
            seen[column] = 1


def mixture(node: ObjectNode) -> Iterator[Scan]:
    """`GaussianMixture` and its variant allocate a column for each mean, and fill one a matrix.

    See `_estimate_log_gaussian_prob`, up to scikit-learn 1.5.
    """
    state = attributes(node)
    means, matrices = state.get("means_"), state.get("precisions_cholesky_")
    if means is not None and matrices is not None:
        found = stored_array(matrices, "the matrices of a mixture")
        centres = stored_array(means, "the means of a mixture")
        fits = len(found.shape) != 3 or found.shape[:1] == centres.shape[:1]
        require(fits, "a mixture does not have one matrix for each mean")
    yield from ()
