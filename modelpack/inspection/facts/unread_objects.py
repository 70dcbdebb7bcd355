"""Harmless objects that honest models contain and that modelpack does not read.

Any name of the standard library that no model needs is banned. These are common in attributes of
the user's own classes, and their loading runs no code of the file, so they are named as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from modelpack.types import Finding

from ..nodes import DictNode, Node, ObjectNode
from ..verdicts import UNKNOWN
from .unserved import CODE as UNSERVED
from .unserved import is_altered_lookup

VALUE = "unread-value"
FUNCTION = "unread-function"
NETWORK = "neural-network"

_VALUES = {
    "argparse:Namespace", "decimal:Decimal", "fractions:Fraction", "ipaddress:IPv4Address",
    "ipaddress:IPv6Address", "random:Random", "string:Template", "types:SimpleNamespace",
    "uuid:SafeUUID", "uuid:UUID",
}  # fmt: skip
_FUNCTIONS = {"operator:itemgetter"}
"""attrgetter and methodcaller are not harmless: they reach any attribute or method of a row."""
_NETWORKS = ("gensim.", "nltk.", "river.", "skorch.", "spacy.", "thinc.", "torch.")
_OF_NETWORKS = {"builtins:getattr", "builtins:print", "functools:partial"}
_LIBRARIES = {
    "fbprophet.": "predicts a frame of dates by the column ds, and returns a frame",
    "prophet.": "predicts a frame of dates by the column ds, and returns a frame",
    "optuna.": "is a search for parameters, and no model",
    "spacy.": "takes a text and returns a document",
    "gensim.": "is a model of words or documents, and predicts no rows of a table",
    "nltk.classify.": "predicts from a dict of features, by the method classify",
    "river.": "predicts one row at a time, by the method predict_one",
}
_MODULE_STATE = {"_buffers", "_modules", "_parameters"}
"""Attributes of every torch.nn.Module, also of the user's own classes."""


def unread_object(
    findings: Iterable[Finding], objects: Sequence[ObjectNode], roots: Iterable[Node]
) -> Finding | None:
    """Return the only finding of a file with such an object, or None if another is a danger."""
    names = [f.global_ or "" for f in findings if f.code != UNKNOWN]
    if names and {*names} <= _VALUES | _FUNCTIONS:
        is_function = names[0] in _FUNCTIONS
        kind = "a function made by" if is_function else "an object of"
        message = f"it contains {kind} {names[0].replace(':', '.')}, which modelpack does not read"
        return Finding(FUNCTION if is_function else VALUE, message, global_=names[0])
    if not all(name.startswith(_NETWORKS) or name in _OF_NETWORKS for name in names):
        return None
    if any(map(is_altered_lookup, objects)):
        return None
    models = [root for root in roots if isinstance(root, ObjectNode)]
    for model in models:
        for library, reason in _LIBRARIES.items():
            if model.cls.key.startswith(library):
                return Finding(UNSERVED, f"{model.cls.dotted} {reason}")
    network = _network(objects, models)
    return Finding(NETWORK, network) if network else None


def _network(objects: Iterable[ObjectNode], roots: Iterable[ObjectNode]) -> str | None:
    """Return that the file is a neural network. An object may contain one and be served."""
    wrappers = (node for node in objects if node.cls.key.startswith("skorch."))
    if wrapper := next(wrappers, None):
        return f"it contains a neural network of skorch ({wrapper.cls.dotted})"
    for root in roots:
        if any(map(_is_module_state, root.states)):
            return f"the file is a neural network of PyTorch ({root.cls.dotted})"
    return None


def _is_module_state(state: Node) -> bool:
    keys = state.keys if isinstance(state, DictNode) else ()
    return {key for key in keys if type(key) is str} >= _MODULE_STATE
