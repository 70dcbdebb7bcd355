"""The libraries of the matrix, with an environment for every second year."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from allowlist.environments import Release

# 2016 is left out: numpy had no wheel for Python 3.7, the oldest that modelpack serves.
PYTHONS = {2018: "3.7", 2020: "3.8", 2022: "3.10", 2024: "3.12", 2026: "3.13"}
SAVING = {
    2018: "joblib lz4 cloudpickle",
    2020: "joblib lz4 cloudpickle dill",
    2022: "joblib lz4 cloudpickle dill skops",
    2024: "joblib lz4 cloudpickle dill skops",
    2026: "joblib lz4 cloudpickle dill skops",
}
"""What people save models with. dill had no wheel in 2018, and skops did not exist in 2020."""
SKLEARN = "scikit-learn pandas"
LIBRARIES = {
    "scikit-learn": SKLEARN,
    "xgboost": f"xgboost {SKLEARN}",
    "lightgbm": f"lightgbm {SKLEARN}",
    "catboost": "catboost pandas",
    "statsmodels": "statsmodels scipy patsy pandas",
    "imbalanced-learn": f"imbalanced-learn {SKLEARN}",
    "category-encoders": f"category-encoders {SKLEARN}",
    "feature-engine": f"feature-engine {SKLEARN}",
    "sklearn-pandas": f"sklearn-pandas {SKLEARN}",
    "skl2onnx": f"skl2onnx onnxruntime setuptools {SKLEARN}",
    "pygam": "pygam pandas",
    "ngboost": f"ngboost {SKLEARN}",
    "interpret": f"interpret-core {SKLEARN}",
}
"""Library -> what its environment contains. The order is that of the table."""
REPLACED = {("xgboost", 2024): "xgboost-cpu", ("xgboost", 2026): "xgboost-cpu"}
"""Distributions without the libraries of graphics cards."""
OLDER = {
    ("category-encoders", 2024): "scikit-learn<1.6",
    ("feature-engine", 2024): "scikit-learn<1.6",
    ("pygam", 2022): "numpy<1.24",
    ("ngboost", 2024): "numpy<2",
}
"""Bounds on dependencies whose last release of the year the library allows, and fails with."""
FUTURE = "future=2024-12-31"
LATER: dict[object, tuple[str, ...]] = {
    # The metadata of earlier releases is not valid for uv: `pytz (>=2011k)`.
    2018: ("pandas=2019-12-31",),
    # plotly, which catboost requires, requires it. Earlier releases have no wheel.
    ("catboost", 2020): ("retrying=2022-12-31",),
    # pygam and autograd require it. Its first wheel is of 2024.
    ("pygam", 2018): (FUTURE,),
    ("pygam", 2020): (FUTURE,),
    ("pygam", 2022): (FUTURE,),
    ("ngboost", 2020): (FUTURE, "autograd=2022-12-31"),
    ("ngboost", 2022): (FUTURE,),
}
"""Distributions of a later day than the others, for a year or for a library in a year."""


class Entry(NamedTuple):
    """A library in a year, and the environment that trains its model."""

    library: str
    year: int
    release: Release

    @property
    def name(self) -> str:
        return f"{self.library} {self.year}"


def entries(only: str | None = None) -> Iterator[Entry]:
    """Yield each library in each year, or those whose name contains a text ("xgboost 2020")."""
    for library, contents in LIBRARIES.items():
        for year, python in PYTHONS.items():
            entry = Entry(library, year, _release(library, year, python, contents))
            if only is None or only in entry.name:
                yield entry


def _release(library: str, year: int, python: str, contents: str) -> Release:
    """Return the environment of the last day of a year, as uv resolves it."""
    distribution = REPLACED.get((library, year), library)
    words = [distribution if word == library else word for word in contents.split()]
    later = (*LATER.get(year, ()), *LATER.get((library, year), ()))
    options = [f"--exclude-newer={year}-12-31"]
    options += [f"--exclude-newer-package={each}" for each in later]
    requirements = " ".join([*words, OLDER.get((library, year), ""), SAVING[year]])
    return Release(f"matrix-{library}-{year}", python, requirements, tuple(options))
