"""The number of features that an estimator compares rows with before compiled code reads them.

scikit-learn has compared `n_features_in_` since 0.24, and accepts rows of any width where that is
missing (sklearn/utils/validation.py, `_check_n_features`). Earlier releases compare with what else
they keep. So whether it is needed depends on the newest release that the file names.
"""

from __future__ import annotations

from collections.abc import Iterable

from packaging.version import InvalidVersion, Version

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
"""Classes whose compiled code believes the width of a row, and an attribute of a fitted one."""


def are_recorded(objects: Iterable[ObjectNode]) -> bool:
    """Return whether the releases that the file names keep `n_features_in_`, or none is named."""
    releases = {_version(node) for node in objects if class_key(node).startswith("sklearn.")} - {
        None
    }
    return not releases or max(map(_parsed, releases)) >= _SINCE


def require_recorded(node: ObjectNode) -> None:
    """Require `n_features_in_` of a fitted estimator that needs it.

    Raises:
        Broken: it is missing, or no integer.
    """
    module, _, name = class_key(node).partition(":")
    if module.partition(".")[0] != "sklearn" or name not in FITTED:
        return
    state = attributes(node)
    if state.get(FITTED[name]) is not None:
        is_integer = integer(state.get("n_features_in_")) is not None
        require(is_integer, "the number of its features (n_features_in_) is missing")


def _version(node: ObjectNode) -> str | None:
    state = node.states[0] if node.states else None
    version = dict_get(state, "_sklearn_version") if isinstance(state, DictNode) else None
    return version if isinstance(version, str) and len(version) <= _MAX_VERSION_LENGTH else None


def _parsed(version: str | None) -> Version:
    try:
        return Version(version or "")
    except InvalidVersion:
        return _SINCE  # a release that nobody published could be any
