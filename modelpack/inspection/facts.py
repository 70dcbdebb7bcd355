"""The facts of a model file that are not its signature: versions, requirements, modules."""

from __future__ import annotations

from collections.abc import Iterable

from packaging.version import InvalidVersion, Version

from .allowlist import standing
from .contracts import class_key
from .machine import Trace
from .nodes import Dct, Node, Obj
from .parts import Part
from .payloads import WRAPPERS

DISTRIBUTIONS = {
    "_loss": "scikit-learn",
    "bs4": "beautifulsoup4", "catboost": "catboost", "category_encoders": "category-encoders",
    "cv2": "opencv-python-headless", "dateutil": "python-dateutil", "econml": "econml",
    "feature_engine": "feature-engine", "flaml": "flaml", "gensim": "gensim", "hdbscan": "hdbscan",
    "hmmlearn": "hmmlearn", "imblearn": "imbalanced-learn", "interpret": "interpret",
    "joblib": "joblib", "keras": "keras", "lifelines": "lifelines", "lightgbm": "lightgbm",
    "mlxtend": "mlxtend", "mord": "mord", "ngboost": "ngboost", "nltk": "nltk", "numba": "numba",
    "numpy": "numpy", "optuna": "optuna", "pandas": "pandas", "PIL": "pillow",
    "pmdarima": "pmdarima", "polars": "polars", "prophet": "prophet", "pyarrow": "pyarrow",
    "pygam": "pygam", "scikeras": "scikeras", "scipy": "scipy",
    "sentence_transformers": "sentence-transformers", "shap": "shap", "skimage": "scikit-image",
    "sklearn": "scikit-learn", "sklearn_pandas": "sklearn-pandas", "sklego": "scikit-lego",
    "skopt": "scikit-optimize", "skorch": "skorch", "skrub": "skrub", "sksurv": "scikit-survival",
    "sktime": "sktime", "spacy": "spacy", "statsmodels": "statsmodels", "tensorflow": "tensorflow",
    "textblob": "textblob", "torch": "torch", "tpot": "tpot", "transformers": "transformers",
    "tslearn": "tslearn", "umap": "umap-learn", "xarray": "xarray", "xgboost": "xgboost",
    "yaml": "PyYAML",
}  # fmt: skip
"""Top-level module -> the distribution that provides it, where it is not the author's own."""

FRAMEWORKS = ("lightgbm", "xgboost", "catboost", "sklearn", "statsmodels", "hmmlearn", "imblearn")


def recorded_versions(root: Part | None, trace: Trace) -> dict[str, str]:
    """Distribution -> the version that the file records, or the specifier that its layout implies.

    Versions are text of an untrusted file: what is not a version by PEP 440 is dropped.
    """
    versions = dict(trace.versions)
    found = [root.attributes.get("_sklearn_version")] if root else []
    found += [_attribute(made, "_sklearn_version") for made in trace.objects]
    version = next(filter(None, map(_version, found)), None)
    if version:
        versions["scikit-learn"] = version
    modules = {name.module for name in trace.resolved}
    if any(module.startswith("numpy._core") for module in modules):
        versions["numpy"] = ">=2"
    elif any(module.startswith("numpy.core") for module in modules):
        versions["numpy"] = "<2"
    return versions


def requirements(trace: Trace, versions: dict[str, str], readers: set[str]) -> dict[str, str]:
    """Distribution -> specifier, of all that loading the model and predicting with it need.

    `readers`: what reads the file and makes its rows (joblib, lz4, pandas).
    """
    needed = {DISTRIBUTIONS[top] for top in _tops(trace.globals) if top in DISTRIBUTIONS}
    needed = needed - {"joblib"} | readers
    modules = {key.partition(":")[0] for key in trace.globals}
    if "sklearn" in _tops(modules):
        needed.add("numpy")
    if any(module.endswith(".sklearn") for module in modules):  # wrappers of other libraries
        needed.add("scikit-learn")
    if any(module.startswith("sklearn.externals") for module in modules):
        needed.discard("joblib")  # scikit-learn before 0.21 has one of its own
    table = {name: _specifier(versions.get(name, "")) for name in needed}
    if "joblib" in table and _is_aligned(trace):
        table["joblib"] = ">=1.2"
    return dict(sorted(table.items()))


def local_modules(trace: Trace) -> tuple[str, ...]:
    """Top-level modules that no known distribution provides: the author's own, and `__main__`."""
    unknown = {key for key in trace.globals if standing(key) == "unknown"}
    return tuple(sorted(_tops(unknown) - DISTRIBUTIONS.keys()))


def framework(root: Part | None) -> str | None:
    """The distribution that the model is of."""
    top = root.cls.module.partition(".")[0] if root else ""
    return DISTRIBUTIONS.get(top)


def python_specifier(protocol: int | None) -> str | None:
    return ">=3.8" if protocol == 5 else None


def _tops(keys: Iterable[str]) -> set[str]:
    return {key.partition(":")[0].partition(".")[0] for key in keys}


def _attribute(made: Obj, name: str) -> Node:
    for state in made.states:
        if isinstance(state, Dct):
            for key, value in zip(state.keys, state.values, strict=True):
                if type(key) is str and key == name:
                    return value
    return None


def _version(value: Node) -> str | None:
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        return str(Version(value))
    except InvalidVersion:
        return None


def _specifier(version: str) -> str:
    """Of a recorded version, itself; of one that was never published, the release it became."""
    if not version or not version[0].isdigit():
        return version
    parsed = Version(version)
    if not (parsed.is_devrelease or parsed.local):
        return f"=={version}"
    major, minor = (*parsed.release, 0)[:2]
    return f">={major}.{minor},<{major}.{minor + 1}"


def _is_aligned(trace: Trace) -> bool:
    """Whether an array is padded as joblib does since 1.2; older releases cannot read it."""
    wrappers = (made for made in trace.objects if class_key(made) in WRAPPERS)
    return any(_attribute(w, "numpy_array_alignment_bytes") is not None for w in wrappers)
