"""Which distribution provides a module, and what a file tells of its version."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..machine import Trace
from .layouts import splits_missing

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

# In a row of the same distribution, the first that a name of the file fits is right.
_IMPLIED = [
    (name, re.compile(pattern), specifier)
    for name, pattern, specifier in (
        ("numpy", r"numpy\._core[.:]", ">=2"),
        ("numpy", r"numpy\.core[.:]", "<2"),
        ("pandas", r"pandas(\.arrays)?:[A-Z]", ">=3"),  # which says where its classes are public
        ("pandas", r"pandas\._libs\.internals:_unpickle_block", ">=1.3"),
        ("scipy", r"scipy\.sparse\._", ">=1.8"),
        ("scikit-learn", r"sklearn\.externals\.joblib", "<0.23"),
    )
]


def top(key: str) -> str:
    """The top-level module of a module or "module:name"."""
    return key.partition(":")[0].partition(".")[0]


def implied_versions(trace: Trace) -> dict[str, str]:
    """Distribution -> the specifier that the names in the file imply."""
    found: dict[str, str] = {}
    for name, pattern, specifier in _IMPLIED:
        if name not in found and any(map(pattern.match, trace.globals)):
            found[name] = specifier
    if any(map(splits_missing, trace.objects)):
        found["scikit-learn"] = ">=1.3"
    return found


def naming(distribution: str, keys: Iterable[str]) -> str | None:
    """The name "module:name" that tells that the distribution is needed: the first of those that
    imply something of its version, else the first that it provides.
    """
    patterns = [pattern for name, pattern, _ in _IMPLIED if name == distribution]
    provided = [key for key in keys if DISTRIBUTIONS.get(top(key)) == distribution]
    telling = (key for pattern in patterns for key in provided if pattern.match(key))
    return next(telling, provided[0] if provided else None)
