"""What comes out of a model: the type and shape of its predictions, its classes."""

from __future__ import annotations

from modelpack.spec import Field, Scalar

from .arrays import Array, view
from .columns import scalar_type
from .nodes import Dct
from .parts import Part

_LOSSES_WITH_PROBABILITIES = {"log", "log_loss", "modified_huber"}


def prediction(root: Part, labels: tuple[Scalar, ...] | None, width: int) -> Field:
    """The output "prediction". `labels` are the classes, `width` the number of inputs."""
    part, task = root.last, root.task
    if task == "classifier":
        labels = (0, 1) if _is_multilabel(part) else labels
        kind = scalar_type(labels) if labels else "any"
        return Field("prediction", kind, _classifier_shape(part), labels)
    if task == "regressor":
        return Field("prediction", "number", _regressor_shape(part))
    if task == "clusterer":
        return Field("prediction", "integer")
    if task == "outlier_detector":
        return Field("prediction", "integer", (), (-1, 1))
    if task == "transformer":
        return Field("prediction", "number", (_output_width(part, width),))
    return Field("prediction", "any")


def classes(part: Part) -> tuple[Scalar, ...] | None:
    """The labels of a classifier in the order of its probabilities, if the file tells them; not of
    one that gives several at a time.
    """
    if _is_multilabel(part):
        return None
    node = part.get("classes_", "_classes")
    encoder = part.inner(part.get("_le", "_label_encoder", "label_encoder_"))
    if encoder is not None and view(encoder.get("classes_")) is not None:
        node = encoder.get("classes_")
    if node is None and part.name in _DELEGATING:
        inner = next(part.parts, None)
        return classes(inner.last) if inner else None
    if node is None and (count := part.number("n_classes_", "_n_classes")):
        return tuple(range(count)) if part.cls.module.startswith("xgboost") else None
    array = view(node)
    values = array.values() if array and len(array.shape) == 1 and not _nested(array) else None
    return tuple(values) if values else None


_DELEGATING = {
    "TunedThresholdClassifierCV", "FixedThresholdClassifier", "RFE", "RFECV", "OneVsRestClassifier",
}  # fmt: skip


def _nested(array: Array) -> bool:
    return any(view(item) is not None for item in array.items or ())


def _is_multilabel(part: Part) -> bool:
    """Whether it was told for each label whether a row has it, in a matrix of zeros and ones."""
    binarizer = part.inner(part.get("label_binarizer_", "_label_binarizer"))
    return binarizer is not None and binarizer.text("y_type_") == "multilabel-indicator"


def _classifier_shape(part: Part) -> tuple[int, ...]:
    labels = view(part.get("classes_"))
    if labels is not None and _is_multilabel(part):
        return labels.shape
    node = part.get("classes_")
    array = view(node)
    items = array.items if array and _nested(array) else node
    if isinstance(items, list) and items and view(items[0]) is not None:
        return (len(items),)
    if part.name in {"MultiOutputClassifier", "ClassifierChain"}:
        members = part.get("estimators_")
        return (len(members),) if isinstance(members, list) else ()
    return ()


def _regressor_shape(part: Part) -> tuple[int, ...]:
    if part.get("_predict_1d") is True:
        return ()
    outputs = part.number("n_outputs_")
    if outputs is not None:
        return (outputs,) if outputs > 1 else ()
    if part.name in {"MultiOutputRegressor", "RegressorChain"}:
        members = part.get("estimators_")
        return (len(members),) if isinstance(members, list) else ()
    name = next((n for n in ("coef_", "_y", "dual_coef_", "y_train_") if part.get(n)), None)
    array = view(part.get(name)) if name and not part.name.endswith("SVR") else None
    if array is None or len(array.shape) != 2:
        return ()
    return (array.shape[0] if name == "coef_" else array.shape[1],)


def _output_width(part: Part, width: int) -> int:
    """The length of a transformed row; -1 where the file does not tell it."""
    known = part.number("_n_features_out", "n_components_")
    if known is not None:
        return known
    vocabulary = part.get("vocabulary_")
    if isinstance(vocabulary, Dct):
        return len(vocabulary.keys)
    for name in ("components_", "scalings_"):
        array = view(part.get(name))
        if array and len(array.shape) == 2:
            return array.shape[0]
    return width if width and part.name.endswith(_SAME_WIDTH) else -1


def has_probabilities(part: Part) -> bool:
    """Whether `predict_proba` can be called on the loaded model, not only on its class."""
    if part.name in {"SVC", "NuSVC"}:
        return part.get("probability") is True
    if part.name == "SGDClassifier":
        return part.text("loss") in _LOSSES_WITH_PROBABILITIES
    if part.name == "VotingClassifier":
        return part.text("voting") == "soft"
    if part.has("predict_proba") is not None and part.name not in _ASKING:
        return bool(part.has("predict_proba"))
    if part.name in _ASKING:
        final = part.inner(part.get("final_estimator_"))
        inner = final or next(part.parts, None)
        return inner is not None and has_probabilities(inner.last)
    return part.cls.module.partition(".")[0] in {"xgboost", "lightgbm", "catboost", "imblearn"}


_SAME_WIDTH = ("Scaler", "OrdinalEncoder", "Normalizer", "Binarizer", "PowerTransformer",
               "QuantileTransformer", "TfidfTransformer")  # fmt: skip
_ASKING = {
    "StackingClassifier", "OneVsRestClassifier", "MultiOutputClassifier", "RFE", "RFECV",
    "SelfTrainingClassifier", "FixedThresholdClassifier", "TunedThresholdClassifierCV",
    "ClassifierChain",
}  # fmt: skip
