"""Models of known libraries that cannot predict rows."""

from __future__ import annotations

from fnmatch import fnmatchcase

from modelpack.types import Finding

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

_NAMES = (
    "builtins:getattr", "formulaic.", "lifelines.", "pmdarima.", "scipy.optimize", "sktime.",
    "statsmodels.", "types:SimpleNamespace",
)  # fmt: skip


def is_of_unserved(finding: Finding) -> bool:
    """Return whether a finding is about a name in models that cannot be served."""
    return (finding.global_ or "").startswith(_NAMES)


def unserved(root: EstimatorNode | None) -> str | None:
    """Return why a model of a known library can never be served, or None."""
    if root is None:
        return None
    key = root.last.cls.key
    for pattern, reason in _REASONS.items():
        if fnmatchcase(key, pattern):
            return f"{root.last.cls.dotted} {reason}"
    return None
