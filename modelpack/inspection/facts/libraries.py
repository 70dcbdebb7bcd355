"""Libraries, versions and local modules of a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from packaging.version import InvalidVersion, Version

from ..allowlist import standing
from ..nodes import Node
from ..pickle import bytecode
from ..pickle.machine import Trace
from . import pycaret
from .boosters import booster
from .distributions import DISTRIBUTIONS, top
from .estimators import EstimatorNode, as_dict, attributes, every
from .layouts import evidence_name, implied_versions, is_aligned

REASONS = {
    "joblib": "joblib wrote the file",
    "lz4": "the file is compressed with lz4",
    "pandas": "its rows are a DataFrame",
    "pyarrow": "it contains strings that pandas stores in pyarrow",
    "polars": "its rows are a DataFrame between steps",
    "scipy": "scikit-learn before 0.20 imports it, and does not declare it",
    "setuptools": "xgboost 1.4 to 1.6 import its pkg_resources",
    "skops": "skops wrote the file",
}

_UNDECLARED = {
    "scikit-learn": (Version("0"), Version("0.20"), "scipy", "<1.3"),
    "xgboost": (Version("1.4"), Version("1.7"), "setuptools", "<81"),
}
"""Distribution -> its first release with an undeclared requirement, its first without, and that
requirement. scikit-learn before 0.20 declares none, and imports functions that scipy 1.3 removed;
setuptools contains pkg_resources before 81.
"""


def recorded_versions(
    root: EstimatorNode | None, trace: Trace, parts: Iterable[EstimatorNode]
) -> dict[str, str]:
    """Return distribution -> the recorded version, or the specifier that the layout implies.

    Versions are texts of an untrusted file: a text that is not a PEP 440 version is ignored.

    `parts` are all estimators of the file.
    """
    versions = dict(trace.versions)
    whole = _version(root.attributes.get("_sklearn_version")) if root else None
    if version := whole or max(_sklearn_versions(parts), key=Version, default=None):
        versions["scikit-learn"] = version
    for part in parts:
        if (found := booster(part)) and found.version:
            versions.setdefault(part.top, found.version)
    if "pycaret" in (recorded := recorded_environment(root)[0]):
        versions["pycaret"] = recorded["pycaret"]
    return {**implied_versions(trace), **versions}


def recorded_environment(root: EstimatorNode | None) -> tuple[dict[str, str], str | None]:
    """Return the versions of all libraries of the training, and its Python, if the file has them.

    Only PyCaret 3 records them.
    """
    return pycaret.environment(root) if root and root.top == "pycaret" else ({}, None)


def requirements(trace: Trace, versions: dict[str, str], readers: set[str]) -> dict[str, str]:
    """Return distribution -> specifier, for all that loading and predictions need.

    `readers` are the distributions that read the file and build its rows (joblib, lz4, pandas).
    """
    tops = set(map(top, trace.globals))
    needed = {DISTRIBUTIONS[name] for name in tops & DISTRIBUTIONS.keys()} - {"joblib"} | readers
    if "sklearn" in tops:
        needed.add("numpy")
    modules = {key.partition(":")[0] for key in trace.globals}
    if any(module.endswith(".sklearn") for module in modules):  # wrappers of other libraries
        needed.add("scikit-learn")
    if any(module.startswith("sklearn.externals") for module in modules):
        needed.discard("joblib")  # scikit-learn before 0.21 contains a copy
    if _has_arrow_strings(trace):
        needed.add("pyarrow")
    table = {name: specifier(versions.get(name, "")) for name in needed}
    if "joblib" in table and any(map(is_aligned, trace.objects)):
        table["joblib"] = ">=1.2"
    return dict(sorted({**table, **implied_requirements(versions)}.items()))


def implied_requirements(versions: Mapping[str, str]) -> dict[str, str]:
    """Return distribution -> specifier, for undeclared requirements of the recorded releases."""
    return {
        needed: bound
        for name, (first, end, needed, bound) in _UNDECLARED.items()
        if versions.get(name, "")[:1].isdigit() and first <= Version(versions[name]) < end
    }


def reasons(
    required: Iterable[str],
    trace: Trace,
    versions: Mapping[str, str],
    parts: Iterable[EstimatorNode],
) -> dict[str, str]:
    """Return distribution -> the reason why it is required."""
    found = {name: _reason(name, trace, versions) for name in required}
    for name, others in other_versions(versions, parts).items():
        if name in found:
            found[name] += f", and {', '.join(others)} in parts of the model"
    return found


def _reason(name: str, trace: Trace, versions: Mapping[str, str]) -> str:
    if versions.get(name, "")[:1].isdigit():
        return f"the file records {name} {versions[name]}"
    key = evidence_name(name, trace.globals)
    if key is not None and name != "joblib":
        return f"the file names {key.replace(':', '.')}"
    if name in {"numpy", "scikit-learn"}:
        return f"the model's library computes with {name}"
    return REASONS.get(name, "")


def other_versions(
    versions: Mapping[str, str], parts: Iterable[EstimatorNode]
) -> dict[str, tuple[str, ...]]:
    """Return distribution -> versions that parts of the model record and the model does not."""
    others = sorted(_sklearn_versions(parts) - {versions.get("scikit-learn", "")}, key=Version)
    return {"scikit-learn": tuple(others)} if others else {}


def _sklearn_versions(parts: Iterable[EstimatorNode]) -> set[str]:
    """Return the versions of scikit-learn that the parts record."""
    return set(filter(None, (_version(part.attributes.get("_sklearn_version")) for part in parts)))


def containers(parts: Iterable[EstimatorNode]) -> set[str]:
    """Return the containers that `set_output` selected for steps: pandas, polars."""
    configs = (part.attributes.get("_sklearn_output_config") for part in parts)
    names = {value for config in configs for value in as_dict(config).values()
            if isinstance(value, str)}  # fmt: skip
    return names & {"pandas", "polars"}


def local_modules(trace: Trace) -> tuple[str, ...]:
    """Top-level modules that no known distribution provides: the author's own, and `__main__`."""
    unknown = {key for key in trace.globals if standing(key) == "unknown"}
    return tuple(sorted(set(map(top, unknown)) - DISTRIBUTIONS.keys()))


def framework(root: EstimatorNode | None, parts: Iterable[EstimatorNode] = ()) -> str | None:
    """Return the distribution of the class of the model.

    For a class of the author, it is that of an estimator inside it, preferably one that predicts.
    `parts`: all estimators of the file.
    """
    if root is None:
        return None
    if own := DISTRIBUTIONS.get(root.top):
        return own
    inner = [part for part in (*every(root), *parts) if part.top in DISTRIBUTIONS]
    predicting = [part for part in inner if part.task in {"classifier", "regressor"}]
    return next((DISTRIBUTIONS[part.top] for part in (*predicting, *inner)), None)


def framework_version(name: str | None, versions: Mapping[str, str]) -> str | None:
    """Return the recorded version of the framework, or None if only a bound is known."""
    version = versions.get(name or "", "")
    return version if version[:1].isdigit() else None


def python_specifier(trace: Trace) -> str | None:
    """Return the Python versions that the byte code or the protocol of the file implies."""
    return bytecode.specifier(trace.pythons) or (">=3.8" if trace.protocol == 5 else None)


def _version(value: Node) -> str | None:
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        return str(Version(value))
    except InvalidVersion:
        return None


def specifier(version: str) -> str:
    """Return the specifier of a version; for a development version, that of its release series."""
    if not version or not version[0].isdigit():
        return version
    parsed = Version(version)
    if not parsed.is_devrelease:
        return f"=={parsed.public}"
    major, minor = (*parsed.release, 0)[:2]
    return f">={major}.{minor},<{major}.{minor + 1}"


def _has_arrow_strings(trace: Trace) -> bool:
    """Return whether a StringDtype stores strings in pyarrow.

    pandas 3 writes that in its arguments, older releases in its state.
    """
    dtypes = (
        o for o in trace.objects if o.cls.name == "StringDtype" and top(o.cls.key) == "pandas"
    )
    return any("pyarrow" in (*_texts(o.args), attributes(o).get("storage")) for o in dtypes)


def _texts(values: Iterable[Node]) -> list[str]:
    return [value for value in values if isinstance(value, str)]
