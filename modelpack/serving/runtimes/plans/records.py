"""Records: the class and the fitted attributes of an estimator, without its library.

A record has the attributes of the estimator, under the names of scikit-learn, so the compilers of
plans read both. It has no method of the estimator.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Mapping

from .parameters import PARAMETERS


class Record:
    """An object of a class of scikit-learn, with some of its attributes."""

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        self.__dict__.update(attributes)

    @classmethod
    def _get_param_names(cls) -> list[str]:
        return sorted(PARAMETERS.get(cls.__name__, ()))


def make_record(module: str, name: str, attributes: Mapping[str, Any]) -> Record:
    """Return a record of the class `name` of `module`, such as "sklearn.svm._classes"."""
    record: Record = _class(module, name)(attributes)
    return record


@lru_cache(maxsize=None)
def _class(module: str, name: str) -> type[Record]:
    return type(name, (Record,), {"__module__": module})


def is_record_of_booster(model: Any) -> bool:
    """Return whether a model is a record of LightGBM or XGBoost."""
    return is_record(model) and type(model).__module__.startswith(("lightgbm.", "xgboost."))


def is_record(model: Any) -> bool:
    """Return whether a model is a record, and its library may not be installed."""
    return isinstance(model, Record)
