"""What keeps a model from being loaded with the versions chosen, told before anything is built.

Each rule takes what inspection found and what was locked, and gives the conflict where loading
fails for sure. Where it only may fail later, or answer differently, a warning is enough: the smoke
test follows. tests/data/ages/truth.json holds what really came of it in fifteen environments.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from modelpack.errors import EnvironmentNotResolvedError
from modelpack.types import Environment, ModelSpec

from . import names
from .drift import drifts

PYTHON = "Python"


@dataclass(frozen=True)
class Conflict:
    """`library`: the distribution whose version is wrong, or Python. `message`: a sentence."""

    library: str
    message: str


def judged(spec: ModelSpec, environment: Environment) -> Environment:
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
        library = names.library(key)
        version = environment.requirements.get(library or "")
        if library and version and names.is_missing(key, version):
            name = key.replace(":", ".")
            spans = names.ranges(key)
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
