"""Contracts of joblib caches: the values of the parameter `memory` of a pipeline.

A cache opens, writes and removes files below its location, and calls the function that it caches.
Only training uses it, so a known class may contain one in `memory` and nowhere else. The other
classes of joblib open the files of a cache when they are called, and stay banned.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..allowlist import contract_name, standing
from ..nodes import DictNode, Global, Node, ObjectNode, class_key, is_bare, is_constructed
from .kinds import (
    Contract,
    Kind,
    call_contract,
    either,
    flag,
    integer,
    literal,
    nothing,
    text,
    unsigned_integer,
)

CACHE, FOLDER = "cache", "cache_folder"


def _has_only(kinds: Mapping[str, Kind]) -> Contract:
    """Return the contract of a class whose state has only these attributes, each of its kind."""

    def contract(node: ObjectNode) -> str | None:
        if not is_bare(node):
            return "it is constructed with arguments"
        for state in node.states:
            pairs = (
                zip(state.keys, state.values, strict=True) if isinstance(state, DictNode) else ()
            )
            if not isinstance(state, DictNode) or not all(
                k in kinds and kinds[k](v) for k, v in pairs
            ):
                return "its state is not one that joblib writes"
        return None

    return contract


def is_cache(node: Node) -> bool:
    """Return whether a value is a cache, or the storage backend of one."""
    key = class_key(node) if isinstance(node, ObjectNode) else ""
    return contract_name(key) in {CACHE, FOLDER}


def _is_folder(node: Node) -> bool:
    return (
        isinstance(node, ObjectNode)
        and is_constructed(node)
        and contract_name(class_key(node)) == FOLDER
    )


def _is_empty(node: Node) -> bool:
    return isinstance(node, DictNode) and not node.keys


def _is_unknown(node: Node) -> bool:
    """A function that is refused unless the user trusts it by name."""
    return isinstance(node, Global) and standing(node.key) == "unknown"


memory: Kind = either(
    nothing,
    text,
    lambda node: isinstance(node, ObjectNode) and contract_name(class_key(node)) == CACHE,
    lambda node: isinstance(node, ObjectNode) and standing(class_key(node)) == "unknown",
)
"""The parameter `memory`: a cache, its path, or an object of a class that the user has to trust."""

_LEVEL = either(flag, unsigned_integer)
_MODE = literal(None, "r", "r+", "w+", "c")
_LOCATION = either(nothing, text)

CALLS: dict[str, Contract] = {CACHE: call_contract(nothing, _MODE, _LEVEL, integer)}
"""joblib before 0.12 calls the class of a cache, which makes a folder at its location."""

CLASSES: dict[str, Contract] = {
    CACHE: _has_only(
        {
            "_name": text,
            "_verbose": integer,
            "backend": literal("local"),
            "backend_options": _is_empty,
            "bytes_limit": either(nothing, unsigned_integer, text),
            "cachedir": _LOCATION,
            "compress": _LEVEL,
            "depth": unsigned_integer,
            "location": _LOCATION,
            "mmap_mode": _MODE,
            "store_backend": either(nothing, _is_folder),
            "timestamp": nothing,
        }
    ),
    FOLDER: _has_only(
        {
            "compress": _LEVEL,
            "location": _LOCATION,
            "mmap_mode": _MODE,
            "verbose": integer,
        }
    ),
    "not_cached": _has_only({"func": _is_unknown}),
}
