"""The parts of a model that receive the input rows, and the form of these rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import dropwhile, islice

from packaging.version import Version

from ..nodes import Global
from . import pycaret
from .boosters import booster
from .columns import DICT_VECTORIZER, TEXT_VECTORIZERS
from .estimators import EstimatorNode, as_dict, column_names

_CONVERTING = {"sklearn", "xgboost", "lightgbm", "catboost", "imblearn"}
"""Libraries that convert a DataFrame to an array before they compute."""

_OUTPUT_SINCE = (1, 2)
"""The release of scikit-learn that added `transform_output`."""

_NAMES = ("feature_names_in_", "_feature_names_in", "active_fields", "final_training_columns")
"""Attributes with the input names: of scikit-learn, PyCaret 3, PMMLPipeline, and PyCaret 2."""

_CACHED = "_recorded_names"
"""The key of the result of `recorded_names` among the attributes of a part."""

_PASSING = {"Pipeline", "FeatureUnion"}
_FORMS = {"ColumnTransformer", DICT_VECTORIZER, *TEXT_VECTORIZERS}
"""Classes that define the form of the rows, at any depth inside a model."""

_COLUMN = re.compile(r"(^|_)(attribute|col|column|feature|field|key|variable)s?(_|$)")
"""Attributes of classes that choose columns of a DataFrame."""


def head(part: EstimatorNode) -> EstimatorNode:
    """Return the first part that receives the rows, other than samplers and functions.

    Of several parts side by side, it is one that defines the form of the rows. Classes of the
    author before a text vectorizer are taken for functions of texts.
    """
    if part.kind in _PASSING or part.name.endswith("SearchCV"):
        parts = [p for p in part.parts if not p.is_sampler]
        reached = [p for p in parts if p.name != "FunctionTransformer"] or parts
        if part.kind == "Pipeline" and (vectorizer := _text_vectorizer(reached)):
            return vectorizer
        heads = [head(p) for p in (reached if part.kind == "FeatureUnion" else reached[:1])]
        formed = (found for found in heads if found.kind in _FORMS)
        return next(formed, heads[0] if heads else part)
    inner = next(part.parts, None)
    if inner is None or part.kind == "ColumnTransformer":
        return part
    first = head(inner)
    return first if first.kind in _FORMS else part


def _text_vectorizer(steps: list[EstimatorNode]) -> EstimatorNode | None:
    """Return the text vectorizer behind steps of which all may be functions of texts."""
    behind = list(dropwhile(_may_take_texts, steps))
    if not behind or len(behind) == len(steps):
        return None
    found = head(behind[0])
    return found if found.kind in TEXT_VECTORIZERS else None


def _may_take_texts(part: EstimatorNode) -> bool:
    """Return whether a step is of the author, and nothing in it shows that it takes columns."""
    if not part.is_author_code or part.steps or part.number("n_features_in_") is not None:
        return False
    named = any(
        _COLUMN.search(name) and value is not None for name, value in part.attributes.items()
    )
    return not named and recorded_names(part) is None


def entries(part: EstimatorNode) -> list[EstimatorNode]:
    """Return the inner parts that get the same columns as the part.

    The result is empty if that is unknown: classes of the author may add and drop columns.
    """
    if part.kind in TEXT_VECTORIZERS or (part.is_author_code and part.kind not in _PASSING):
        return []
    if part.kind == "Pipeline":
        return list(islice((step for step in part.parts if not _keeps_columns(step)), 1))
    steps = [node for name, node, _ in part.steps if name != "final_estimator"]
    return list(filter(None, map(part.inner, steps)))


def _keeps_columns(step: EstimatorNode) -> bool:
    """Return whether a step passes its columns on unchanged and records nothing."""
    if recorded_names(step) or step.number("n_features_in_") is not None:
        return False
    return step.is_sampler or is_elementwise(step)


def is_elementwise(part: EstimatorNode) -> bool:
    """Return whether a part applies a numpy function, or none, to each value."""
    if not part.is_sklearn or part.name != "FunctionTransformer":
        return False
    function = part.get("func")
    return function is None or (isinstance(function, Global) and function.module == "numpy")


def recorded_names(part: EstimatorNode) -> list[str] | None:
    """Return the input names that a part records, by any of `_NAMES`."""
    cache = part.__dict__  # many facts depend on the names, and a model may have many thousands
    if _CACHED not in cache:
        cache[_CACHED] = _recorded_names(part)
    found: list[str] | None = cache[_CACHED]
    return found


def _recorded_names(part: EstimatorNode) -> list[str] | None:
    names = column_names(part.get(*_NAMES))
    if not names or not all(isinstance(name, str) for name in names):
        return None
    found = list(map(str, names))
    if part.top == "pycaret":
        found = [name for name in found if name not in pycaret.targets(part)]
    return found


def chosen_names(part: EstimatorNode) -> list[str]:
    """Return the names that the steps of a ColumnTransformer select, each once."""
    chosen = [c for _, _, node in part.steps for c in column_names(node) or ()]
    return list(dict.fromkeys(c for c in chosen if isinstance(c, str)))


_NAMES_COMPARED = Version("1.4")


def tells_frames_apart(root: EstimatorNode) -> bool:
    """Return whether a part may predict differently for a DataFrame and its array."""
    return any(map(_needs_frame, reached(root))) or transforms_to_frames(root)


def _needs_frame(part: EstimatorNode) -> bool:
    if part.top not in _CONVERTING or part.kind in {"ColumnTransformer", "Isomap"}:
        return True  # Isomap computes in the dtype of the array; a DataFrame has none
    if part.name == "FunctionTransformer":
        return part.get("func") is not None and part.get("validate") is not True
    return _compares_names(part) or bool(output_container(part))


def _compares_names(part: EstimatorNode) -> bool:
    """Return whether an estimator of XGBoost compares the names of features with those of the rows.

    Before 1.4 all do, and later those of linear models.
    """
    if part.top != "xgboost" or part.name == "Booster":
        return False
    facts = booster(part)
    if facts is None or facts.names is None:
        return False
    version = facts.version or ""
    is_old = not version[:1].isdigit() or Version(version) < _NAMES_COMPARED
    return is_old or part.text("booster") == "gblinear"


def output_container(part: EstimatorNode) -> str:
    """Return the container that `set_output` selected: "pandas", "polars", or "" by default."""
    value = as_dict(part.attributes.get("_sklearn_output_config")).get("transform")
    return value if value in ("pandas", "polars") else ""


def transforms_to_frames(part: EstimatorNode) -> bool:
    """Return whether training used `sklearn.set_config(transform_output="pandas")`.

    The setting belongs to the process, so the file does not contain it. Evidence is a step that
    recorded column names behind a transformer that returns arrays by default.
    """
    steps = list(part.parts)
    if part.kind == "Pipeline" and any(map(_is_named_behind, steps, steps[1:])):
        return True
    return any(map(transforms_to_frames, steps))


def _is_named_behind(step: EstimatorNode, following: EstimatorNode) -> bool:
    if not step.is_sklearn or step.release < _OUTPUT_SINCE or _hands_on(step):
        return False
    return bool(recorded_names(following))


def reached(part: EstimatorNode) -> Iterator[EstimatorNode]:
    """Yield the part, and the parts in it that may receive the rows or a DataFrame."""
    yield part
    for inner in part.parts:
        yield from reached(inner)
        if part.kind == "Pipeline" and not _hands_on(inner):
            break


def _hands_on(step: EstimatorNode) -> bool:
    """Return whether the next step may get a DataFrame from this one."""
    if step.is_sampler or step.top not in _CONVERTING or output_container(step):
        return True
    if step.kind in _PASSING:
        return any(_hands_on(inner) for inner in step.parts)
    return step.name == "FunctionTransformer"
