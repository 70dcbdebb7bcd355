"""Which parts of a model receive the input rows, and in which form."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from ..nodes import Global
from .columns import DICT_VECTORIZER, TEXT_VECTORIZERS
from .estimators import EstimatorNode, as_dict, column_names

_CONVERTING = {"sklearn", "xgboost", "lightgbm", "catboost", "imblearn"}
"""Libraries that make an array of a DataFrame before they compute."""

_OUTPUT_SINCE = (1, 2)
"""The release of scikit-learn that added `transform_output`."""

_PASSING = {"Pipeline", "FeatureUnion"}
_FORMS = {"ColumnTransformer", DICT_VECTORIZER, *TEXT_VECTORIZERS}
"""What takes rows in a form of its own, however deep inside a model it comes first."""


def head(part: EstimatorNode) -> EstimatorNode:
    """The part that the rows reach first, functions without state and samplers aside; of several
    that they reach side by side, one that takes them in a form of its own.
    """
    if part.kind in _PASSING or part.name.endswith("SearchCV"):
        parts = [p for p in part.parts if not p.is_sampler]
        reached = [p for p in parts if p.name != "FunctionTransformer"] or parts
        heads = [head(p) for p in (reached if part.kind == "FeatureUnion" else reached[:1])]
        formed = (found for found in heads if found.kind in _FORMS)
        return next(formed, heads[0] if heads else part)
    inner = next(part.parts, None)
    if inner is None or part.kind == "ColumnTransformer":
        return part
    first = head(inner)
    return first if first.kind in _FORMS else part


def entries(part: EstimatorNode) -> list[EstimatorNode]:
    """The inner parts that get the very columns that the part gets; none where that is unknown, as
    of classes of the author, which may add and drop columns.
    """
    if part.kind in TEXT_VECTORIZERS or (part.is_author_code and part.kind not in _PASSING):
        return []
    if part.kind == "Pipeline":
        return list(islice((step for step in part.parts if not _keeps_columns(step)), 1))
    steps = [node for name, node, _ in part.steps if name != "final_estimator"]
    return list(filter(None, map(part.inner, steps)))


def _keeps_columns(step: EstimatorNode) -> bool:
    """Whether a step that may record nothing gives the next one the columns that it got."""
    if recorded_names(step) or step.number("n_features_in_") is not None:
        return False
    return step.is_sampler or is_elementwise(step)


def is_elementwise(part: EstimatorNode) -> bool:
    """Whether it is a function of numpy, or none, which is given to each value."""
    if not part.is_sklearn or part.name != "FunctionTransformer":
        return False
    function = part.get("func")
    return function is None or (isinstance(function, Global) and function.module == "numpy")


def recorded_names(part: EstimatorNode) -> list[str] | None:
    """The names of its inputs that a part records itself; `active_fields` is PMMLPipeline's."""
    told = column_names(part.get("feature_names_in_", "_feature_names_in", "active_fields"))
    if told and all(isinstance(name, str) for name in told):
        return [str(name) for name in told]
    return None


def chosen_names(part: EstimatorNode) -> list[str]:
    """The names that the steps of a ColumnTransformer choose, each once."""
    chosen = [c for _, _, node in part.steps for c in column_names(node) or ()]
    return list(dict.fromkeys(c for c in chosen if isinstance(c, str)))


def tells_frames_apart(root: EstimatorNode) -> bool:
    """Whether a part that the rows reach could answer a DataFrame otherwise than its array."""
    return any(map(_needs_frame, reached(root))) or transforms_to_frames(root)


def _needs_frame(part: EstimatorNode) -> bool:
    if part.top not in _CONVERTING or part.kind in {"ColumnTransformer", "Isomap"}:
        return True  # Isomap computes in the dtype of its rows, which a DataFrame does not have
    if part.name == "FunctionTransformer":
        return part.get("func") is not None and part.get("validate") is not True
    return bool(output_container(part))


def output_container(part: EstimatorNode) -> str:
    """What `set_output` made the results of a part: "pandas", "polars" or "" for the default."""
    value = as_dict(part.attributes.get("_sklearn_output_config")).get("transform")
    return value if value in ("pandas", "polars") else ""


def transforms_to_frames(part: EstimatorNode) -> bool:
    """Whether `sklearn.set_config(transform_output="pandas")` was in force in training: a step
    recorded the names of its columns, which it got from a transformer that returns arrays by
    default. The setting belongs to the process, so the file does not contain it.
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
    """The part, and the parts in it that may be given the rows, or results that are DataFrames."""
    yield part
    for inner in part.parts:
        yield from reached(inner)
        if part.kind == "Pipeline" and not _hands_on(inner):
            break


def _hands_on(step: EstimatorNode) -> bool:
    """Whether the next step may get a DataFrame from this one."""
    if step.is_sampler or step.top not in _CONVERTING or output_container(step):
        return True
    if step.kind in _PASSING:
        return any(_hands_on(inner) for inner in step.parts)
    return step.name == "FunctionTransformer"
