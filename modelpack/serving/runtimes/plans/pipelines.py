"""Pipelines, column transformers, feature unions."""

from __future__ import annotations

import operator
from typing import Any, Callable, Iterable, Sequence

import numpy as np

from ...data.columns import FallbackRequiredError
from ..wrappers import decode
from . import boosters
from .blocks import doubles, matrix, selection, sparse_stacked, stacked
from .compiler import Compiler, Compilers, Part, UnplannedError
from .records import is_record

Step = Callable[[Any], Any]

SEARCHES = ("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV")
COLUMNWISE = {"ColumnTransformer", "FeatureUnion", "OneHotEncoder", "OrdinalEncoder"} | {
    "TargetEncoder",
    "SimpleImputer",
    "MissingIndicator",
    "FunctionTransformer",
    *boosters.COMPILERS,
}
"""Classes that get a list of columns; others get a matrix."""
TEXTUAL = {"CountVectorizer", "TfidfVectorizer", "HashingVectorizer"}
"""Classes that get one column, as a list."""


def pipeline(model: Any, compiler: Compiler) -> Part:
    return chained(steps(model), compiler)


def chain(model: Any, compiler: Compiler) -> Part:
    """Compile `estimator.Chain`, a model of several objects."""
    return chained(model.members, compiler)


def labelled(model: Any, compiler: Compiler) -> Part:
    """Compile `wrappers.Labelled`, a model with the labels of its predictions."""
    part = compiler.part(model.model)

    def labels(codes: np.ndarray) -> np.ndarray:
        return decode(codes, model.classes_)

    return {**part, "predict": _after([part["predict"]], labels)}


def chained(estimators: Sequence[Any], compiler: Compiler) -> Part:
    *first, last = estimators
    transforms = [transform(step, compiler) for step in first]
    if compiler.gives_codes:
        transforms = [_after([each], doubles) for each in transforms]
    return {name: _after(transforms, method) for name, method in compiler.part(last).items()}


def steps(model: Any) -> list[Any]:
    return [step for _, step in model.steps if step is not None and not is_text_step(step)]


def is_text_step(step: Any, *names: str) -> bool:
    """Return whether a step is a text: one of `names`, or any if no names are passed."""
    return isinstance(step, str) and (not names or step in names)


def transform(step: Any, compiler: Compiler) -> Step:
    """Return the transform of a step that is not the last one.

    Raises:
        UnplannedError: The step has none, or returns DataFrames.
    """
    name = type(step).__name__
    output = getattr(step, "_sklearn_output_config", {}).get("transform")
    if output not in (None, "default"):
        raise UnplannedError(f"{name} returns {output}", name)
    part = compiler.part(step)
    if "transform" not in part:
        raise UnplannedError(f"{name} has no plan of transform", name)
    return part["transform"]


def for_frame(model: Any, part: Part) -> Part:
    """Adapt the part of a model to a frame: a list of columns, or a matrix in Fortran order.

    pandas uses this order.
    """

    def in_fortran_order(block: Any) -> Any:
        return np.asfortranarray(block) if isinstance(block, np.ndarray) else block

    return {
        name: _after([in_fortran_order], method)
        for name, method in for_columns(model, part).items()
    }


def for_columns(estimator: Any, part: Part) -> Part:
    """Adapt the part of an estimator to a list of columns."""
    first = estimator
    while type(first).__name__ in FIRST:
        first = FIRST[type(first).__name__](first)
    has_encoder = getattr(first, "_preprocessor", None) is not None  # boosting with categories
    if type(first).__name__ in COLUMNWISE or has_encoder:
        return part
    return {name: _after([matrix], method) for name, method in part.items()}


FIRST: dict[str, Step] = {
    "Pipeline": lambda model: steps(model)[0],
    "Chain": lambda model: model.members[0],
    "Labelled": lambda model: model.model,
    **dict.fromkeys(SEARCHES, operator.attrgetter("best_estimator_")),
    "FrozenEstimator": operator.attrgetter("estimator"),
}
"""Estimators that pass their input to another one -> function that returns the other one."""


def _after(transforms: Sequence[Step], method: Step) -> Step:
    def call(block: Any) -> Any:
        for each in transforms:
            block = each(block)
        return method(block)

    return call


def column_transformer(model: Any, compiler: Compiler) -> Part:
    branches = [
        branch
        for name, step, chosen in model.transformers_
        for key in [chosen.data if is_record(chosen) else chosen]  # a list of 1.5 and 1.6
        if not is_text_step(step, "drop") and not _is_empty(key)
        for branch in [_column_branch(model, step, key, _weight(model, name), compiler)]
    ]
    is_sparse_output = model.sparse_output_
    return {"transform": side_by_side(model, branches, lambda _: is_sparse_output)}


def feature_union(model: Any, compiler: Compiler) -> Part:
    branches = [
        _weighted(_branch(step, compiler), _weight(model, name))
        for name, step in model.transformer_list
        if step is not None and not is_text_step(step, "drop")
    ]
    return {"transform": side_by_side(model, branches, _any_sparse)}


def side_by_side(model: Any, branches: Sequence[Step], is_sparse: Callable[[Any], bool]) -> Step:
    """Return a function that concatenates the results of the branches of `model` horizontally."""
    if not branches:
        raise UnplannedError("a ColumnTransformer or FeatureUnion has no columns")

    def transform_all(block: Any) -> Any:
        blocks = [each(block) for each in branches]
        return sparse_stacked(blocks, model) if is_sparse(blocks) else stacked(blocks)

    return transform_all


def _any_sparse(blocks: Iterable[Any]) -> bool:
    return not all(isinstance(block, np.ndarray) for block in blocks)


def _weight(model: Any, name: str) -> Any:
    return (model.transformer_weights or {}).get(name)


def _weighted(branch: Step, weight: Any) -> Step:
    return branch if weight is None else lambda block: branch(block) * weight


def _branch(step: Any, compiler: Compiler) -> Step:
    if is_text_step(step, "passthrough"):
        return matrix
    if compiler.layout != "frame":
        return transform(step, compiler)
    return for_columns(step, {"transform": _transform_to_matrix(step, compiler)})["transform"]


def _transform_to_matrix(step: Any, compiler: Compiler) -> Step:
    """Return a transform whose result is a matrix of numbers, not a list of columns."""
    inner = transform(step, compiler)

    def call(block: Any) -> Any:
        result = inner(block)
        return matrix(result) if isinstance(result, list) else result

    return call


def _column_branch(model: Any, step: Any, key: Any, weight: Any, compiler: Compiler) -> Step:
    if compiler.layout != "frame":
        if _is_scalar(key):
            raise UnplannedError("a step gets a single column of a matrix in one dimension")
        select: Step = operator.itemgetter((slice(None), key))
    elif _is_scalar(key):
        return _weighted(_text_branch(step, _indices(model, key, compiler)[0], compiler), weight)
    else:
        select = selection(_indices(model, key, compiler))
    return _weighted(_after([select], _branch(step, compiler)), weight)


def _text_branch(step: Any, index: int, compiler: Compiler) -> Step:
    """Return the branch of a single column of texts."""
    first = steps(step)[0] if type(step).__name__ == "Pipeline" else step
    if type(first).__name__ not in TEXTUAL:
        raise UnplannedError("a step gets a single column in one dimension that is not text")
    method = transform(step, compiler)

    def call(block: Any) -> Any:
        if not isinstance(block, list):
            raise FallbackRequiredError
        return method(block[index].tolist())

    return call


def _is_empty(key: Any) -> bool:
    if isinstance(key, slice) or np.isscalar(key):
        return False
    return len(key) == 0 or (isinstance(key[0], (bool, np.bool_)) and not any(key))


def _indices(model: Any, key: Any, compiler: Compiler) -> list[int]:
    """Return the indices of the columns of the frame that `key` selects."""
    names = compiler.names
    fitted = list(getattr(model, "feature_names_in_", getattr(model, "_df_columns", names)))
    if isinstance(key, slice):
        chosen = fitted[_by_position(key, fitted)]
    elif _is_scalar(key):
        chosen = [key if isinstance(key, str) else fitted[key]]
    elif all(isinstance(each, str) for each in key):
        chosen = list(key)
    else:
        chosen = np.asarray(fitted, object)[list(key)].tolist()
    return [names.index(str(name)) for name in chosen]


def _by_position(key: slice, names: Sequence[Any]) -> slice:
    """Convert a slice of names, which includes its end, to one of positions."""
    if not isinstance(key.start, str) and not isinstance(key.stop, str):
        return key
    start = None if key.start is None else names.index(key.start)
    return slice(start, None if key.stop is None else names.index(key.stop) + 1, key.step)


def _is_scalar(key: Any) -> bool:
    return isinstance(key, (str, int, np.integer))


COMPILERS: Compilers = {
    "Chain": chain,
    "ColumnTransformer": column_transformer,
    "FeatureUnion": feature_union,
    "Labelled": labelled,
    "Pipeline": pipeline,
}
