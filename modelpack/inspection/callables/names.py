"""Roles of the names that stand as values: for what a model may hold each.

Estimators call functions with the rows of requests. A type in the place of a function makes an
object of the rows: `numpy.ndarray` takes them for a shape and returns memory that was not cleared.
Each name therefore has only the roles in which models hold it.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

from ..allowlist import roles as written

Role = Literal[
    "function of rows", "reduction", "function of pairs", "dtype", "class", "constructor",
    "internal",
]  # fmt: skip

_BUILTINS = {"builtins", "__builtin__"}
_DTYPES = {
    "bool", "bool_", "bytes", "bytes_", "character", "clongdouble", "complex", "complex128",
    "complex256", "complex64", "complexfloating", "datetime64", "flexible", "float", "float128",
    "float16", "float32", "float64", "floating", "generic", "inexact", "int", "int16", "int32",
    "int64", "int8", "integer", "long", "longdouble", "longlong", "number", "object", "object_",
    "record", "signedinteger", "str", "str_", "timedelta64", "uint16", "uint32", "uint64", "uint8",
    "ulonglong", "unicode", "unicode_", "unsignedinteger", "void",
}  # fmt: skip
"""Types of numpy and Python that are names of dtypes."""

_REDUCTIONS = {
    "amax", "amin", "argmax", "argmin", "average", "max", "mean", "median", "min", "nanmax",
    "nanmean", "nanmedian", "nanmin", "nanstd", "nansum", "prod", "ptp", "std", "sum", "var",
}  # fmt: skip
"""Functions of numpy that make one value of all values, unless they get an axis."""

_CONSTRUCTORS = {
    "numpy": {"ndarray"},
    "numpy.ma": {"MaskedArray"},
    "numpy.ma.core": {"MaskedArray"},
}
_ROWS = {
    "scipy.special": None,
    "scipy.special._ufuncs": None,
    "scipy.special._special_ufuncs": None,
    "numpy.core._multiarray_umath": None,
    "numpy._core._multiarray_umath": None,
    "numpy.core.arrayprint": None,
    "numpy.core.getlimits": None,
    "numpy.dual": None,
    "numpy.fft._pocketfft": None,
    "numpy.fft.fftpack": None,
    "numpy.lib.function_base": None,
    "numpy.lib.twodim_base": None,
    "numpy.lib.type_check": None,
    "numpy.linalg.linalg": None,
    "scipy._lib.array_api_compat.numpy._aliases": {"asarray"},
    "scipy.spatial.distance": {"cdist", "pdist", "squareform"},
    "sklearn.metrics.pairwise": None,
    "sklearn.preprocessing._data": None,
    "sklearn.preprocessing._label": None,
    "sklearn.preprocessing.data": None,
    "sklearn.preprocessing.label": None,
    "sklearn.utils.extmath": {"row_norms"},
    "sklearn.utils.fixes": {"boxcox"},
    "sklearn.utils.validation": {"check_array"},
}
"""Modules whose functions take one array, or those functions."""

_PAIRS = {
    "scipy.spatial.distance", "sklearn.feature_selection._mutual_info",
    "sklearn.feature_selection._univariate_selection", "sklearn.feature_selection.mutual_info_",
    "sklearn.feature_selection.univariate_selection", "sklearn.metrics._classification",
    "sklearn.metrics._ranking", "sklearn.metrics._regression", "sklearn.metrics.classification",
    "sklearn.metrics.pairwise", "sklearn.metrics.ranking", "sklearn.metrics.regression",
    "sklearn.utils.extmath",
}  # fmt: skip
"""Modules whose functions take two arrays: rows and rows, rows and targets, or targets and
predictions. A ufunc is none: it would write what it computes of the first into the second.
"""

_UFUNC = "scipy.spatial.distance:rel_entr"  # which only this module names among its functions
_OF_CLUSTERS = "sklearn.metrics.cluster."
_RATIOS = {"negative_likelihood_ratio", "positive_likelihood_ratio"}  # next to the scorers
_INTERNAL = {
    "builtins:FutureWarning", "exceptions:FutureWarning",
    "scipy._lib.array_api_compat.numpy._aliases:asarray",
    "sklearn.cluster._kmeans:_kmeans_single_elkan", "sklearn.cluster._kmeans:_kmeans_single_lloyd",
    "sklearn.metrics._scorer:_passthrough_scorer", "sklearn.metrics.scorer:_passthrough_scorer",
    "sklearn.model_selection._search_successive_halving:_refit_callable",
    "statsmodels.base.l1_slsqp:fit_l1_slsqp", "xgboost.collective:communicator_print",
    "xgboost.rabit:tracker_print",
}  # fmt: skip
"""What libraries set themselves, each in one attribute."""


@cache
def roles_of(key: str) -> frozenset[Role]:
    """Return the roles of a "module:name" as a value; none for what no estimator holds."""
    if "ref" not in written(key):
        return frozenset()
    module, _, name = key.partition(":")
    found: set[Role] = {"internal"} if key in _INTERNAL else set()
    if _is_class(module, name):
        return frozenset({*found, _kind_of_class(module, name)})
    if (module in ("numpy", "numpy.linalg")) and name not in _DTYPES:
        found.add("reduction" if name in _REDUCTIONS | {"norm"} else "function of rows")
    if module in _ROWS and (_ROWS[module] is None or name in (_ROWS[module] or ())):
        found.add("function of rows")
    if key == _UFUNC:
        return frozenset({"function of rows"})
    if module in _PAIRS or module.startswith(_OF_CLUSTERS) or name in _RATIOS:
        found.add("function of pairs")
    return frozenset(found)


def _is_class(module: str, name: str) -> bool:
    if module in _BUILTINS or name in _CONSTRUCTORS.get(module, ()):
        return True
    return (module == "numpy" and name in _DTYPES) or name.lstrip("_")[:1].isupper()


def _kind_of_class(module: str, name: str) -> Role:
    if name in _DTYPES and module in _BUILTINS | {"numpy"}:
        return "dtype"
    return "class" if module.startswith("sklearn.model_selection.") else "constructor"
