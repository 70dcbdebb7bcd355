"""Attributes of known classes that may hold functions or types, and in which roles.

scripts/make_positions.py finds the parameters of estimators that take callables, in the source of
each supported release. scripts/allowlist/reviewed_positions.json holds the decision on each.
"""

from __future__ import annotations

from .names import Role

FUNCTIONS: dict[str, tuple[Role, ...]] = {
    **dict.fromkeys(
        # called with rows, targets, distances or one column
        ("fun", "func", "inverse_func", "weights"), ("function of rows", "reduction"),
    ),
    **dict.fromkeys(("pooling_func", "strategy"), ("reduction", "function of rows")),
    **dict.fromkeys(
        # called with rows and rows
        ("affinity", "effective_metric_", "kernel", "metric"), ("function of pairs",),
    ),
    **dict.fromkeys(
        # called in training and scoring
        ("_objective", "_score_func", "eval_metric", "loss", "loss_function", "objective",
         "oob_score", "score_func", "scoring"), ("function of pairs",),
    ),
    **dict.fromkeys(
        # what libraries set themselves
        ("_asarray", "_deprecations", "_kmeans_single", "_logger", "mle_settings", "refit",
         "scorer_"),
        ("internal",),
    ),
    "cv": ("class",),
    "subclass": ("constructor",),
}  # fmt: skip
"""Attribute -> the roles of the names in it."""

TEXT = {"analyzer", "preprocessor", "strip_accents", "tokenizer"}
"""Parameters that are called with one text: of what is known, they hold methods of `str` only."""

SEARCHED = {"best_params_", "cv_results_", "param_distributions", "param_grid"}
"""Attributes of searches with values of parameters, which are read in training only."""

METHODS = {"method", "pyfunc"}
"""Attributes in which parts of scipy's distributions hold methods of distributions."""

KEYWORDS = {
    "effective_metric_params_", "inv_kw_args", "kernel_params", "kw_args", "metric_kwds",
    "metric_params",
}  # fmt: skip
"""Attributes with keyword arguments of such functions."""

CALLED = {name for name, roles in FUNCTIONS.items() if "function" in roles[0] + roles[-1]}
"""Attributes whose functions are called with rows."""


def admitted(name: str) -> tuple[Role, ...] | None:
    """Return the roles that a position admits; None of one that is not known."""
    if "dtype" in name:
        return ("dtype",)
    return FUNCTIONS.get(name) or (() if name in TEXT else None)
