"""The signature of a model: what goes in and what comes out, from what training left behind."""

from __future__ import annotations

from collections import Counter

from modelpack.types import Signature

from . import inputs, labels, outputs
from .parts import Part
from .passage import head

NO_SIGNATURE = Signature((), ())

_NO_ROWS = {
    "FeatureHasher": "dicts", "LabelBinarizer": "labels",
    "LabelEncoder": "labels", "MultiLabelBinarizer": "labels", "PatchExtractor": "images",
}  # fmt: skip

_RESULTS = {"_results", "params"}
"""Attributes of results of statsmodels, or of the object around them; a model has neither."""


def signature(root: Part) -> Signature:
    """All that the file tells of inputs and outputs; what it does not tell is left general."""
    fields = inputs.fields(root)
    layout = inputs.layout(root, fields)
    classes = labels.classes(root.last)
    return Signature(
        inputs=tuple(fields),
        outputs=(outputs.prediction(root, classes, fields),),
        classes=classes,
        layout=layout,
        named=layout == "dicts" or (layout != "text" and inputs.names(root) is not None),
        probabilities=(root.task == "classifier" or classes is not None)
        and outputs.has_probabilities(root.last),
    )


def no_prediction(root: Part) -> str | None:
    """Why the model, though fitted, answers no rows of a table; None if it does."""
    part, first = root.last, head(root)
    if root.has("predict") is False and root.has("transform") is False:
        return f"{part.cls.dotted} has neither predict nor transform for new rows"
    if part.top == "xgboost" and part.name == "Booster":
        name = part.cls.dotted
        return f"{name} predicts a DMatrix; what its save_model('model.json') writes is served"
    if part.name == "LocalOutlierFactor" and part.get("novelty") is not True:
        return f"{part.cls.dotted} judges new rows only where it was fitted with novelty=True"
    if part.top == "statsmodels" and not _RESULTS & part.attributes.keys():
        return f"{part.cls.dotted} is not what its method fit returned, and predicts no rows"
    if first.is_sklearn and first.name in _NO_ROWS:
        return f"{first.cls.dotted} takes {_NO_ROWS[first.name]} and no rows of a table"
    return None


def repeated_name(root: Part) -> str | None:
    """Return a name that two columns of the training frame had."""
    counts = Counter(inputs.names(root) or ())
    return next((name for name, count in counts.items() if count > 1), None)
