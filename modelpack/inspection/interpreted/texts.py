"""Kinds of texts that libraries use to look up a method, an attribute or a function."""

from __future__ import annotations

from ..allowlist import standing
from ..contracts import class_key
from ..contracts.kinds import Kind, either, is_zone_path, nothing
from ..nodes import Global, Node, ObjectNode

METHODS = {
    "predict", "predict_proba", "predict_log_proba", "decision_function", "transform",
    "score_samples",
}  # fmt: skip
"""The methods that scikit-learn looks up by name. None opens a file or runs code in a text."""

_HASHES = {
    "blake2b", "blake2s", "md4", "md5", "md5-sha1", "ripemd160", "sha1", "sha224", "sha256",
    "sha384", "sha3_224", "sha3_256", "sha3_384", "sha3_512", "sha512", "sha512_224", "sha512_256",
    "sm3", "whirlpool",
}  # fmt: skip


def one_of(texts: set[str]) -> Kind:
    """One of these texts, of type `str` itself: a subclass could override `__eq__`."""
    return lambda node: type(node) is str and node in texts


def _several(kind: Kind) -> Kind:
    """A list or tuple with values of one kind, or None."""
    fits = either(nothing, kind)
    return lambda node: isinstance(node, list | tuple) and all(map(fits, node))


def _path(node: Node) -> bool:
    """A dotted path of public attributes, for `operator.attrgetter`."""
    parts = node.split(".") if type(node) is str else [""]
    return all(part and not part.startswith("_") for part in parts)


def _must_be_trusted(node: Node) -> bool:
    """A function or object that the user has to trust."""
    key = class_key(node) if isinstance(node, ObjectNode) else getattr(node, "key", "")
    return isinstance(node, ObjectNode | Global) and standing(key) == "unknown"


def zone_name(node: Node) -> bool:
    """Any value but a text with `dateutil/`: dateutil opens the rest of that text as a file."""
    return not is_zone_path(node)


def metadata(node: Node) -> bool:
    """Names of the attributes that pandas copies between objects: the name of a series."""
    return isinstance(node, list | tuple) and all(map(one_of({"_name", "name"}), node))


_method = one_of(METHODS)

method: Kind = either(nothing, _method)
methods: Kind = _several(_method)
choice: Kind = either(nothing, one_of(METHODS | {"auto", "default"}), methods)
getter: Kind = either(nothing, _path, _must_be_trusted)
distribution: Kind = one_of({"normal", "uniform"})
hash_name: Kind = one_of(_HASHES)
likelihood: Kind = one_of({"geometric", "nb1", "nb2"})
