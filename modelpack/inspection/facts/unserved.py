"""Models of known libraries that cannot predict rows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from modelpack.types import Finding

from ..allowlist import standing
from ..nodes import ObjectNode
from .estimators import EstimatorNode

CODE = "unserved-model"

_PERIODS = "predicts periods of a time series, and modelpack serves models that predict rows"
_REASONS = {
    "lifelines.*": "predicts hazards, medians and survival by methods of its own",
    "pmdarima.*": _PERIODS,
    "sktime.forecasting.*": _PERIODS,
    "statsmodels.tsa.*": _PERIODS,
    "statsmodels.regression.recursive_ls*": _PERIODS,
    "statsmodels.regression.rolling*": "has coefficients for each window and predicts no rows",
    "statsmodels.duration.*": "predicts hazards together with their standard errors",
    "statsmodels.gam.*": "needs the smoothed columns separately",
    "statsmodels.discrete.count_model:*": "needs the columns of the inflation separately",
    "statsmodels.discrete.conditional_models:*": "predicts no rows without their group",
    "statsmodels.genmod.bayes_mixed_glm:*": "has parameters by group and predicts no rows alone",
    "statsmodels.multivariate.*": "transforms its training data and predicts no rows",
    "statsmodels.nonparametric.*": "has no method predict",
    "statsmodels.imputation.*": "has no method predict for rows",
    "statsmodels.emplike.*": "has no method predict",
}
"""Pattern of "module:name" -> the reason why the models cannot be served."""

_LIBRARIES = (
    "formulaic.", "lifelines.", "pmdarima.", "pycrfsuite.", "scipy.optimize", "sklearn_crfsuite.",
    "sktime.", "statsmodels.",
)  # fmt: skip
_NAMES = (*_LIBRARIES, "builtins:getattr", "functools:partial", "types:SimpleNamespace")
_CLASS = re.compile(r"(__pyx_unpickle_|_*[cdsz]?[A-Z])")
"""Start of the names of classes, those of Cython (`dStatespace`) and what restores them included.
"""


def are_of_unserved(findings: Iterable[Finding], objects: Iterable[ObjectNode]) -> bool:
    """Return whether all findings are about what such models contain: objects, never calls.

    The libraries have functions that load files or evaluate text. No object of these models is
    restored by a call of one.
    """
    if not all((finding.global_ or "").startswith(_NAMES) for finding in findings):
        return False
    return not any(map(_is_strange, objects))


def _is_strange(node: ObjectNode) -> bool:
    key = node.cls.key
    if key == "builtins:getattr":
        return is_altered_lookup(node)
    if key == "functools:partial":
        return bool(node.args) and not _wraps_known(node.args[0])
    if node.how != "call" or not key.startswith(_LIBRARIES) or standing(key) == "known":
        return False
    return _CLASS.match(node.cls.name.rpartition(".")[2]) is None


def is_altered_lookup(node: ObjectNode) -> bool:
    """Return whether something changes what a call of `getattr` returns."""
    is_lookup = node.cls.key == "builtins:getattr"
    return is_lookup and bool(node.states or node.appends or node.pairs)


def _wraps_known(function: object) -> bool:
    """Return whether a partial wraps a name, which is judged itself, or a method of a model."""
    if not isinstance(function, ObjectNode):
        return True
    owner = function.args[0] if function.cls.key == "builtins:getattr" and function.args else None
    return isinstance(owner, ObjectNode) and owner.cls.key.startswith(_LIBRARIES)


def unserved(root: EstimatorNode | None) -> str | None:
    """Return why a model of a known library can never be served, or None."""
    if root is None:
        return None
    key = root.last.cls.key
    for pattern, reason in _REASONS.items():
        if fnmatchcase(key, pattern):
            return f"{root.last.cls.dotted} {reason}"
    return None
