"""scikit-learn estimators, chains of them, and the base class."""

from __future__ import annotations

import threading
from typing import Any, Callable, Iterable, Iterator, Sequence

from ..data.columns import Rows
from ..data.frames import FrameBuilder, MatrixBuilder
from ..manifest import Manifest
from .python_model import PythonModel
from .wrappers import Configured, Inverted, Labelled


class EstimatorRuntime:
    """The runtime of any estimator with the interface of scikit-learn.

    Attributes:
        kind: What predicts: "estimator", "library" or "plan".
        reason: Why that predicts, in a few words.
        can_batch: Whether `call_each` accepts rows of several requests.
        has_exact_batches: Whether rows may have the same bits in batches of any size. If so, trial
            rows decide.
        quick_rows: Number of rows whose prediction delays other requests by no noticeable time.
        classes: The labels, in the order of the probabilities.
        arrange: Function that converts rows to the input of the model.
    """

    kind = "estimator"
    reason = "no plan was requested"
    can_batch = False
    has_exact_batches = True
    quick_rows = 0

    def __init__(self, model: Any, manifest: Manifest) -> None:
        self.model = model
        self.classes = getattr(model, "classes_", manifest.classes)
        self.arrange = _arrangement(model, manifest)

    @staticmethod
    def supports(model: Any, manifest: Manifest) -> bool:
        """Return whether this runtime can run `model`."""
        return hasattr(model, manifest.method)

    def has_method(self, method: str) -> bool:
        """Return whether the fitted model has `method`."""
        return hasattr(self.model, method)

    def call(self, method: str, rows: Rows) -> Any:
        """Return the result of the model's `method`, with one entry for each of `rows`.

        The result is an array, a sparse matrix, a DataFrame, or a list of arrays.

        Raises:
            ValueError: patsy raised an error, as it does for a category unknown to training. Any
                other exception of the model passes unchanged.
        """
        try:
            return getattr(self.model, method)(self.arrange(rows))
        except Exception as error:
            if type(error).__module__.partition(".")[0] == "patsy":
                raise ValueError(str(error)) from error
            raise

    def call_transformed(self, method: str, values: Any) -> Any:
        """Return the result of `method` for the result of a transformer: an array or a frame."""
        return getattr(self.model, method)(values)

    def call_batch(self, method: str, rows: Rows) -> Any:
        """Return the same as `call`, without the fallback to the estimator.

        Raises:
            FallbackRequiredError: The plan does not cover these rows.
        """
        return self.call(method, rows)

    def call_each(self, method: str, rows: Rows) -> Any:
        """Return for each of `rows` the bits that a call with this row alone returns.

        Only runtimes with `can_batch` guarantee this.

        Raises:
            FallbackRequiredError: The plan does not cover these rows.
        """
        return self.call(method, rows)


def _arrangement(model: Any, manifest: Manifest) -> Callable[[Rows], Any]:
    if manifest.layout == "frame":
        closed = any(_confuses_categories(part) or _is_user_code(part) for part in parts(model))
        return FrameBuilder(manifest.inputs, closed=closed).build
    if manifest.layout == "array":
        return MatrixBuilder(manifest.inputs, manifest.named, categorical_inputs(model)).build
    return to_list


def categorical_inputs(model: Any) -> Sequence[int]:
    """Return the positions of categorical inputs of CatBoost, none for models of other libraries.

    CatBoost rejects an array of floats if it has such inputs, whatever the values are.
    """
    if not type(model).__module__.startswith("catboost."):
        return ()
    positions: Sequence[int] = model.get_cat_feature_indices()
    return positions


def to_list(rows: Rows) -> list[Any]:
    """Return a list of texts or dicts."""
    values: list[Any] = rows[0].tolist()
    return values


def _confuses_categories(part: Any) -> bool:
    """Return whether `part` is a booster that treats some unknown categories as known ones.

    XGBoost 3.1 and later search for a text among the categories of training, and do not check that
    the match is equal.
    """
    booster = getattr(part, "__dict__", {}).get("_Booster")
    is_xgboost = type(booster).__module__.startswith("xgboost.")
    return is_xgboost and "c" in (getattr(booster, "feature_types", None) or ())


def _is_user_code(part: Any) -> bool:
    """Return whether `part` is code of the author.

    Such code may read the codes of categories. The code of an unknown category depends on the other
    rows of the request.
    """
    if not callable(part) and not hasattr(part, "get_params"):
        return False
    module = getattr(part, "__module__", None) or type(part).__module__
    return str(module).partition(".")[0] not in LIBRARIES


LIBRARIES = {
    "builtins", "catboost", "category_encoders", "feature_engine", "hmmlearn", "imblearn", "joblib",
    "lightgbm", "modelpack", "numpy", "pandas", "scipy", "sklearn", "statsmodels", "xgboost",
}  # fmt: skip
"""Packages that detect unknown categories by their values."""


class Chain:
    """Several objects as one model: all but the last transform the rows, the last one predicts.

    Attributes that are not methods are those of the last member.
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


class CompiledModel:
    """A compiled model.

    Attributes:
        root: The record that predicts, or a `Chain` of records.
        release: Major and minor version of the scikit-learn that the model belongs to.
        labels: The labels of the predictions 0, 1, ..., or None.
    """

    def __init__(self, root: Any, release: tuple[int, int], labels: Any = None) -> None:
        self.root = root
        self.release = release
        self.labels = labels


class ModelExitError(Exception):
    """The model raised an exception that ends a program: SystemExit, KeyboardInterrupt, ..."""


def contained(function: Callable[..., Any], *args: Any) -> Any:
    """Return `function(*args)`, and let no exception end the calling thread.

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
    """Yield `model` and all objects inside its estimators, each once."""
    return traverse(model, _parts)


def traverse(root: Any, children: Callable[[Any], Iterable[Any]]) -> Iterator[Any]:
    """Yield `root` and what is reached through `children`, each object once."""
    waiting, seen = [root], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        waiting.extend(children(part))


def _parts(value: Any) -> Iterable[Any]:
    """Return the objects in an estimator, or in a list, tuple or dict of estimators."""
    if isinstance(value, (Configured, Labelled, PythonModel)):
        return [value.model]
    if isinstance(value, Inverted):
        return [value.model, value.transformer]
    if isinstance(value, Chain):
        return value.members
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, (list, tuple)):
        return value
    return list(getattr(value, "__dict__", {}).values()) if hasattr(value, "get_params") else ()
