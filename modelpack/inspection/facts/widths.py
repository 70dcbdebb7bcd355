"""The number of input columns of a part, and of output columns of a transformer."""

from __future__ import annotations

from collections.abc import Callable

from ..allowlist import standing
from ..nodes import DictNode, Node, ObjectNode
from ..pickle.ndarrays import scalar, view
from .boosters import booster
from .columns import exogenous
from .estimators import EstimatorNode, as_dict, attributes
from .input_types import entries
from .statsmodels import formula

_MAX_WIDTH = 2**31
_ARRAYS = ("mean_", "scale_", "statistics_", "data_min_", "center_", "max_abs_", "variances_",
           "support_vectors_", "_fit_X", "cluster_centers_", "theta_", "feature_log_prob_",
           "components_", "coef_", "coefs_", "means_", "centroids_", "location_", "X_fit_",
           "X_train_", "scores_", "n_bins_", "lambdas_", "quantiles_", "dictionary",
           "n_values_")  # fmt: skip
_ARRAYS_BY_CLASS = {
    "FeatureAgglomeration": ("labels_",),
    "GaussianProcess": ("X",),  # its theta_ may be one number for all features
}


def features_in(part: EstimatorNode) -> int | None:
    """Return the number of features, from any attribute that a release records.

    Learned arrays of a class that modelpack does not know may have columns that it derives, such as
    a constant or splines.
    """
    if part.kind in {"Pipeline", "FeatureUnion"} or part.name.endswith("SearchCV"):
        return _width_of_entries(part)
    if (found := formula(part)) is not None:
        return len(found.inputs)
    if part.top == "statsmodels":
        array = view(exogenous(part))
        return array.shape[-1] if array and array.shape else None
    known = part.number("n_features_in_", "_n_features_in", "_n_features", "n_features_")
    if known is None and (model := booster(part)):
        known = model.width
    if known is None and part.top in _WIDTHS:
        known = _WIDTHS[part.top](part)
    if known is None and standing(part.cls.key) != "unknown":
        known = _width_from_arrays(part)
    return _width_of_entries(part) if known is None else known


def _width_of_additive(part: EstimatorNode) -> int | None:
    """Return the features of a model of pygam, whose coefficients are those of its splines."""
    count = scalar(as_dict(part.get("statistics_")).get("m_features"))
    return count if type(count) is int and count > 0 else None


def _width_of_entries(part: EstimatorNode) -> int | None:
    widths = (features_in(inner) for inner in entries(part))
    return next((width for width in widths if width is not None), None)


def _width_of_ngboost(part: EstimatorNode) -> int | None:
    """Return the width of an NGBoost model, whose trees get all columns unless it samples them."""
    rounds = part.get("base_models")
    if part.get("n_features") is not None or part.get("col_sample") != 1.0:
        return part.number("n_features")
    first = part.inner(_first(_first(rounds)))
    return features_in(first) if first else None


def _width_from_arrays(part: EstimatorNode) -> int | None:
    shape = part.get("shape_fit_")
    if isinstance(shape, tuple) and len(shape) == 2 and type(shape[1]) is int:
        return shape[1]
    for name in _ARRAYS_BY_CLASS.get(part.name, _ARRAYS):
        array = view(_first(part.get(name)))
        if array is not None and array.shape:
            return array.shape[-1] if name != "coefs_" else array.shape[0]
    return _width_of_members(part)


def _first(node: Node) -> Node:
    return node[0] if isinstance(node, list) and node else node


def _width_of_members(part: EstimatorNode) -> int | None:
    if part.name == "IsotonicRegression":
        return 1
    if isinstance(part.get("categories_"), list):
        return len(part.get("categories_"))
    tree = part.get("tree_")
    if isinstance(tree, ObjectNode) and tree.args and type(tree.args[0]) is int:
        return tree.args[0]
    grown = part.get("estimators_", "calibrated_classifiers_")
    array = view(grown)
    items = array.items if array else grown
    first = items[0] if isinstance(items, list) and items else None
    member = part.inner(first) or part.inner(attributes(first).get("base_estimator"))
    return features_in(member) if member else None


def features_out(part: EstimatorNode) -> int:
    """Return the length of a transformed row, or -1 if unknown."""
    count = _COUNTS.get(part.kind)
    if count is not None:
        known = count(part)
    elif part.name.endswith(_SAME):
        known = features_in(part)
    else:
        known = _recorded(part)
    return known if known is not None and 0 <= known < _MAX_WIDTH else -1


def keeps_columns(part: EstimatorNode) -> bool:
    """Return whether each value that a transformer returns is that of the input at its place."""
    is_imputer = part.name.endswith("Imputer") and features_out(part) == features_in(part)
    return is_imputer or (part.kind not in _COUNTS and part.name.endswith(_SAME))


def _recorded(part: EstimatorNode) -> int | None:
    known = part.number("_n_features_out", "n_features_out_", "n_output_features_", "n_components_")
    if known is not None:
        return known
    vocabulary = part.get("vocabulary_")
    if isinstance(vocabulary, DictNode):
        return len(vocabulary.keys)
    for name in ("components_", "scalings_", "dictionary"):
        array = view(part.get(name))
        if array and len(array.shape) == 2:
            return array.shape[0]
    return None


def _length(*names: str) -> Callable[[EstimatorNode], int | None]:
    def count(part: EstimatorNode) -> int | None:
        node = part.get(*names)
        array = view(node)
        if array is not None:
            return array.shape[0] if array.shape else None
        return len(node) if isinstance(node, list) else None

    return count


def _chosen(name: str) -> Callable[[EstimatorNode], int | None]:
    """Return a function that counts the selected columns in a mask."""

    def count(part: EstimatorNode) -> int | None:
        array = view(part.get(name))
        values = array.values() if array else None
        return None if values is None else sum(value is True for value in values)

    return count


def _imputed(part: EstimatorNode) -> int | None:
    """Return the width of an imputer, which drops columns without a value in training."""
    indicator = part.inner(part.get("indicator_"))
    more = (_length("features_")(indicator) if indicator else 0) or 0
    array = view(part.get("statistics_"))
    values = array.values() if array else None
    if values is None:
        kept = _chosen("_valid_mask")(part)
        return None if kept is None else kept + more
    return sum(v == v for v in values) + more if None not in values else None  # noqa: PLR0124


def _one_hot(part: EstimatorNode) -> int | None:
    widths = part.get("_n_features_outs")
    if isinstance(widths, list):
        counts = [scalar(count) for count in widths]
    elif part.get("drop", "drop_idx_") is None and isinstance(part.get("categories_"), list):
        arrays = [view(node) for node in part.get("categories_")]
        counts = [array.size if array else None for array in arrays]
    else:
        return None
    return sum(counts) if all(type(count) is int for count in counts) else None  # type: ignore[arg-type]


def _binned(part: EstimatorNode) -> int | None:
    if part.text("encode") == "ordinal":
        return features_in(part)
    array = view(part.get("n_bins_"))
    values = array.values() if array else None
    return None if values is None else sum(v for v in values if type(v) is int)


def _sampled(part: EstimatorNode) -> int | None:
    steps, width = part.number("sample_steps"), features_in(part)
    return None if steps is None or width is None else width * (2 * steps - 1)


def _side_by_side(part: EstimatorNode) -> int | None:
    widths = [features_out(inner) for inner in part.parts]
    return None if -1 in widths else sum(widths)


def _slices(part: EstimatorNode) -> int | None:
    """Return the width of a ColumnTransformer, which records a slice for each step since 1.0."""
    slices = part.get("output_indices_")
    if not isinstance(slices, DictNode):
        return None
    ends = [
        node.args[1]
        for node in slices.values
        if isinstance(node, ObjectNode) and len(node.args) == 3
    ]
    return max(ends, default=None) if all(type(end) is int for end in ends) else None


def _unchanged(part: EstimatorNode) -> int | None:
    return features_in(part) if part.get("func") is None else None


def _best(part: EstimatorNode) -> int | None:
    selected, width = part.get("k"), features_in(part)
    if selected == "all" or width is None:
        return width
    count = part.number("k")
    return None if count is None else min(count, width)


def _varying(part: EstimatorNode) -> int | None:
    variances, threshold = part.floats("variances_"), scalar(part.get("threshold"))
    if variances is None or not isinstance(threshold, int | float):
        return None
    return sum(variance > threshold for variance in variances)


def _n_components(part: EstimatorNode) -> int | None:
    return part.number("n_components")


def _embedded(part: EstimatorNode) -> int | None:
    array = view(part.get("embedding_"))
    return array.shape[-1] if array and array.shape else None


_SAME = ("Scaler", "OrdinalEncoder", "Normalizer", "Binarizer", "PowerTransformer",
         "QuantileTransformer", "TfidfTransformer")  # fmt: skip
_COUNTS: dict[str, Callable[[EstimatorNode], int | None]] = {
    "AdditiveChi2Sampler": _sampled,
    "ColumnTransformer": _slices,
    "FeatureAgglomeration": lambda part: part.number("n_clusters_", "n_clusters"),
    "FeatureUnion": _side_by_side,
    "FunctionTransformer": _unchanged,
    "HashingVectorizer": lambda part: part.number("n_features"),
    "Isomap": _embedded,
    "KBinsDiscretizer": _binned,
    "KNNImputer": _imputed,
    "KernelCenterer": _length("K_fit_rows_"),
    "KernelPCA": _length("eigenvalues_", "lambdas_"),
    "LocallyLinearEmbedding": _embedded,
    "MissingIndicator": _length("features_"),
    "OneHotEncoder": _one_hot,
    "PolynomialCountSketch": _n_components,
    "RBFSampler": _n_components,
    "RFE": _chosen("support_"),
    "RFECV": _chosen("support_"),
    "SelectKBest": _best,
    "SequentialFeatureSelector": _chosen("support_"),
    "SimpleImputer": _imputed,
    "SkewedChi2Sampler": _n_components,
    "TargetEncoder": _length("encodings_"),
    "VarianceThreshold": _varying,
}

_WIDTHS: dict[str, Callable[[EstimatorNode], int | None]] = {
    "ngboost": _width_of_ngboost,
    "pygam": _width_of_additive,
}
"""Other libraries -> the features of their models."""
