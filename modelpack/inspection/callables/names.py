"""Roles of functions and types, and the attributes that admit each role.

Estimators call functions with the rows of requests. A type instead of a function builds an object
from the rows: `numpy.ndarray` uses them as a shape and returns uninitialized memory. Each name
therefore has only the roles that it has in real models.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

from ..allowlist import roles as allowlist_roles

Role = Literal[
    "function of rows", "reduction", "function of pairs", "dtype", "class", "index",
    "constructor", "internal", "value",
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
"""Types of numpy and Python that name a dtype."""

_REDUCTIONS = {
    "amax", "amin", "argmax", "argmin", "average", "max", "mean", "median", "min", "nanmax",
    "nanmean", "nanmedian", "nanmin", "nanstd", "nansum", "prod", "ptp", "std", "sum", "var",
}  # fmt: skip
"""Functions of numpy that reduce all values to one, unless they get an axis."""

_VALUES = {"pandas:NA", "pandas._libs.missing:NA"}
"""Objects that pickles save by name and nothing calls. Any attribute but a position has them."""

_CONSTRUCTORS = {
    "numpy": {"ndarray"},
    "numpy.ma": {"MaskedArray"},
    "numpy.ma.core": {"MaskedArray"},
}
_ROW_FUNCTIONS = {
    "scipy.special": None,
    "scipy.special._ufuncs": None,
    "scipy.special._special_ufuncs": None,
    "scipy.special._basic": None,
    "scipy.special.basic": None,
    "scipy.stats._multivariate": None,
    "numpy.core._multiarray_umath": None,
    "numpy._core._multiarray_umath": None,
    "numpy.core.arrayprint": None,
    "numpy.core.getlimits": None,
    "numpy.dual": None,
    "numpy.fft._pocketfft": None,
    "numpy.fft.fftpack": None,
    "numpy.lib.twodim_base": None,
    "numpy.linalg.linalg": None,
    "scipy._lib.array_api_compat.numpy._aliases": {"asarray"},
    "scipy.spatial.distance": {"cdist", "pdist", "squareform"},
    "sklearn.gaussian_process.regression_models": None,
    "sklearn.metrics.pairwise": None,
    "sklearn.preprocessing._data": None,
    "sklearn.preprocessing._label": None,
    "sklearn.preprocessing.data": None,
    "sklearn.preprocessing.label": None,
    "sklearn.utils.extmath": {"row_norms"},
    "sklearn.utils.fixes": {"boxcox"},
    "sklearn.utils.validation": {"check_array"},
}
"""Module -> its functions that take one array; None for all of them."""

_PAIR_FUNCTIONS = {
    "scipy.spatial.distance", "sklearn.feature_selection._mutual_info",
    "sklearn.feature_selection._univariate_selection", "sklearn.feature_selection.mutual_info_",
    "sklearn.feature_selection.univariate_selection",
    "sklearn.gaussian_process.correlation_models", "sklearn.metrics._classification",
    "sklearn.metrics._ranking", "sklearn.metrics._regression", "sklearn.metrics.classification",
    "sklearn.metrics.pairwise", "sklearn.metrics.ranking", "sklearn.metrics.regression",
    "sklearn.utils.extmath",
}  # fmt: skip
"""Modules whose functions take two arrays: rows and rows, rows and targets, or targets and
predictions. A ufunc is not one of these: its second argument is the array that it writes to.
"""

_UFUNC = "scipy.spatial.distance:rel_entr"  # the only ufunc in these modules
_CLUSTER_METRICS = "sklearn.metrics.cluster."
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
"""Values that libraries set themselves, each in one attribute."""


_FORMER_MODULES = {
    "numpy.core.fromnumeric", "numpy.core.multiarray", "numpy.core.numeric",
    "numpy.core.shape_base", "numpy.core.umath", "numpy.lib.function_base",
    "numpy.lib.nanfunctions", "numpy.lib.type_check", "numpy.lib.ufunclike",
    "scipy.stats._discrete_distns", "scipy.stats._distn_infrastructure", "scipy.stats.kde",
    "scipy.stats.morestats",
}  # fmt: skip
"""Modules whose functions later pickles name by the module `numpy`."""


@cache
def roles_of(key: str) -> frozenset[Role]:
    """Return the roles of a "module:name" as a value; empty if no estimator contains it."""
    if "ref" not in allowlist_roles(key):
        return frozenset()
    if key in _VALUES:
        return frozenset({"value"})
    module, _, name = key.partition(":")
    if module in _FORMER_MODULES:
        return roles_of(f"numpy:{name}")
    found: set[Role] = {"internal"} if key in _INTERNAL else set()
    if _is_class(module, name):
        return frozenset({*found, _kind_of_class(module, name)})
    if (module in ("numpy", "numpy.linalg")) and name not in _DTYPES:
        found.add("reduction" if name in _REDUCTIONS | {"norm"} else "function of rows")
    if module == "scipy.special._logsumexp":
        found.add("reduction")  # without an axis, each value depends on all rows
    if module in _ROW_FUNCTIONS and (
        _ROW_FUNCTIONS[module] is None or name in (_ROW_FUNCTIONS[module] or ())
    ):
        found.add("function of rows")
    if key == _UFUNC:
        return frozenset({"function of rows"})
    if module in _PAIR_FUNCTIONS or module.startswith(_CLUSTER_METRICS) or name in _RATIOS:
        found.add("function of pairs")
    return frozenset(found)


def _is_class(module: str, name: str) -> bool:
    if module in _BUILTINS or name in _CONSTRUCTORS.get(module, ()):
        return True
    return (module == "numpy" and name in _DTYPES) or name.lstrip("_")[:1].isupper()


def _kind_of_class(module: str, name: str) -> Role:
    if name in _DTYPES and module in _BUILTINS | {"numpy"}:
        return "dtype"
    if module.partition(".")[0] == "pandas" and name.endswith("Index"):
        return "index"
    return "class" if module.startswith("sklearn.model_selection.") else "constructor"


# scripts/make_positions.py finds the parameters of estimators that take callables, in the source
# of each supported release. scripts/allowlist/reviewed_positions.json has the decision on each.
FUNCTIONS: dict[str, tuple[Role, ...]] = {
    **dict.fromkeys(
        # called with rows, targets, distances or one column
        ("fun", "func", "inverse_func", "regr", "weights"), ("function of rows", "reduction"),
    ),
    **dict.fromkeys(("pooling_func", "strategy"), ("reduction", "function of rows")),
    **dict.fromkeys(
        # called with rows and rows
        ("affinity", "corr", "effective_metric_", "kernel", "metric"), ("function of pairs",),
    ),
    **dict.fromkeys(
        # called in training and scoring
        ("_objective", "_score_func", "eval_metric", "loss", "loss_function", "objective",
         "oob_score", "score_func", "scoring"), ("function of pairs",),
    ),
    **dict.fromkeys(
        # set by the libraries themselves
        ("_asarray", "_deprecations", "_kmeans_single", "_logger", "mle_settings", "refit",
         "scorer_"),
        ("internal",),
    ),
    "cv": ("class",),
    "index_class": ("index",),  # cached by the dtypes of pandas 2
    "subclass": ("constructor",),
}  # fmt: skip
"""Attribute -> the roles of the names in it."""

TEXT = {"analyzer", "preprocessor", "strip_accents", "tokenizer"}
"""Parameters that are called with one text; known names in them are methods of `str` only."""

SEARCHED = {"best_params_", "cv_results_", "param_distributions", "param_grid"}
"""Attributes of searches with values of parameters, read in training only."""

METHODS = {"method", "pyfunc"}
"""Attributes of parts of scipy's distributions that contain methods of distributions."""

KEYWORDS = {
    "effective_metric_params_", "inv_kw_args", "kernel_params", "kw_args", "metric_kwds",
    "metric_params",
}  # fmt: skip
"""Attributes with keyword arguments of such functions."""

CALLED = {name for name, roles in FUNCTIONS.items() if "function" in roles[0] + roles[-1]}
"""Attributes whose functions are called with rows."""


def admitted(name: str) -> tuple[Role, ...] | None:
    """Return the roles that a position admits, or None if the position is unknown."""
    if "dtype" in name:
        return ("dtype",)
    return FUNCTIONS.get(name) or (() if name in TEXT else None)
