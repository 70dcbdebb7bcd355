"""Version conflicts: renamed modules and known behaviour changes.

Each rule takes what inspection found and what was locked, and gives the conflict where loading
fails for sure. Where it only may fail later, or answer differently, a warning is enough: the smoke
test follows. tests/data/ages/truth.json holds what really came of it in fifteen environments.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from modelpack.errors import EnvironmentNotResolvedError
from modelpack.types import Environment, ModelSpec

PYTHON = "Python"


@dataclass(frozen=True)
class Conflict:
    """`library`: the distribution whose version is wrong, or Python. `message`: a sentence."""

    library: str
    message: str


def with_compatibility_warnings(spec: ModelSpec, environment: Environment) -> Environment:
    """The environment, with a warning for each class that may fail in it.

    Raises:
        EnvironmentNotResolvedError: the model cannot be loaded in it.
    """
    require_loadable(spec, environment)
    return replace(environment, warnings=(*environment.warnings, *_warnings(spec, environment)))


def require_loadable(spec: ModelSpec, environment: Environment) -> None:
    """What is not in the environment yet is not asked for.

    Raises:
        EnvironmentNotResolvedError: the model cannot be loaded with what is.
    """
    conflict = next((found for rule in RULES if (found := rule(spec, environment))), None)
    if conflict:
        raise EnvironmentNotResolvedError(
            conflict.message, hint=_way_out(conflict.library, spec, environment)
        )


def _python(spec: ModelSpec, environment: Environment) -> Conflict | None:
    try:
        allowed = SpecifierSet(spec.python or "")
    except InvalidSpecifier:
        return None
    if allowed.contains(environment.python):
        return None
    protocol = any(file.protocol == 5 for file in spec.files)
    why = "protocol 5, in which the file is written," if protocol else "what the file holds"
    message = f"Python {environment.python} cannot load the model: {why} takes Python {allowed}."
    return Conflict(PYTHON, message)


def _names(spec: ModelSpec, environment: Environment) -> Conflict | None:
    for key in spec.globals:
        library = library_from_global(key)
        version = environment.requirements.get(library or "")
        if library and version and is_missing(key, version):
            name = key.replace(":", ".")
            spans = release_ranges(key)
            message = f"{library} {version} has no {name}, which the model file names"
            return Conflict(library, f"{message}: it was there in {spans}.")
    return None


def _layouts(spec: ModelSpec, environment: Environment) -> Conflict | None:
    for layout in spec.evidence:
        library, readers, words = LAYOUTS.get(layout, ("", "", ""))
        version = environment.requirements.get(library)
        if version and not SpecifierSet(readers, prereleases=True).contains(version):
            message = f"{library} {version} cannot read {words}: that takes {library}{readers}."
            return Conflict(library, message)
    return None


LAYOUTS = {
    "tree-nodes": (
        "scikit-learn", "<1.3", "the trees in the model file, whose nodes are of before 1.3"
    ),
    "tree-nodes-1.3": (
        "scikit-learn", ">=1.3", "the trees in the model file, whose nodes are of 1.3 or later"
    ),
    "aligned-arrays": (
        "joblib", ">=1.2", "the arrays in the model file, which are aligned"
    ),
    "random-state-1.24": (
        "numpy", ">=1.24", "the random generator in the model file"
    ),
    "random-state-2": (
        "numpy", ">=2", "the random generator in the model file"
    ),
}  # fmt: skip
"""Layout (modelpack.inspection.facts.layouts) -> the library that reads it, the releases that can,
and what it is.
"""

RULES = (_python, _names, _layouts)


def _warnings(spec: ModelSpec, environment: Environment) -> list[str]:
    served = environment.requirements.get("scikit-learn", "")
    saved = spec.versions.get("scikit-learn", "")
    return [
        f"A {name} saved by scikit-learn {saved} may fail or answer differently in {served}: "
        f"{drift.what}."
        for name, drift in drifts(spec, served)
    ]


def _way_out(library: str, spec: ModelSpec, environment: Environment) -> str:
    if library == PYTHON:
        return f"Leave out --python {environment.python}."
    version = environment.requirements[library]
    recorded = spec.versions.get(library, "")
    told = f": the file records {library} {recorded}" if recorded[:1].isdigit() else ""
    if environment.origins.get(library) == "user":
        return f"Leave out --requirement {library}=={version}{told}."
    specifier = f"=={recorded}" if recorded[:1].isdigit() else recorded or "==VERSION"
    return f"Name a version that can: --requirement '{library}{specifier}'"


# Each line was seen in real environments: tests/data/ages/truth.json holds what came of it.
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


LIBRARIES = {
    "_loss": "scikit-learn",
    "numpy": "numpy",
    "pandas": "pandas",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
}
"""Top-level module -> the distribution whose releases are known."""


def library_from_global(key: str) -> str | None:
    """The distribution of a "module:name" whose releases are known."""
    return LIBRARIES.get(key.partition(":")[0].partition(".")[0])


def release_ranges(key: str) -> str:
    """The feature releases that have a name, as "0.20-0.23 1.5-1.8"; "" where that is all that are
    known, or nothing is known of it.
    """
    table = _table().get(library_from_global(key) or "", {})
    names: Mapping[str, str] = table.get("names", {})
    return names.get(key, names.get(key.partition(":")[0], ""))


def is_missing(key: str, version: str) -> bool:
    """Whether the release surely has no such name: of the feature releases that are known, neither
    the nearest at or below `version` has it, nor the nearest at or above it.
    """
    spans = [tuple(map(Version, span.split("-"))) for span in release_ranges(key).split()]
    return bool(spans) and not any(
        first <= known <= last for first, last in spans for known in _nearest(key, version)
    )


def _nearest(key: str, version: str) -> tuple[Version, ...]:
    """The known releases on both sides; beyond the newest, that one: what is gone stays so."""
    known = [Version(release) for release in _table()[library_from_global(key) or ""]["releases"]]
    try:
        feature = Version(".".join(map(str, (*Version(version).release, 0)[:2])))
    except InvalidVersion:
        return tuple(known)
    below = [release for release in known if release <= feature]
    above = [release for release in known if release >= feature]
    return (*below[-1:], *above[:1]) if below else tuple(known)


@cache
def _table() -> Mapping[str, Any]:
    text = (Path(__file__).parent / "names.json").read_text(encoding="utf-8")
    table: Mapping[str, Any] = json.loads(text)
    return table
