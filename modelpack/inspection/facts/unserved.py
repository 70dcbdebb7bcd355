"""Models of statsmodels that do not predict rows, whichever names their files hold."""

from __future__ import annotations

from fnmatch import fnmatchcase

from modelpack.types import Finding

from .parts import Part

CODE = "unserved-model"

_PERIODS = "predicts periods of a time series, and modelpack serves models that predict rows"
_REASONS = {
    "statsmodels.tsa.*": _PERIODS,
    "statsmodels.regression.recursive_ls*": _PERIODS,
    "statsmodels.regression.rolling*": "has coefficients for each window and predicts no rows",
    "statsmodels.duration.*": "predicts hazards together with their standard errors",
    "statsmodels.gam.*": "needs the rows of the smoothed columns apart from the others",
    "statsmodels.discrete.count_model:*": "needs the rows of the inflation apart from the others",
    "statsmodels.discrete.conditional_models:*": "predicts no rows without their group",
    "statsmodels.genmod.bayes_mixed_glm:*": "has parameters by group and predicts no rows alone",
    "statsmodels.multivariate.*": "transforms its training data and predicts no rows",
    "statsmodels.nonparametric.*": "has no method predict",
    "statsmodels.imputation.*": "has no method predict for rows",
    "statsmodels.emplike.*": "has no method predict",
}
"""Pattern of "module:name" -> what keeps the models from being served."""


_NAMES = ("builtins:getattr", "scipy.optimize", "statsmodels.", "types:SimpleNamespace")


def is_of_unserved(found: Finding) -> bool:
    """Return whether a finding is about a name that models hold which are not served."""
    return (found.global_ or "").startswith(_NAMES)


def unserved(root: Part | None) -> str | None:
    """Return why a model of a known library is never served, whatever its file contains."""
    if root is None:
        return None
    key = root.last.cls.key
    for pattern, reason in _REASONS.items():
        if fnmatchcase(key, pattern):
            return f"{root.last.cls.dotted} {reason}"
    return None
