"""The signature of a model: what goes in and what comes out, from what training left behind."""

from __future__ import annotations

from modelpack.spec import Field, Layout, Scalar, Signature

from .arrays import Array, view
from .columns import Column, describe, scalar_type, text_example
from .nodes import Dct, Node, Obj
from .parts import Part, column_names

_NO_ROWS = {
    "DictVectorizer": "dicts", "FeatureHasher": "dicts", "LabelBinarizer": "labels",
    "LabelEncoder": "labels", "MultiLabelBinarizer": "labels", "PatchExtractor": "images",
}  # fmt: skip
TEXT_HEADS = {"TfidfVectorizer", "CountVectorizer", "HashingVectorizer"}
_WIDTHS = ("support_vectors_", "_fit_X", "cluster_centers_", "theta_", "feature_log_prob_",
           "components_", "coef_", "coefs_")  # fmt: skip
_LENGTHS = ("mean_", "scale_", "statistics_", "data_min_", "center_", "max_abs_", "variances_")
_WITHOUT_LOSS = {"log", "log_loss", "modified_huber"}
_NUMERIC = {"sklearn", "xgboost", "lightgbm", "catboost", "imblearn"}
MOST_INPUTS = 100_000
"""Of a wider model the inputs are not listed."""

NO_SIGNATURE = Signature((), ())


def signature(root: Part) -> Signature:
    """All that the file tells of inputs and outputs; what it does not tell is left general."""
    layout = _layout(root)
    fields = _text_inputs(root) if layout == "text" else _inputs(root)
    classes = _classes(root.last)
    return Signature(
        inputs=tuple(fields),
        outputs=(_output(root, classes, len(fields)),),
        classes=classes,
        layout=layout,
        named=layout != "text" and _names(root) is not None,
        probabilities=root.task == "classifier" and _has_probabilities(root.last),
    )


def head(part: Part) -> Part:
    """The part that the rows reach first, functions without state aside."""
    if part.name in {"Pipeline", "FeatureUnion"} or part.name.endswith("SearchCV"):
        parts = list(part.parts)
        fitted = (p for p in parts if p.name != "FunctionTransformer")
        first = next(fitted, parts[0] if parts else None)
        return head(first) if first else part
    inner = next(part.parts, None)
    if inner and part.name != "ColumnTransformer" and inner.name in {"Pipeline", *TEXT_HEADS}:
        return head(inner)
    return part


def no_prediction(root: Part) -> str | None:
    """Why the model, though fitted, answers no rows of a table; None if it does."""
    part, first = root.last, head(root)
    if root.has("predict") is False and root.has("transform") is False:
        return f"{part.cls.dotted} has neither predict nor transform for new rows"
    if part.name == "LocalOutlierFactor" and part.get("novelty") is not True:
        return f"{part.cls.dotted} judges new rows only where it was fitted with novelty=True"
    if first.is_sklearn and first.name in _NO_ROWS:
        return f"{first.cls.dotted} takes {_NO_ROWS[first.name]} and no rows of a table"
    return None


# --- inputs --------------------------------------------------------------------------------------


def _layout(root: Part) -> Layout:
    first = head(root)
    if first.name in TEXT_HEADS:
        return "text"
    if first.name == "ColumnTransformer":
        return "frame" if _names_columns(first) else "array"
    return "array"


def _names_columns(part: Part) -> bool:
    return bool(_chosen_names(part))


def _chosen_names(part: Part) -> list[str]:
    """The names that the steps of a ColumnTransformer choose, each once."""
    chosen = [c for _, _, node in part.steps for c in column_names(node) or ()]
    return list(dict.fromkeys(c for c in chosen if isinstance(c, str)))


def _text_inputs(root: Part) -> list[Field]:
    return [Field("text", "string", example=text_example(head(root)))]


def _inputs(root: Part) -> list[Field]:
    names = _names(root)
    if names is None:
        width = _width(root) or 0
        names = [f"x{i}" for i in range(width if width <= MOST_INPUTS else 0)]
    columns = [Column(name) for name in names]
    describe(root, columns)
    numeric = head(root).cls.module.partition(".")[0] in _NUMERIC
    return [column.field("number" if numeric else "any") for column in columns]


def _names(part: Part) -> list[str] | None:
    """`feature_names_in_` of the part, or of the first of its parts that the rows reach."""
    array = view(part.get("feature_names_in_", "_feature_names_in"))
    values = array.values() if array else None
    if values and all(isinstance(v, str) for v in values):
        return [v for v in values if isinstance(v, str)]
    if part.name == "ColumnTransformer":
        return _chosen_names(part) or None  # of releases that did not record all names
    first = next(part.parts, None)
    return _names(first) if first and part.name not in TEXT_HEADS else None


def _width(part: Part) -> int | None:
    """The number of features, however this release and this class record it."""
    first = next(part.parts, None)
    if part.name in {"Pipeline", "FeatureUnion"} or part.name.endswith("SearchCV"):
        return _width(first) if first else None
    known = part.number("n_features_in_", "_n_features_in", "_n_features", "n_features_")
    if known is None:
        known = _width_of_arrays(part)
    if known is None and first is not None:
        known = _width(first)
    return known


def _width_of_arrays(part: Part) -> int | None:
    shape = part.get("shape_fit_")
    if isinstance(shape, tuple) and len(shape) == 2 and type(shape[1]) is int:
        return shape[1]
    for name in (*_LENGTHS, *_WIDTHS):
        array = view(_first(part.get(name)))
        if array is not None and array.shape and (name in _LENGTHS or array.shape):
            return array.shape[-1] if name != "coefs_" else array.shape[0]
    return _width_of_tree(part)


def _first(node: Node) -> Node:
    return node[0] if isinstance(node, list) and node else node


def _width_of_tree(part: Part) -> int | None:
    if part.name == "IsotonicRegression":
        return 1
    tree = part.get("tree_")
    if isinstance(tree, Obj) and tree.args and type(tree.args[0]) is int:
        return tree.args[0]
    grown = part.get("estimators_")
    array = view(grown)
    items = array.items if array else grown
    member = part.inner(items[0]) if isinstance(items, list) and items else None
    return _width(member) if member else None


# --- outputs -------------------------------------------------------------------------------------


def _output(root: Part, classes: tuple[Scalar, ...] | None, width: int) -> Field:
    part, task = root.last, root.task
    if task == "classifier":
        shape = _classifier_shape(part)
        kind = scalar_type(classes) if classes else "any"
        return Field("prediction", kind, shape, classes)
    if task == "regressor":
        return Field("prediction", "number", _regressor_shape(part))
    if task == "clusterer":
        return Field("prediction", "integer")
    if task == "outlier_detector":
        return Field("prediction", "integer", (), (-1, 1))
    if task == "transformer":
        return Field("prediction", "number", (_output_width(part, width),))
    return Field("prediction", "any")


def _classes(part: Part) -> tuple[Scalar, ...] | None:
    node = part.get("classes_", "_classes")
    encoder = part.inner(part.get("_le", "_label_encoder", "label_encoder_"))
    if encoder is not None and view(encoder.get("classes_")) is not None:
        node = encoder.get("classes_")
    if node is None and part.name in _DELEGATING:
        inner = next(part.parts, None)
        return _classes(inner.last) if inner else None
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


def _classifier_shape(part: Part) -> tuple[int, ...]:
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


def _has_probabilities(part: Part) -> bool:
    """Whether `predict_proba` can be called on the loaded model, not only on its class."""
    if part.name in {"SVC", "NuSVC"}:
        return part.get("probability") is True
    if part.name == "SGDClassifier":
        return part.text("loss") in _WITHOUT_LOSS
    if part.name == "VotingClassifier":
        return part.text("voting") == "soft"
    if part.has("predict_proba") is not None and part.name not in _ASKING:
        return bool(part.has("predict_proba"))
    if part.name in _ASKING:
        final = part.inner(part.get("final_estimator_"))
        inner = final or next(part.parts, None)
        return inner is not None and _has_probabilities(inner.last)
    return part.cls.module.partition(".")[0] in {"xgboost", "lightgbm", "catboost", "imblearn"}


_SAME_WIDTH = ("Scaler", "OrdinalEncoder", "Normalizer", "Binarizer", "PowerTransformer",
               "QuantileTransformer", "TfidfTransformer")  # fmt: skip
_ASKING = {
    "StackingClassifier", "OneVsRestClassifier", "MultiOutputClassifier", "RFE", "RFECV",
    "SelfTrainingClassifier", "FixedThresholdClassifier", "TunedThresholdClassifierCV",
    "ClassifierChain",
}  # fmt: skip
