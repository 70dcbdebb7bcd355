"""Classes whose objects load in another release and then fail or answer differently.

Each line was seen in real environments: tests/data/ages/truth.json holds what came of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from modelpack.types import ModelSpec

from .names import LIBRARIES

_BOOSTING = ("GradientBoostingClassifier", "GradientBoostingRegressor")
_HISTOGRAM = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")
_TFIDF = ("TfidfTransformer", "TfidfVectorizer")
_TREES = ("DecisionTreeClassifier", "DecisionTreeRegressor")


@dataclass(frozen=True)
class Drift:
    """`saved` and `served` are specifiers of feature releases ("<1.8"); `what` ends the sentence
    that warns of it.
    """

    classes: tuple[str, ...]
    saved: str
    served: str
    what: str


# fmt: off
DRIFTS = (
    Drift(("SimpleImputer",), "<1.1", ">=1.1", "_fit_dtype is missing"),
    Drift(("SimpleImputer",), "<1.2", ">=1.2", "keep_empty_features is missing"),
    Drift(("SimpleImputer",), "<1.8", ">=1.8", "_fill_dtype is missing"),
    Drift(("ColumnTransformer",), "<0.21", ">=0.21", "verbose is missing"),
    Drift(("ColumnTransformer",), "<0.22", ">=0.22", "_feature_names_in is missing"),
    Drift(("ColumnTransformer",), ">=1.0", "<1.0", "_feature_names_in is missing"),
    Drift(("ColumnTransformer",), "<1.2", ">=1.2", "_name_to_fitted_passthrough is missing"),
    Drift(("ColumnTransformer",), ">=1.4", "<1.4", "_name_to_fitted_passthrough is missing"),
    Drift(("OneHotEncoder",), ">=1.4", "<1.2", "sparse is missing"),
    Drift(("StandardScaler",), "<0.23", ">=0.23,<0.24", "n_features_in_ is missing"),
    Drift(("LogisticRegression",), ">=1.5", "<1.5", "probabilities of two classes change"),
    Drift(("LogisticRegression",), ">=1.8", "<1.8", "multi_class is missing"),
    Drift(("LinearRegression",), "<0.24", ">=1.6", "positive is missing"),
    Drift(_TFIDF, "<1.5", ">=1.5", "the weights of words are lost"),
    Drift(_TFIDF, ">=1.5", "<1.5", "the weights of words are lost"),
    Drift(("SVC",), "<0.22", ">=0.22", "break_ties is missing"),
    Drift(("SVC",), "<0.23", ">=0.23", "_probA is missing"),
    Drift(("SVC",), ">=0.23", "<0.23", "probA_ is missing"),
    Drift(("SVC",), ">=1.9", "<1.9", "probabilities are refused"),
    Drift(("KNeighborsClassifier",), "<0.22", ">=0.22", "n_samples_fit_ is missing"),
    Drift(("DummyClassifier",), "<0.22", ">=0.22", "_strategy is missing"),
    Drift(_TREES, "<1.4", ">=1.4", "monotonic_cst is missing"),
    Drift(_TREES, ">=1.0", "<0.24", "n_features_ is missing"),
    Drift(_BOOSTING, "<0.21", ">=0.21", "the loss has other methods"),
    Drift(_BOOSTING, "<1.1", ">=1.1", "_loss is missing"),
    Drift(_BOOSTING, ">=1.0", "<1.0", "n_features_ is missing"),
    Drift(_BOOSTING, ">=1.1", "<1.1", "loss_ is missing"),
    Drift(_BOOSTING, ">=1.4", "<1.4", "the loss has other methods"),
    Drift(_HISTOGRAM, "<0.22", ">=0.22", "the nodes of its trees have other fields"),
    Drift(_HISTOGRAM, ">=0.22", "<0.22", "the nodes of its trees have other fields"),
    Drift(_HISTOGRAM, "<0.24", ">=0.24", "_loss is missing"),
    Drift(_HISTOGRAM, ">=0.24", "<0.24", "n_features_ is missing"),
    Drift(_HISTOGRAM, "<1.3", ">=1.3", "the nodes of its trees have other fields"),
    Drift(_HISTOGRAM, ">=1.3", "<1.3", "the nodes of its trees have other fields"),
    Drift(_HISTOGRAM, "<1.4", ">=1.4", "_preprocessor is missing"),
)
# fmt: on


def drifts(spec: ModelSpec, served: str) -> Iterator[tuple[str, Drift]]:
    """Of the classes in the file, those that scikit-learn `served` is known to fail with or to
    answer differently for; none where the file records no version.
    """
    versions = _series(spec.versions.get("scikit-learn", "")), _series(served)
    if None in versions:
        return
    names = {key.rpartition(":")[2] for key in spec.globals if _is_ours(key)}
    for drift in DRIFTS:
        found = names.intersection(drift.classes)
        if found and all(map(_holds, (drift.saved, drift.served), versions)):
            yield min(found), drift


def _is_ours(key: str) -> bool:
    return LIBRARIES.get(key.partition(".")[0]) == "scikit-learn"


def _holds(specifier: str, version: Version | None) -> bool:
    return version is not None and SpecifierSet(specifier).contains(version)


def _series(version: str) -> Version | None:
    """The feature release of a version, so that 1.8.dev0 counts as 1.8; None for a specifier."""
    try:
        release = Version(version).release
    except InvalidVersion:
        return None
    return Version(".".join(map(str, (*release, 0)[:2])))
