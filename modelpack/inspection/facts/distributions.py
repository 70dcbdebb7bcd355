"""The distribution that provides a module."""

from __future__ import annotations

DISTRIBUTIONS = {
    "_loss": "scikit-learn",
    "bs4": "beautifulsoup4", "catboost": "catboost", "category_encoders": "category-encoders",
    "cmdstanpy": "cmdstanpy", "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil", "dill": "dill", "econml": "econml",
    "feature_engine": "feature-engine", "flaml": "flaml", "gensim": "gensim", "hdbscan": "hdbscan",
    "hmmlearn": "hmmlearn", "imblearn": "imbalanced-learn", "interpret": "interpret-core",
    "joblib": "joblib", "keras": "keras", "lifelines": "lifelines", "lightgbm": "lightgbm",
    "mlxtend": "mlxtend", "mord": "mord", "ngboost": "ngboost", "nltk": "nltk", "numba": "numba",
    "numpy": "numpy", "optuna": "optuna", "pandas": "pandas", "PIL": "pillow",
    "pmdarima": "pmdarima", "polars": "polars", "prophet": "prophet", "pyarrow": "pyarrow",
    "pycaret": "pycaret", "pycrfsuite": "python-crfsuite",
    "pygam": "pygam", "scikeras": "scikeras", "scipy": "scipy",
    "sentence_transformers": "sentence-transformers", "shap": "shap", "skimage": "scikit-image",
    "sklearn": "scikit-learn", "sklearn_crfsuite": "sklearn-crfsuite",
    "sklearn_pandas": "sklearn-pandas", "sklego": "scikit-lego",
    "skopt": "scikit-optimize", "skorch": "skorch", "skrub": "skrub", "sksurv": "scikit-survival",
    "sktime": "sktime", "spacy": "spacy", "stanio": "stanio", "statsmodels": "statsmodels",
    "tensorflow": "tensorflow",
    "textblob": "textblob", "torch": "torch", "tpot": "tpot", "transformers": "transformers",
    "tslearn": "tslearn", "umap": "umap-learn", "xarray": "xarray", "xgboost": "xgboost",
    "yaml": "PyYAML",
}  # fmt: skip
"""Top-level module -> the distribution that provides it."""


def top(key: str) -> str:
    """Return the top-level module of a module or "module:name"."""
    return key.partition(":")[0].partition(".")[0]
