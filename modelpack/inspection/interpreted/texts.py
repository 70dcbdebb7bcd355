"""Text by which libraries look up what they call: names of methods, paths, names in a module."""

from __future__ import annotations

from ..allowlist import standing
from ..contracts import class_key
from ..contracts.kinds import Kind, either, is_zone_path, nothing
from ..nodes import Global, Node, ObjectNode

METHODS = {
    "predict", "predict_proba", "predict_log_proba", "decision_function", "transform",
    "score_samples",
}  # fmt: skip
"""The methods that scikit-learn looks up by text: none opens a file or runs text."""

_HASHES = {
    "blake2b", "blake2s", "md4", "md5", "md5-sha1", "ripemd160", "sha1", "sha224", "sha256",
    "sha384", "sha3_224", "sha3_256", "sha3_384", "sha3_512", "sha512", "sha512_224", "sha512_256",
    "sm3", "whirlpool",
}  # fmt: skip


def one_of(words: set[str]) -> Kind:
    """One of these words, as text of Python: a subclass could answer differently."""
    return lambda node: type(node) is str and node in words


def _several(kind: Kind) -> Kind:
    """A list or tuple, of which each value may also be missing."""
    fits = either(nothing, kind)
    return lambda node: isinstance(node, list | tuple) and all(map(fits, node))


def _path(node: Node) -> bool:
    """A dotted path of public attributes, as operator.attrgetter takes it."""
    parts = node.split(".") if type(node) is str else [""]
    return all(part and not part.startswith("_") for part in parts)


def _unknown(node: Node) -> bool:
    """A function or object that modelpack does not know: the user has to trust it anyway."""
    key = class_key(node) if isinstance(node, ObjectNode) else getattr(node, "key", "")
    return isinstance(node, ObjectNode | Global) and standing(key) == "unknown"


def zone_name(node: Node) -> bool:
    """No text, or one that pandas does not take for the path of a file: it hands the part behind
    `dateutil/` to dateutil, which opens it.
    """
    return not is_zone_path(node)


def metadata(node: Node) -> bool:
    """The attributes that pandas copies from one object to another: a series has its name."""
    return isinstance(node, list | tuple) and all(map(one_of({"_name", "name"}), node))


_method = one_of(METHODS)

method: Kind = either(nothing, _method)
methods: Kind = _several(_method)
choice: Kind = either(nothing, one_of(METHODS | {"auto", "default"}), methods)
getter: Kind = either(nothing, _path, _unknown)
distribution: Kind = one_of({"normal", "uniform"})
hash_name: Kind = one_of(_HASHES)
likelihood: Kind = one_of({"geometric", "nb1", "nb2"})
