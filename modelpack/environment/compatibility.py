"""Version conflicts: renamed modules and known behaviour changes.

A rule compares the model with the locked versions, and returns a conflict if loading certainly
fails. If the model may fail later or predict differently, a warning is enough, because the smoke
test follows. tests/data/ages/truth.json contains the results in fifteen real environments.
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
    """Add a warning for each class that may fail in the environment.

    Raises:
        EnvironmentNotResolvedError: The model cannot be loaded in it.
    """
    require_loadable(spec, environment)
    return replace(environment, warnings=(*environment.warnings, *_warnings(spec, environment)))


def require_loadable(spec: ModelSpec, environment: Environment) -> None:
    """Check the versions in an environment, which may be incomplete.

    Raises:
        EnvironmentNotResolvedError: The model cannot be loaded with them.
    """
    conflict = next(filter(None, (rule(spec, environment) for rule in RULES)), None)
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
    why = "protocol 5 of the file" if protocol else "the content of the file"
    message = f"Python {environment.python} cannot load the model: {why} needs Python {allowed}."
    return Conflict(PYTHON, message)


def _names(spec: ModelSpec, environment: Environment) -> Conflict | None:
    for key in spec.globals:
        library = library_from_global(key)
        version = environment.requirements.get(library or "")
        if library and version and is_missing(key, version):
            name = key.replace(":", ".")
            spans = release_ranges(key)
            message = f"{library} {version} has no {name}, which the model file needs"
            return Conflict(library, f"{message}: it exists in {spans}.")
    return None


def _layouts(spec: ModelSpec, environment: Environment) -> Conflict | None:
    for layout in spec.evidence:
        library, readers, words = LAYOUTS.get(layout, ("", "", ""))
        version = environment.requirements.get(library)
        if version and not SpecifierSet(readers, prereleases=True).contains(version):
            message = f"{library} {version} cannot read {words}: this needs {library}{readers}."
            return Conflict(library, message)
    return None


LAYOUTS = {
    "tree-nodes": (
        "scikit-learn", "<1.3", "the trees in the model file, whose nodes are older than 1.3"
    ),
    "tree-nodes-1.3": (
        "scikit-learn", ">=1.3", "the trees in the model file, whose nodes are from 1.3 or later"
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
"""Layout (inspection.facts.layouts) -> the library that reads it, its releases, a description."""

RULES = (_python, _names, _layouts)


def _warnings(spec: ModelSpec, environment: Environment) -> list[str]:
    served = environment.requirements.get("scikit-learn", "")
    saved = spec.versions.get("scikit-learn", "")
    return [
        f"A {name} saved by scikit-learn {saved} may fail or predict differently in {served}: "
        f"{drift.what}."
        for name, drift in drifts(spec, served)
    ]


def _way_out(library: str, spec: ModelSpec, environment: Environment) -> str:
    if library == PYTHON:
        return f"Leave out --python {environment.python}."
    version = environment.requirements[library]
    recorded = spec.versions.get(library, "")
    reason = f": the file records {library} {recorded}" if recorded[:1].isdigit() else ""
    if environment.origins.get(library) == "user":
        return f"Leave out --requirement {library}=={version}{reason}."
    specifier = f"=={recorded}" if recorded[:1].isdigit() else recorded or "==VERSION"
    return f"Name a version that can: --requirement '{library}{specifier}'"


# Each line was observed in real environments: see tests/data/ages/truth.json.
_BOOSTING = ("GradientBoostingClassifier", "GradientBoostingRegressor")
_HISTOGRAM = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")
_TFIDF = ("TfidfTransformer", "TfidfVectorizer")
_TREES = ("DecisionTreeClassifier", "DecisionTreeRegressor")


@dataclass(frozen=True)
class Drift:
    """A change between releases of scikit-learn that affects saved models.

    Attributes:
        saved: Specifier of the feature releases that saved the model, "<1.8".
        served: Specifier of those that serve it.
        what: End of the warning.
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
    """Yield the classes in the file that may fail or predict differently in scikit-learn `served`.

    There are none if the file records no version.
    """
    versions = _series(spec.versions.get("scikit-learn", "")), _series(served)
    if None in versions:
        return
    names = {key.rpartition(":")[2] for key in spec.globals if _is_ours(key)}
    for drift in DRIFTS:
        affected = names.intersection(drift.classes)
        if affected and all(map(_contains, (drift.saved, drift.served), versions)):
            yield min(affected), drift


def _is_ours(key: str) -> bool:
    return LIBRARIES.get(key.partition(".")[0]) == "scikit-learn"


def _contains(specifier: str, version: Version | None) -> bool:
    return version is not None and SpecifierSet(specifier).contains(version)


def _series(version: str) -> Version | None:
    """Return the feature release of a version; 1.8.dev0 counts as 1.8. None for a specifier."""
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
    """Return the distribution of a "module:name" if its releases are known."""
    return LIBRARIES.get(key.partition(":")[0].partition(".")[0])


def release_ranges(key: str) -> str:
    """Return the feature releases that have a name, "0.20-0.23 1.5-1.8".

    "" if all known releases have it, or if the name is unknown.
    """
    table = _table().get(library_from_global(key) or "", {})
    names: Mapping[str, str] = table.get("names", {})
    return names.get(key, names.get(key.partition(":")[0], ""))


def is_missing(key: str, version: str) -> bool:
    """Return whether a release certainly does not have a name.

    Neither of the nearest known feature releases, at or below and at or above `version`, has it.
    """
    spans = [tuple(map(Version, span.split("-"))) for span in release_ranges(key).split()]
    return bool(spans) and not any(
        first <= known <= last for first, last in spans for known in _nearest(key, version)
    )


def _nearest(key: str, version: str) -> tuple[Version, ...]:
    """Return the nearest known releases on both sides. Beyond the newest, it is the newest."""
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
