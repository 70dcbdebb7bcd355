"""The labels of a classifier, read where its `predict` reads them.

Several attributes of a fitted classifier contain the labels, and `predict` uses one of them, which
depends on the class and on the release. A crafted file can contain other labels in the rest, or add
an attribute that the class does not have. An attribute is therefore read only if `predict` of that
class uses it in some release. If those that a file contains differ, the labels are unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelpack.types import Scalar

from ..nodes import Node
from ..pickle.ndarrays import Array, scalar, view
from .boosters import booster
from .estimators import EstimatorNode

Labels = tuple[Scalar, ...]

_MIXTURES = {"GaussianMixture", "BayesianGaussianMixture"}
_ENCODERS = {
    "VotingClassifier": ("le_",),
    "StackingClassifier": ("_label_encoder", "_le"),
    "MLPClassifier": ("_label_binarizer",),
    "OneVsRestClassifier": ("label_binarizer_",),
}
"""Classifiers of scikit-learn whose `predict` decodes numbers -> attributes of the decoder."""

_PROPERTY_OF = {
    "RidgeClassifier": "_label_binarizer", "RidgeClassifierCV": "_label_binarizer",
}  # fmt: skip
"""Classifiers with an attribute `classes_`, in older releases a property of this attribute."""

_DELEGATING = {
    "FixedThresholdClassifier": ("estimator_", "estimator"),
    "GaussianProcessClassifier": ("base_estimator_",),
    "RFE": ("estimator_",),
    "RFECV": ("estimator_",),
    "SelfTrainingClassifier": ("estimator_", "base_estimator_"),
    "TunedThresholdClassifierCV": ("estimator_",),
}
"""Classifiers that delegate to another classifier -> its attributes."""

_BINARIZERS = {
    "MLPClassifier": "_label_binarizer", "OneVsRestClassifier": "label_binarizer_", **_PROPERTY_OF,
}  # fmt: skip
"""Classifiers that decode several labels at a time -> the attribute that decodes them."""

_MULTIOUTPUT = {"ClassifierChain", "MultiOutputClassifier"}
_WITHOUT_ENCODER = (2, 0)
"""The first release of XGBoost whose classifiers do not decode predictions."""

_MAX_LABELS = 100_000
"""A larger count is no reason to allocate a label for each: the file may contain any number."""

_RELEASE = re.compile(r"(\d{1,4})\.(\d{1,4})", re.ASCII)


def classes(part: EstimatorNode) -> Labels | None:
    """Return the labels of a classifier in the order of its probabilities.

    Returns:
        The labels; of a mixture, the numbers of its components. None if the file does not contain
        them, if its attributes contradict each other, or if the classifier predicts several labels
        at a time.
    """
    is_of_several = part.is_sklearn and part.name in _MULTIOUTPUT
    if is_multilabel(part) or is_of_several:
        return None
    if part.is_sklearn and part.name in _MIXTURES:
        weights = part.floats("weights_")
        return tuple(range(len(weights))) if weights else None
    # The task of private classes, such as those inside a Gaussian process, is unknown.
    if part.is_sklearn and part.task not in {"classifier", "unknown"}:
        return None
    found = list(_sources(part))
    return found[0] if found and all(each == found[0] for each in found) else None


def is_multilabel(part: EstimatorNode) -> bool:
    """Return whether the classifier was trained on a matrix with a 0 or 1 for each label."""
    if not part.is_sklearn or part.name not in _BINARIZERS:
        return False
    binarizer = part.inner(part.get(_BINARIZERS[part.name]))
    return binarizer is not None and binarizer.text("y_type_") == "multilabel-indicator"


def outlier_labels(part: EstimatorNode, labels: Labels) -> Labels:
    """Return the label of a radius classifier for rows without neighbours, if not a class."""
    is_by_radius = part.is_sklearn and part.name == "RadiusNeighborsClassifier"
    node = part.get("outlier_label_") if is_by_radius else None
    found = map(scalar, node) if isinstance(node, list) else labels_of(node) or ()
    return tuple(label for label in found if label is not None and label not in labels)


def labels_of(node: Node) -> Labels | None:
    """Return the values of a flat array."""
    array = view(node)
    values = array.values() if array and len(array.shape) == 1 and not is_nested(array) else None
    return tuple(values) if values else None


def is_nested(array: Array) -> bool:
    return any(view(item) is not None for item in array.items or ())


def _sources(part: EstimatorNode) -> Iterator[Labels | None]:
    """Yield the labels of each attribute from which `predict` takes them in some release."""
    if part.top in _LIBRARY_SOURCES:
        yield from _LIBRARY_SOURCES[part.top](part)
        return
    name = part.name if part.is_sklearn else ""
    if name in _DELEGATING:
        keys = [key for key in _DELEGATING[name] if part.get(key) is not None]
        if (
            keys[:1] == ["estimator_"] and "estimator" in keys
        ):  # the parameter predicts if it was already fitted
            keys.remove("estimator")
        inner = [part.inner(part.get(key)) for key in keys]
        yield from (classes(each.last) if each else None for each in inner)
    elif name in _ENCODERS:
        yield from _decoded(part, *_ENCODERS[name])
        yield from _own(part)
    elif name in _PROPERTY_OF:
        yield from _own(part)
        yield from _decoded(part, _PROPERTY_OF[name])
    elif part.is_sklearn:
        yield _constant(part, labels_of(part.get("classes_")))
    else:  # It is unknown what `predict` of a subclass by others reads.
        yield from _own(part, "classes_", "_classes")
        yield from _decoded(part, "_le", "_label_encoder", "label_encoder_")


def _own(part: EstimatorNode, *keys: str) -> Iterator[Labels | None]:
    """Yield labels that are attributes of the classifier, if the file contains them."""
    nodes = filter(None, (part.get(key) for key in keys or ("classes_",)))
    yield from map(labels_of, nodes)


def _decoded(part: EstimatorNode, *keys: str) -> Iterator[Labels | None]:
    """Yield the labels of encoders, or None for an attribute that is not an encoder."""
    for key in keys:
        node = part.attributes.get(key)
        if node is not None:
            encoder = part.inner(node)
            yield labels_of(encoder.get("classes_")) if encoder else None


def _constant(part: EstimatorNode, labels: Labels | None) -> Labels | None:
    """Return the labels, unless a dummy predicts another constant."""
    strategies = (part.text("strategy"), part.text("_strategy"))
    if part.name != "DummyClassifier" or "constant" not in strategies or labels is None:
        return labels
    constant = part.get("constant")
    found = labels_of(constant) or (scalar(constant),)
    return labels if set(found) <= set(labels) else None


def _lightgbm(part: EstimatorNode) -> Iterator[Labels | None]:
    yield from _decoded(part, "_le")
    yield from _own(part, "_classes")


def _catboost(part: EstimatorNode) -> Iterator[Labels | None]:
    model = booster(part) if part.task == "classifier" else None
    yield model.classes if model else None


def _xgboost(part: EstimatorNode) -> Iterator[Labels | None]:
    """Yield the labels of the encoder that releases before 2.0 have, and the numbers of classes."""
    model = booster(part)
    match = _RELEASE.match(model.version or "") if model else None
    release = (int(match[1]), int(match[2])) if match else (0, 0)
    encoded = list(_decoded(part, "_le"))
    if encoded and release < _WITHOUT_ENCODER:
        yield from encoded
        yield from _own(part)
        return
    count = part.number("n_classes_")
    groups = model.groups if model else None
    if not count or count > _MAX_LABELS or groups not in (None, count):
        yield None
        return
    yield tuple(range(count))
    yield from encoded


_LIBRARY_SOURCES = {"lightgbm": _lightgbm, "catboost": _catboost, "xgboost": _xgboost}
