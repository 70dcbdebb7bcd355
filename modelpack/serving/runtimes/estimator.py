"""scikit-learn estimators, chains of them, and the base class."""

from __future__ import annotations

import threading
from typing import Any, Callable, Iterable, Iterator, Sequence

from ..data.columns import Rows
from ..data.frames import FrameBuilder, MatrixBuilder
from ..manifest import Manifest
from .wrappers import Configured, Labelled


class EstimatorRuntime:
    """Of any scikit-learn-like estimator. `kind`: what predicts, the estimator, its library or a
    compiled plan; `told`: why, in a few words. `merges`: `each` may be asked for rows of several
    requests. `quick_rows`: it answers so many before anybody would notice that others wait.
    """

    kind = "estimator"
    told = "no plan was asked for"
    merges = False
    quick_rows = 0

    def __init__(self, model: Any, manifest: Manifest) -> None:
        self.model = model
        self.classes = getattr(model, "classes_", manifest.classes)
        """The labels, in the order of the probabilities."""
        self.arrange = _arrangement(model, manifest)
        """From rows to what the model takes."""

    @staticmethod
    def takes(model: Any, manifest: Manifest) -> bool:
        return hasattr(model, manifest.method)

    def can(self, method: str) -> bool:
        """Whether the model has `method` as it was fitted."""
        return hasattr(self.model, method)

    def call(self, method: str, rows: Rows) -> Any:
        """What the model's `method` gives for `rows`: an array, sparse matrix, DataFrame, or a list
        of arrays, of n_rows each. Whatever the model raises passes through, but for an error of
        patsy, which is a ValueError: it raises one for a category that training never met.
        """
        try:
            return getattr(self.model, method)(self.arrange(rows))
        except Exception as error:
            if type(error).__module__.partition(".")[0] == "patsy":
                raise ValueError(str(error)) from error
            raise

    def together(self, method: str, rows: Rows) -> Any:
        """As `call`, or FallbackRequiredError where that would have to do more than is planned."""
        return self.call(method, rows)

    def each(self, method: str, rows: Rows) -> Any:
        """What `method` gives for each of `rows` as if it were asked alone. Of those that merge.

        Raises:
            FallbackRequiredError: as `together`.
        """
        return self.call(method, rows)


def _arrangement(model: Any, manifest: Manifest) -> Callable[[Rows], Any]:
    if manifest.layout == "frame":
        closed = any(_mixes_up(part) or _is_own(part) for part in parts(model))
        return FrameBuilder(manifest.inputs, closed=closed).build
    if manifest.layout == "array":
        return MatrixBuilder(manifest.inputs, manifest.named).build
    return _listed


def _listed(rows: Rows) -> list[Any]:
    """Texts, or dicts."""
    values: list[Any] = rows[0].tolist()
    return values


def _mixes_up(part: Any) -> bool:
    """Whether this is a booster that takes some unknown categories for known ones: XGBoost from 3.1
    searches for a text among those of training and does not look whether it is the one it found.
    """
    booster = getattr(part, "__dict__", {}).get("_Booster")
    is_xgboost = type(booster).__module__.startswith("xgboost.")
    return is_xgboost and "c" in (getattr(booster, "feature_types", None) or ())


def _is_own(part: Any) -> bool:
    """Whether this is code of the author. It may look at the codes of categories, and what an
    unknown category has for a code depends on the other rows of the request.
    """
    if not callable(part) and not hasattr(part, "get_params"):
        return False
    module = getattr(part, "__module__", None) or type(part).__module__
    return str(module).partition(".")[0] not in LIBRARIES


LIBRARIES = {
    "builtins", "catboost", "category_encoders", "feature_engine", "hmmlearn", "imblearn", "joblib",
    "lightgbm", "modelpack", "numpy", "pandas", "scipy", "sklearn", "statsmodels", "xgboost",
}  # fmt: skip
"""Packages that are told of unknown categories by their values."""


class Chain:
    """Has what its last member has, whose methods get what the others' transform makes of the rows,
    one after the other.
    """

    def __init__(self, members: Sequence[Any]) -> None:
        self.members = list(members)
        *self._transformers, self._last = members

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._last, name)
        return self._after_transformers(value) if callable(value) else value

    def _after_transformers(self, method: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def call(rows: Any) -> Any:
            for transformer in self._transformers:
                rows = transformer.transform(rows)
            return method(rows)

        return call


class ModelExitError(Exception):
    """The model raised an exception that ends a program: SystemExit, KeyboardInterrupt, ..."""


def contained(function: Callable[..., Any], *args: Any) -> Any:
    """Return `function(*args)`, where no exception can end the thread that calls it.

    Raises:
        ModelExitError: In place of an exception that is not an `Exception`. A KeyboardInterrupt in
            the main thread passes, because Ctrl-C raises it there.
    """
    try:
        return function(*args)
    except Exception:
        raise
    except BaseException as error:
        is_interrupt = isinstance(error, KeyboardInterrupt)
        if is_interrupt and threading.current_thread() is threading.main_thread():
            raise
        raise ModelExitError(f"the model raised {type(error).__name__}") from error


def parts(model: Any) -> Iterator[Any]:
    """`model`, and all that the estimators in it are made of, each once."""
    waiting, seen = [model], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        waiting.extend(_parts(part))


def _parts(value: Any) -> Iterable[Any]:
    """What an estimator, or a list, tuple or dict of them, is made of."""
    if isinstance(value, (Configured, Labelled)):
        return [value.model]
    if isinstance(value, Chain):
        return value.members
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, (list, tuple)):
        return value
    return list(getattr(value, "__dict__", {}).values()) if hasattr(value, "get_params") else ()
