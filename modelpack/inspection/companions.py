"""Column names and class labels that a file contains next to its estimators.

Examples: {"model": ..., "columns": [...], "label_encoder": ...}, (model, [...]). Such values are
used only if they fit the model in exactly one way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from modelpack.types import Field, Scalar, Signature

from .facts.columns import scalar_type
from .facts.estimators import EstimatorNode
from .facts.signature import MAX_INPUTS
from .nodes import DictNode, Node
from .pickle.ndarrays import scalar, view

_NAME_KEYS = {
    "columns", "cols", "columnnames", "features", "featurenames", "featurecolumns", "featurecols",
    "featurelist", "featuresnames", "featurenamesin", "inputcolumns", "inputfeatures", "inputs",
    "modelcolumns", "modelfeatures", "traincolumns", "trainingcolumns", "xcolumns",
    "selectedfeatures", "selectedcolumns", "predictors",
}  # fmt: skip
_LABEL_KEYS = {
    "labels", "classes", "classnames", "classlabels", "targetnames", "labelnames", "labelmap",
    "labelmapping", "classmap", "classmapping", "targetmap", "targetmapping", "idx2label",
    "idxtolabel", "indextolabel", "int2label", "inttolabel", "id2label", "idtolabel", "idxtoclass",
    "inverselabelmap", "label2id", "labeltoid", "classtoidx",
}  # fmt: skip
_THRESHOLD_KEYS = {
    "threshold", "thresh", "bestthreshold", "bestthresh", "optimalthreshold", "optthreshold",
    "decisionthreshold", "probabilitythreshold", "probathreshold", "probthreshold",
    "classificationthreshold", "cutoff", "bestcutoff", "optimalcutoff", "decisioncutoff",
    "probabilitycutoff",
}  # fmt: skip
_TARGET_WORDS = {
    "label", "labels", "labelencoder", "target", "targets", "y", "class", "classes", "lbl",
    "output", "response", "outcome",
}  # fmt: skip
"""Words in the key of an encoder of the target."""
_ENCODER_WORDS = _TARGET_WORDS | {"le", "encoder", "enc", "transformer"}
"""Words in the key of an encoder that do not name a column."""

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_MAX_LABELS = 100_000
_MAX_POSITIONS = 16
_BINARY = 2
_OWN_THRESHOLD = 0.5


@dataclass(frozen=True)
class Companion:
    """A value of a collection, and its key.

    Attributes:
        is_position: The key is a position in a list or tuple, which does not describe the value.
    """

    key: str
    value: Node
    is_position: bool = False

    def has_key(self, keys: set[str]) -> bool:
        """Return whether the key is one of these, or does not exclude any."""
        return self.is_position or _plain(self.key) in keys


@dataclass(frozen=True)
class Labels:
    """The labels of the predictions 0, 1, ..., and their key in the file."""

    key: str
    values: tuple[Scalar, ...]


def named(signature: Signature, values: Iterable[Companion]) -> tuple[Signature, str]:
    """Return the signature with names from a list in the file, and the key of the list.

    The key is "" if the model has recorded names itself, or if not exactly one list fits.
    """
    width = len(signature.inputs)
    if signature.named or signature.layout not in {"array", "frame"} or not width:
        return signature, ""
    lists = {
        c.key: names
        for c in _usable(values, signature)
        if (names := _names(c)) and len(names) == width
    }
    if len(set(lists.values())) != 1:
        return signature, ""
    key, names = next(iter(lists.items()))
    pairs = zip(signature.inputs, names, strict=True)
    return replace(signature, inputs=tuple(replace(f, name=n) for f, n in pairs), named=True), key


def _usable(values: Iterable[Companion], signature: Signature) -> Iterator[Companion]:
    """Yield the values that are either of inputs or of classes, if their number or key shows it."""
    is_distinct = len(signature.inputs) != len(signature.classes or ())
    return (each for each in values if is_distinct or not each.is_position)


def _names(companion: Companion) -> tuple[str, ...] | None:
    if not companion.has_key(_NAME_KEYS):
        return None
    values = _to_list(companion.value)
    if not 0 < len(values) <= MAX_INPUTS or not all(isinstance(v, str) and v for v in values):
        return None
    names = tuple(map(str, values))
    return names if len(set(names)) == len(names) else None


def labelled(signature: Signature, labels: Labels) -> Signature:
    """Return the signature of a classifier whose predictions are decoded to `labels`."""
    (output,) = signature.outputs
    decoded = Field(output.name, scalar_type(labels.values), output.shape, labels.values)
    return replace(signature, outputs=(decoded,), classes=labels.values)


def find_labels(
    signature: Signature,
    encoders: Sequence[tuple[str, EstimatorNode]],
    values: Iterable[Companion],
    *,
    selected: bool,
) -> tuple[Labels | None, str]:
    """Return the labels of the classes 0, 1, ..., and why a possible encoder is not used ("").

    An encoder is that of the target unless its key names an input, or may name one. A collection in
    the collection, such as {"encoders": {"gender": ...}}, contains encoders of inputs: only a key
    for the target counts in it.

    Args:
        signature: That of the model.
        encoders: The LabelEncoders of the file with their keys.
        values: Other values of the file.
        selected: Whether the user selected the only encoder.
    """
    count = len(signature.classes or ())
    if not count or signature.classes != tuple(range(count)):
        return None, "the model does not predict classes 0, 1, ..." if selected else ""
    fitting = [
        Labels(key, classes) for key, part in encoders if len(classes := _classes(part)) == count
    ]
    is_needed = signature.named and bool(fitting)
    names = set(_by_plain_name(signature)) if is_needed else None
    if not selected:
        fitting = [each for each in fitting if not _is_for_input(each.key, names or set())]
    certain = [each for each in fitting if selected or _is_for_target(each.key, names is not None)]
    mapped = [
        Labels(c.key, labels)
        for c in _usable(values, signature)
        if len(labels := _mapped(c)) == count
    ]
    for group in (certain, mapped):
        if len({each.values for each in group}) == 1:
            return group[0], ""
    if selected:
        return None, f"the label encoder does not have the {count} classes of the model"
    keys = ", ".join(each.key for each in fitting)
    return None, f"the file contains label encoders for {count} classes ({keys})" if keys else ""


def outputs_of_labels(
    signature: Signature, binarizers: Iterable[tuple[str, EstimatorNode]]
) -> Iterator[Labels]:
    """Yield the binarizers whose labels are as many as the outputs of the model."""
    shape = signature.outputs[0].shape if signature.outputs else ()
    for key, part in binarizers:
        if (labels := _classes(part)) and shape == (len(labels),):
            yield Labels(key, labels)


def input_codes(
    signature: Signature, encoders: Sequence[tuple[str, EstimatorNode]]
) -> Iterator[tuple[str, Labels]]:
    """Yield the name and the encoder of each input that takes codes: the encoder's key names it."""
    if not signature.named or not encoders:
        return
    fields = _by_plain_name(signature)
    for key, part in encoders:
        last = _last(key)
        field = fields.get(_plain(last)) or fields.get("".join(_other_words(last)))
        if field is None or field.type not in {"number", "integer", "any"}:
            continue
        if field.categories is None and (classes := _classes(part)):
            yield field.name, Labels(key, classes)


def _by_plain_name(signature: Signature) -> dict[str, Field]:
    distinct = {field.name: field for field in signature.inputs}  # a file can repeat a long name
    return {_plain(name): field for name, field in distinct.items()}


def _classes(part: EstimatorNode) -> tuple[Scalar, ...]:
    array = view(part.get("classes_"))
    if array is None or len(array.shape) != 1 or array.size > _MAX_LABELS:
        return ()
    return _scalars(array.values() or ())


def _is_for_input(key: str, names: set[str]) -> bool:
    last = _last(key)
    return _plain(last) in names or "".join(_other_words(last)) in names


def _is_for_target(key: str, knows_inputs: bool) -> bool:
    """Return whether an encoder that is not known to be for an input is certainly for the target.

    Args:
        key: Its key in the file, with dots between nested keys.
        knows_inputs: The names of the inputs are known, and the key is not one of them.
    """
    last = _last(key)
    if last != key:
        return is_for_target(last) and not _other_words(last)
    return knows_inputs or not _other_words(key)


def is_for_target(key: str) -> bool:
    """Return whether a word in the last part of a key names the target, as in "scaler_y"."""
    return bool(_TARGET_WORDS.intersection(_split_words(_last(key))))


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def _split_words(key: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(key)]


def _other_words(key: str) -> list[str]:
    return [word for word in _split_words(key) if word not in _ENCODER_WORDS]


def _mapped(companion: Companion) -> tuple[Scalar, ...]:
    """Return the labels in a list of strings, or in a dict between strings and 0, 1, ..."""
    if not companion.has_key(_LABEL_KEYS):
        return ()
    node = companion.value
    if not isinstance(node, DictNode):
        values = _scalars(_to_list(node))
        return values if all(isinstance(value, str) for value in values) else ()
    keys, values = _scalars(node.keys), _scalars(node.values)
    if set(map(type, keys)) == {str}:
        keys, values = values, keys
    if not 0 < len(keys) <= _MAX_LABELS or set(map(type, values)) != {str}:
        return ()
    if set(map(type, keys)) != {int} or set(keys) != set(range(len(values))):
        return ()
    order = dict(zip(keys, values, strict=True))
    return tuple(order[index] for index in range(len(values))) if len(order) == len(keys) else ()


def _scalars(nodes: Sequence[Node]) -> tuple[Scalar, ...]:
    values = tuple(map(scalar, nodes)) if len(nodes) <= _MAX_LABELS else ()
    return () if None in values else values


def find_threshold(signature: Signature, values: Iterable[Companion]) -> tuple[str, float] | None:
    """Return the threshold of a classifier of two classes with its key, if the file contains one.

    One of 0.5 is left out, because most classifiers apply it.
    """
    if not signature.probabilities or len(signature.classes or ()) != _BINARY:
        return None
    for each in values:
        value = scalar(each.value) if _plain(each.key) in _THRESHOLD_KEYS else None
        if isinstance(value, float) and 0 < value < 1 and value != _OWN_THRESHOLD:
            return each.key, value
    return None


def _to_list(node: Node) -> list[Node]:
    if isinstance(node, list | tuple):
        return list(node) if len(node) <= MAX_INPUTS else []
    array = view(node)
    is_flat = array is not None and len(array.shape) == 1 and array.size <= MAX_INPUTS
    return (array.values() or []) if array is not None and is_flat else []


def _plain(text: str) -> str:
    return "".join(each for each in text.lower() if each.isalnum())


def companions(root: Node, depth: int = 2) -> Iterator[Companion]:
    """Yield the values of a collection, and of the dicts in it, with their keys."""
    if isinstance(root, list | tuple):
        for index, value in enumerate(root[:_MAX_POSITIONS]):
            yield Companion(str(index), value, is_position=True)
            yield from companions(value, depth - 1) if isinstance(value, DictNode) else ()
    if not isinstance(root, DictNode):
        return
    for key, value in zip(root.keys, root.values, strict=True):
        if isinstance(key, str):
            yield Companion(key, value)
            if depth > 1 and isinstance(value, DictNode):
                yield from companions(value, depth - 1)
