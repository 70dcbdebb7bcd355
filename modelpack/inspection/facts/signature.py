"""The signature: inputs, outputs and classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from modelpack.types import Field, FieldType, Layout, Scalar, Signature

from ..nodes import Node
from ..pickle.ndarrays import scalar, view
from . import labels
from .boosters import booster
from .columns import (
    DICT_VECTORIZER,
    TEXT_VECTORIZERS,
    Column,
    dict_columns,
    exogenous_names,
    scalar_type,
    text_example,
)
from .estimators import EstimatorNode, attributes, every
from .input_types import chosen_names, entries, head, reached, recorded_names, tells_frames_apart
from .labels import classes, is_multilabel, is_nested, labels_of, outlier_labels
from .statsmodels import formula
from .transformers import NUMERIC, describe
from .widths import features_in, features_out

NO_SIGNATURE = Signature((), ())

_NO_ROWS = {
    "FeatureHasher": "dicts", "LabelBinarizer": "labels",
    "LabelEncoder": "labels", "MultiLabelBinarizer": "labels", "PatchExtractor": "images",
}  # fmt: skip

_RESULTS = {"_results", "params"}
"""Attributes of statsmodels results, or of the object around them; a model has neither."""


def signature(root: EstimatorNode) -> Signature:
    """Return the facts about inputs and outputs; unknown ones have general types."""
    fields = input_fields(root)
    layout = input_layout(root, fields)
    classes = labels.classes(root.last)
    return Signature(
        inputs=tuple(fields),
        outputs=(prediction(root, classes, fields),),
        classes=classes,
        layout=layout,
        named=layout == "dicts" or (layout != "text" and names(root) is not None),
        probabilities=(root.task == "classifier" or classes is not None)
        and has_probabilities(root.last),
    )


def no_prediction(root: EstimatorNode) -> str | None:
    """Return why a fitted model cannot predict rows of a table, or None if it can."""
    part, first = root.last, head(root)
    if root.has("predict") is False and root.has("transform") is False:
        return f"{part.cls.dotted} has neither predict nor transform for new rows"
    if part.top == "xgboost" and part.name == "Booster" and part is not root:
        name = part.cls.dotted
        return (
            f"{name} predicts only a DMatrix; save the model with save_model('model.json') instead"
        )
    if part.name == "LocalOutlierFactor" and part.get("novelty") is not True:
        return f"{part.cls.dotted} predicts new rows only if it was fitted with novelty=True"
    if part.top == "statsmodels" and not _RESULTS & part.attributes.keys():
        return f"{part.cls.dotted} is not the result of its method fit, and predicts no rows"
    if first.is_sklearn and first.name in _NO_ROWS:
        return f"{first.cls.dotted} takes {_NO_ROWS[first.name]}, not rows of a table"
    return None


def takes_sequences(root: EstimatorNode) -> bool:
    """Return whether a row of the model is a sequence of dicts, which no table contains."""
    return root.last.top == "sklearn_crfsuite" and root.last.name == "CRF"


def repeated_name(root: EstimatorNode) -> str | None:
    """Return a name that two columns of the training frame had."""
    counts = Counter(names(root) or ())
    return next((name for name, count in counts.items() if count > 1), None)


MAX_INPUTS = 100_000
"""The inputs of a wider model are not listed."""

_MAX_DESCRIBED = 10_000_000
"""Columns of all steps together: a file of any size can declare any number of columns."""


def form(root: EstimatorNode) -> Layout | None:
    """Return the form of rows that are texts or dicts, or None if they have columns."""
    first = head(root)
    if first.kind in TEXT_VECTORIZERS:
        return "text"
    return "dicts" if first.kind == DICT_VECTORIZER else None


def input_layout(root: EstimatorNode, inputs: list[Field]) -> Layout:
    """Return the form of the rows.

    They are a DataFrame if a part may predict differently for the array of its values. The result
    is "array" only for columns of numbers, and libraries that convert a DataFrame first.
    """
    special = form(root)
    if special is not None:
        return special
    if not inputs:
        return "frame" if _passes_frames_on(root) else "array"
    if names(root) is None:
        return "array"
    if formula(root.last) is not None:
        return "frame"
    return "array" if all(map(_is_number, inputs)) and not tells_frames_apart(root) else "frame"


def _is_number(field: Field) -> bool:
    """Return whether a field fits into an array of numbers; boosters accept booleans as numbers."""
    if field.dtype is None:
        return field.type in {"number", "integer"}
    return field.dtype in {"bool", "float32"}


def _passes_frames_on(root: EstimatorNode) -> bool:
    """Return whether the model or one of its steps recorded columns of a DataFrame.

    A step behind an author's step without records got them from the input of the model.
    """
    return any(names(part) for part in (root, *root.parts))


def input_fields(root: EstimatorNode) -> list[Field]:
    """Return the inputs in order; none if the file does not contain their number."""
    special = form(root)
    if special == "text":
        return [Field("text", "string", example=text_example(head(root)))]
    if special == "dicts":
        return [column.field("number") for column in dict_columns(head(root), MAX_INPUTS)]
    if any(special.undecided for special in map(booster, reached(root)) if special):
        return []
    known = names(root)
    if known is None:
        width = features_in(root) or 0
        known = [f"x{i}" for i in range(width if width <= MAX_INPUTS else 0)]
    columns = [Column(name) for name in known]
    if sum(1 for _ in every(root)) * len(columns) <= _MAX_DESCRIBED:
        describe(root, columns)
    numeric = head(root).top in NUMERIC
    return [column.field("number" if numeric else "any") for column in columns]


def names(part: EstimatorNode) -> list[str] | None:
    """Return the names that the part records, or its first inner part with the same columns."""
    if recorded := recorded_names(part):
        return recorded
    if part.kind == "ColumnTransformer":
        return chosen_names(part) or None  # releases that do not record all names
    if (boosted := booster(part)) and boosted.names:
        return list(boosted.names)
    if part.top == "statsmodels":
        found = formula(part)
        return found.inputs if found else exogenous_names(part)
    return next(filter(None, map(names, entries(part))), None)


_LOSSES_WITH_PROBABILITIES = {"log", "log_loss", "modified_huber"}
_TWO = 2
_MAX_OUTCOMES = 10_000
_WITH_PROBABILITIES_SINCE = {"NearestCentroid": (1, 6), "RadiusNeighborsClassifier": (0, 22)}
_PASSING_ON = {"SimpleImputer", "FunctionTransformer", "VarianceThreshold", "SelectKBest"}


def prediction(
    root: EstimatorNode, labels: tuple[Scalar, ...] | None, inputs: Sequence[Field]
) -> Field:
    """Return the output "prediction"; `labels` are the classes."""
    part, task = root.last, root.task
    if root.only_transforms:
        return Field("prediction", _transformed_type(part, inputs), (features_out(part),))
    if task == "classifier":
        labels = (0, 1) if is_multilabel(part) else labels
        labels = (*labels, *outlier_labels(part, labels)) if labels else None
        kind = scalar_type(labels) if labels else _type_of_several(part)
        return Field("prediction", kind, _classifier_shape(part), labels)
    if task == "regressor" and part.top != "statsmodels":
        return Field("prediction", "number", _regressor_shape(part))
    if task in ("regressor", "unknown"):
        return _unknown(part)
    return Field("prediction", "integer", (), (-1, 1) if task == "outlier_detector" else labels)


def _unknown(part: EstimatorNode) -> Field:
    """Return the output of an unknown task: numbers for boosters and results of statsmodels."""
    model = booster(part)
    if model is None and part.top == "statsmodels":
        return Field("prediction", "number", _shape_of_results(part))
    if model is None:
        return Field("prediction", "any")
    return Field("prediction", "number", (model.groups,) if model.groups else ())


def _shape_of_results(part: EstimatorNode) -> tuple[int, ...]:
    """Return the shape of a prediction of statsmodels: the probabilities of several outcomes."""
    results = attributes(part.get("_results")) or part.attributes
    count = scalar(attributes(results.get("model")).get("J"))
    return (count,) if type(count) is int and 0 < count < _MAX_OUTCOMES else ()


def _transformed_type(part: EstimatorNode, inputs: Sequence[Field]) -> FieldType:
    if part.name == "MissingIndicator":
        return "boolean"
    only_numbers = all(field.type in {"number", "integer"} for field in inputs)
    return "number" if only_numbers or not _passes_on(part) else "any"


def _passes_on(part: EstimatorNode) -> bool:
    """Return whether the part may return input values unchanged, including texts."""
    if part.kind not in {"ColumnTransformer", "FeatureUnion"}:
        return part.name in _PASSING_ON
    kept = any(node == "passthrough" for _, node, _ in part.steps if isinstance(node, str))
    return kept or any(_passes_on(inner.last) for inner in part.parts)


def _type_of_several(part: EstimatorNode) -> FieldType:
    """Return the type of the labels of a classifier with several outputs."""
    if part.name == "ClassifierChain":
        return "number"  # it fills an array of floats with its labels
    if part.name == "MultiOutputClassifier":
        lists = [classes(member.last) for member in _members(part)]
    else:
        lists = [labels_of(node) for node in _lists_of_labels(part)]
    types = {scalar_type(labels) if labels else "any" for labels in lists}
    return types.pop() if len(types) == 1 else "any"


def _classifier_shape(part: EstimatorNode) -> tuple[int, ...]:
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
        return (1,)  # it returns a column of labels if there are more than two
    return ()


def _members(part: EstimatorNode) -> list[EstimatorNode]:
    """Return the estimators of a classifier with one for each output."""
    nodes = part.get("estimators_")
    return list(filter(None, map(part.inner, nodes if isinstance(nodes, list) else ())))


def _lists_of_labels(part: EstimatorNode) -> list[Node]:
    """Return `classes_` of a classifier with several outputs, an array for each."""
    node = part.get("classes_")
    array = view(node)
    items = array.items if array and is_nested(array) else node
    return items if isinstance(items, list) and items and view(items[0]) is not None else []


def _regressor_shape(part: EstimatorNode) -> tuple[int, ...]:
    if ".cross_decomposition." in part.cls.module and part.get("_predict_1d") is not True:
        loadings = view(part.get("y_loadings_"))
        return loadings.shape[:1] if loadings else ()
    count = part.number("n_outputs_")
    if count is None and part.name in {"MultiOutputRegressor", "RegressorChain"}:
        members = part.get("estimators_")
        return (len(members),) if isinstance(members, list) else ()
    if count is None and (model := booster(part)):
        count = model.targets or 1
    if count is not None:
        return (count,) if count > 1 else ()
    return _width_of_coefficients(part)


def _width_of_coefficients(part: EstimatorNode) -> tuple[int, ...]:
    if part.name.endswith("SVR") or part.get("_predict_1d") is True:
        return ()
    name = next((n for n in ("coef_", "_y", "dual_coef_", "y_train_") if part.get(n)), None)
    array = view(part.get(name)) if name else None
    if array is None or len(array.shape) != 2:
        return ()
    return (array.shape[0] if name == "coef_" else array.shape[1],)


def has_probabilities(part: EstimatorNode) -> bool:
    """Return whether `predict_proba` can be called on the loaded model."""
    if part.name in {"SVC", "NuSVC"}:
        return part.get("probability") is True
    if part.name == "SGDClassifier":
        return part.text("loss") in _LOSSES_WITH_PROBABILITIES
    if part.name == "VotingClassifier":
        return part.text("voting") == "soft"
    if part.has("predict_proba") is not None and part.name not in _DELEGATING:
        is_old = part.release < _WITH_PROBABILITIES_SINCE.get(part.name, (0, 0))
        return bool(part.has("predict_proba")) and not is_old
    if part.name in _DELEGATING:
        final = part.inner(part.get("final_estimator_"))
        inner = final or next(part.parts, None)
        return inner is not None and has_probabilities(inner.last)
    return part.top in {"xgboost", "lightgbm", "catboost", "imblearn"}


_DELEGATING = {
    "StackingClassifier", "OneVsRestClassifier", "MultiOutputClassifier", "RFE", "RFECV",
    "SelfTrainingClassifier", "FixedThresholdClassifier", "TunedThresholdClassifierCV",
    "ClassifierChain",
}  # fmt: skip
