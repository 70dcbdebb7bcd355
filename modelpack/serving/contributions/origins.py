"""The input that each column of transformed rows comes from.

Attributes of fitted transformers are read, of any release, and none of their methods is called.
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Sequence

import numpy as np

from .steps import MAX_VALUES, Subset, UnavailableError, is_passthrough


class Column(NamedTuple):
    """A column of transformed rows.

    Attributes:
        source: The number of the input that it comes from.
        mean: The mean of this input in the training data, if the last step subtracts it.
        is_raw: Whether it has the values of the input, with the missing ones replaced at most.
    """

    source: int
    mean: float | None = None
    is_raw: bool = False


Columns = Sequence[Column]


def trace(transformers: Sequence[Any], names: Sequence[str]) -> list[Column]:
    """Return the columns that the last of `transformers` gives for inputs with these names.

    Raises:
        UnavailableError: A step combines inputs, or is not known here.
    """
    columns = [Column(index, is_raw=True) for index in range(len(names))]
    known: Sequence[str] | None = names
    for each in transformers:
        columns = _step(each, columns, known)
        known = None  # those of the transformed columns
    return columns


def _step(step: Any, columns: Columns, names: Sequence[str] | None = None) -> list[Column]:
    name = type(step).__name__
    if is_passthrough(step):
        return list(columns)
    if isinstance(step, Subset):
        return [columns[position] for position in step.positions]
    if name == "Pipeline":
        for _, each in step.steps:
            columns, names = _step(each, columns, names), None
        return list(columns)
    if name == "ColumnTransformer":
        return _column_transformer(step, columns, names)
    if name == "FeatureUnion":
        return [
            column
            for _, each in step.transformer_list
            if not is_dropped(each) and each is not None
            for column in _step(each, columns, names)
        ]
    try:
        return _KINDS[name](step, columns)
    except KeyError:
        raise UnavailableError(f"The step {name} combines inputs, or is not known.") from None


def is_dropped(step: Any) -> bool:
    return isinstance(step, str) and step == "drop"


def _column_transformer(step: Any, columns: Columns, names: Sequence[str] | None) -> list[Column]:
    fitted = getattr(step, "feature_names_in_", getattr(step, "_df_columns", None))
    if names is None and fitted is not None:
        names = [str(each) for each in fitted]
    found: list[Column] = []
    for _, each, key in step.transformers_:
        chosen = _positions(getattr(key, "data", key), len(columns), names)
        if chosen and not is_dropped(each):
            found += _step(each, [columns[index] for index in chosen], _picked(names, chosen))
    return found


def _picked(names: Sequence[str] | None, chosen: Sequence[int]) -> list[str] | None:
    return None if names is None else [names[index] for index in chosen]


def _positions(key: Any, width: int, names: Sequence[str] | None) -> list[int]:
    """Return the positions of the columns that a key of a ColumnTransformer selects."""
    if isinstance(key, slice):
        if isinstance(key.start, str) or isinstance(key.stop, str):
            raise UnavailableError("A ColumnTransformer selects a range of names.")
        return list(range(width))[key]
    if isinstance(key, (str, int, np.integer)):
        key = [key]
    keys = list(key)
    if keys and isinstance(keys[0], (bool, np.bool_)):
        return [index for index, is_chosen in enumerate(keys) if is_chosen]
    if keys and isinstance(keys[0], str):
        if names is None:
            raise UnavailableError("A ColumnTransformer selects columns of unknown names.")
        return [list(names).index(each) for each in keys]
    return [range(width)[int(each)] for each in keys]


def _each(step: Any, columns: Columns) -> list[Column]:  # noqa: ARG001 - as the other kinds
    """One column for each, with other values."""
    return [Column(each.source) for each in columns]


def _scaled(step: Any, columns: Columns) -> list[Column]:
    means = getattr(step, "mean_", None)
    if means is None or not getattr(step, "with_mean", False):
        return _each(step, columns)
    return [
        Column(each.source, float(mean) if each.is_raw else None)
        for each, mean in zip(columns, means)
    ]


def _imputed(step: Any, columns: Columns) -> list[Column]:
    statistics = np.asarray(step.statistics_, object)
    keeps = getattr(step, "keep_empty_features", False) or step.strategy == "constant"
    kept = [each for each, one in zip(columns, statistics) if keeps or one == one]  # no NaN  # noqa: PLR0124
    indicator = getattr(step, "indicator_", None)
    flags = [] if indicator is None else _flagged(indicator, columns)
    return [*kept, *flags]


def _flagged(step: Any, columns: Columns) -> list[Column]:
    return [Column(columns[int(index)].source) for index in step.features_]


def _one_hot(step: Any, columns: Columns) -> list[Column]:
    if getattr(step, "_legacy_mode", False):
        raise UnavailableError("The OneHotEncoder is of an early release.")
    counts = getattr(step, "_n_features_outs", None)
    if counts is None:
        dropped = getattr(step, "drop_idx_", None)
        gone = [False] * len(columns) if dropped is None else [each is not None for each in dropped]
        counts = [len(each) - one for each, one in zip(step.categories_, gone)]
    return _repeated(columns, counts)


def _binned(step: Any, columns: Columns) -> list[Column]:
    if step.encode == "ordinal":
        return _each(step, columns)
    return _repeated(columns, step.n_bins_)


def _repeated(columns: Columns, counts: Sequence[int]) -> list[Column]:
    return [Column(each.source) for each, count in zip(columns, counts) for _ in range(int(count))]


def _function(step: Any, columns: Columns) -> list[Column]:
    if step.func is None:
        return list(columns)
    if isinstance(step.func, np.ufunc):
        return _each(step, columns)
    raise UnavailableError("A FunctionTransformer may combine inputs.")


def _vectorized(step: Any, columns: Columns) -> list[Column]:
    width = len(step.vocabulary_) if hasattr(step, "vocabulary_") else int(step.n_features)
    if width > MAX_VALUES:
        raise UnavailableError(f"The step {type(step).__name__} gives more columns than are read.")
    return [Column(columns[0].source)] * width


def _selected(step: Any, columns: Columns) -> list[Column]:
    return [columns[int(index)] for index in kept_columns(step)]


def kept_columns(step: Any) -> np.ndarray:
    """Return the positions of the columns that a selection keeps."""
    if hasattr(step, "get_support"):
        return np.flatnonzero(step.get_support())
    from ..runtimes.plans.selection import support  # noqa: PLC0415 - many modules

    return np.flatnonzero(support(step))


VECTORIZERS = ("CountVectorizer", "HashingVectorizer", "TfidfVectorizer")
KEEPING = {"MaxAbsScaler", "Normalizer", "StandardScaler", "TfidfTransformer"}
"""Classes that give a column of a sparse matrix for each, 0 for 0."""
SELECTING = {
    "GenericUnivariateSelect", "RFE", "RFECV", "SelectFdr", "SelectFpr", "SelectFromModel",
    "SelectFwe", "SelectKBest", "SelectPercentile", "SequentialFeatureSelector",
    "VarianceThreshold",
}  # fmt: skip
"""Classes that give some of their columns."""

_KINDS: dict[str, Callable[[Any, Columns], list[Column]]] = {
    "StandardScaler": _scaled,
    "SimpleImputer": _imputed,
    "MissingIndicator": _flagged,
    "OneHotEncoder": _one_hot,
    "TfidfTransformer": _each,
    "KBinsDiscretizer": _binned,
    "FunctionTransformer": _function,
    **dict.fromkeys(
        ("Binarizer", "MaxAbsScaler", "MinMaxScaler", "OrdinalEncoder", "PowerTransformer",
         "QuantileTransformer", "RobustScaler"),
        _each,
    ),
    **dict.fromkeys(SELECTING, _selected),
    **dict.fromkeys(VECTORIZERS, _vectorized),
}  # fmt: skip
"""Name of a class whose columns come from one input each -> function of it and its columns."""
