"""What comes out of a model: the type and shape of its predictions, its classes."""

from __future__ import annotations

from collections.abc import Sequence

from modelpack.types import Field, FieldType, Scalar

from ..arrays import scalar, view
from ..nodes import Node
from .boosters import booster
from .columns import scalar_type
from .labels import classes, is_multilabel, is_nested, labels_of, outlier_labels
from .parts import Part, attributes
from .widths import features_out

_LOSSES_WITH_PROBABILITIES = {"log", "log_loss", "modified_huber"}
_TWO = 2
_MOST_OUTCOMES = 10_000
_WITH_PROBABILITIES_SINCE = {"NearestCentroid": (1, 6), "RadiusNeighborsClassifier": (0, 22)}
_PASSING_ON = {"SimpleImputer", "FunctionTransformer", "VarianceThreshold", "SelectKBest"}


def prediction(root: Part, labels: tuple[Scalar, ...] | None, inputs: Sequence[Field]) -> Field:
    """The output "prediction". `labels` are the classes."""
    part, task = root.last, root.task
    if root.only_transforms:
        return Field("prediction", _transformed_type(part, inputs), (features_out(part),))
    if task == "classifier":
        labels = (0, 1) if is_multilabel(part) else labels
        labels = (*labels, *outlier_labels(part, labels)) if labels else None
        kind = scalar_type(labels) if labels else _type_of_several(part)
        return Field("prediction", kind, _classifier_shape(part), labels)
    if task == "regressor":
        return Field("prediction", "number", _regressor_shape(part))
    if task == "unknown":
        return _unknown(part)
    return Field("prediction", "integer", (), (-1, 1) if task == "outlier_detector" else labels)


def _unknown(part: Part) -> Field:
    """Of a booster without the estimator around it, and of results of statsmodels, numbers."""
    told = booster(part)
    if told is None and part.top == "statsmodels":
        return Field("prediction", "number", _shape_of_results(part))
    if told is None:
        return Field("prediction", "any")
    return Field("prediction", "number", (told.groups,) if told.groups else ())


def _shape_of_results(part: Part) -> tuple[int, ...]:
    """The shape of a prediction of results of statsmodels: of a model of several outcomes, their
    probabilities.
    """
    results = attributes(part.get("_results")) or part.attributes
    count = scalar(attributes(results.get("model")).get("J"))
    return (count,) if type(count) is int and 0 < count < _MOST_OUTCOMES else ()


def _transformed_type(part: Part, inputs: Sequence[Field]) -> FieldType:
    if part.name == "MissingIndicator":
        return "boolean"
    only_numbers = all(field.type in {"number", "integer"} for field in inputs)
    return "number" if only_numbers or not _passes_on(part) else "any"


def _passes_on(part: Part) -> bool:
    """Whether what goes in may come out as it is, text included."""
    if part.kind not in {"ColumnTransformer", "FeatureUnion"}:
        return part.name in _PASSING_ON
    kept = any(node == "passthrough" for _, node, _ in part.steps if isinstance(node, str))
    return kept or any(_passes_on(inner.last) for inner in part.parts)


def _type_of_several(part: Part) -> FieldType:
    """The type of the labels of a classifier of several outputs."""
    if part.name == "ClassifierChain":
        return "number"  # it fills an array of floats with its labels
    if part.name == "MultiOutputClassifier":
        lists = [classes(member.last) for member in _members(part)]
    else:
        lists = [labels_of(node) for node in _lists_of_labels(part)]
    told = {scalar_type(labels) if labels else "any" for labels in lists}
    return told.pop() if len(told) == 1 else "any"


def _classifier_shape(part: Part) -> tuple[int, ...]:
    labels = view(part.get("classes_"))
    if labels is not None and is_multilabel(part):
        return labels.shape
    if part.name in {"MultiOutputClassifier", "ClassifierChain"}:
        members = part.get("estimators_")
        return (len(members),) if isinstance(members, list) else ()
    several = _lists_of_labels(part)
    if several:
        return (len(several),)
    if part.top == "catboost" and len(classes(part) or ()) > _TWO:
        return (1,)  # it gives a column of labels where there are more than two
    return ()


def _members(part: Part) -> list[Part]:
    """The estimators of a classifier that has one for each output."""
    nodes = part.get("estimators_")
    return list(filter(None, map(part.inner, nodes if isinstance(nodes, list) else ())))


def _lists_of_labels(part: Part) -> list[Node]:
    """`classes_` of a classifier of several outputs: one array each."""
    node = part.get("classes_")
    array = view(node)
    items = array.items if array and is_nested(array) else node
    return items if isinstance(items, list) and items and view(items[0]) is not None else []


def _regressor_shape(part: Part) -> tuple[int, ...]:
    if ".cross_decomposition." in part.cls.module and part.get("_predict_1d") is not True:
        loadings = view(part.get("y_loadings_"))
        return loadings.shape[:1] if loadings else ()
    count = part.number("n_outputs_")
    if count is None and part.name in {"MultiOutputRegressor", "RegressorChain"}:
        members = part.get("estimators_")
        return (len(members),) if isinstance(members, list) else ()
    if count is None and (told := booster(part)):
        count = told.targets or 1
    if count is not None:
        return (count,) if count > 1 else ()
    return _width_of_coefficients(part)


def _width_of_coefficients(part: Part) -> tuple[int, ...]:
    if part.name.endswith("SVR") or part.get("_predict_1d") is True:
        return ()
    name = next((n for n in ("coef_", "_y", "dual_coef_", "y_train_") if part.get(n)), None)
    array = view(part.get(name)) if name else None
    if array is None or len(array.shape) != 2:
        return ()
    return (array.shape[0] if name == "coef_" else array.shape[1],)


def has_probabilities(part: Part) -> bool:
    """Whether `predict_proba` can be called on the loaded model, not only on its class."""
    if part.name in {"SVC", "NuSVC"}:
        return part.get("probability") is True
    if part.name == "SGDClassifier":
        return part.text("loss") in _LOSSES_WITH_PROBABILITIES
    if part.name == "VotingClassifier":
        return part.text("voting") == "soft"
    if part.has("predict_proba") is not None and part.name not in _ASKING:
        is_old = part.release < _WITH_PROBABILITIES_SINCE.get(part.name, (0, 0))
        return bool(part.has("predict_proba")) and not is_old
    if part.name in _ASKING:
        final = part.inner(part.get("final_estimator_"))
        inner = final or next(part.parts, None)
        return inner is not None and has_probabilities(inner.last)
    return part.top in {"xgboost", "lightgbm", "catboost", "imblearn"}


_ASKING = {
    "StackingClassifier", "OneVsRestClassifier", "MultiOutputClassifier", "RFE", "RFECV",
    "SelfTrainingClassifier", "FixedThresholdClassifier", "TunedThresholdClassifierCV",
    "ClassifierChain",
}  # fmt: skip
