"""Checks that an estimator records its number of features.

Compiled code reads rows without a bounds check. Since 0.24, scikit-learn compares the width of rows
with `n_features_in_`, and accepts any width if that is missing. See sklearn/utils/validation.py,
`_check_n_features`. Earlier releases compare other attributes. The newest release in the file
decides whether the attribute is required.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from packaging.version import InvalidVersion, Version

from ..allowlist import seen
from ..contracts import class_key
from ..nodes import DictNode, ObjectNode
from ..pickle.ndarrays import dict_get
from .objects import attributes, integer, require

_SINCE = Version("0.24.dev0")
_MAX_VERSION_LENGTH = 40

_NEIGHBOURS = (
    "KNeighborsClassifier", "KNeighborsRegressor", "KNeighborsTransformer", "LocalOutlierFactor",
    "NearestNeighbors", "RadiusNeighborsClassifier", "RadiusNeighborsRegressor",
    "RadiusNeighborsTransformer",
)  # fmt: skip

FITTED: dict[str, str] = {
    "Birch": "subcluster_centers_",
    "BisectingKMeans": "cluster_centers_",
    "DecisionTreeClassifier": "tree_",
    "DecisionTreeRegressor": "tree_",
    "EllipticEnvelope": "location_",
    "ExtraTreeClassifier": "tree_",
    "ExtraTreeRegressor": "tree_",
    "GradientBoostingClassifier": "estimators_",
    "GradientBoostingRegressor": "estimators_",
    "HistGradientBoostingClassifier": "_predictors",
    "HistGradientBoostingRegressor": "_predictors",
    "KMeans": "cluster_centers_",
    "MiniBatchKMeans": "cluster_centers_",
    **dict.fromkeys(_NEIGHBOURS, "_fit_X"),
}
"""Class whose compiled code relies on the width of a row -> an attribute of a fitted object."""


_REMOVED = {"sklearn.covariance.outlier_detection:EllipticEnvelope": Version("0.19")}
"""Class of a module that no release with evidence has -> the last release that has it."""


def are_recorded(objects: Iterable[ObjectNode]) -> bool:
    """Return whether the newest release in the file saves `n_features_in_`; True without one."""
    releases = {_version(node) for node in objects if class_key(node).startswith("sklearn.")} - {
        None
    }
    return not releases or max(map(_parsed, releases)) >= _SINCE


def require_recorded(node: ObjectNode) -> None:
    """Raise InvariantError if a fitted estimator needs `n_features_in_` and has no such integer."""
    module, _, name = class_key(node).partition(":")
    is_older = _last_release(class_key(node)) < _SINCE
    if module.partition(".")[0] != "sklearn" or name not in FITTED or is_older:
        return
    state = attributes(node)
    if state.get(FITTED[name]) is not None:
        is_integer = integer(state.get("n_features_in_")) is not None
        require(is_integer, "the number of its features (n_features_in_) is missing")


def _last_release(key: str) -> Version:
    """Return the last release that has a class in this module; later ones cannot import it."""
    releases = re.findall(r"\d+\.\d+", seen(key))
    return Version(releases[-1]) if releases else _REMOVED.get(key, _SINCE)


def _version(node: ObjectNode) -> str | None:
    state = node.states[0] if node.states else None
    version = dict_get(state, "_sklearn_version") if isinstance(state, DictNode) else None
    return version if isinstance(version, str) and len(version) <= _MAX_VERSION_LENGTH else None


def _parsed(version: str | None) -> Version:
    try:
        return Version(version or "")
    except InvalidVersion:
        return _SINCE  # an invalid version could be any release
