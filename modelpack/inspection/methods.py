"""State keys that would replace a method of a class.

Python looks up a name in the object first, and in its class only if the object has no such
attribute. A state with the key `predict` therefore replaces the method by another object of the
file. A key with the name of a property has no effect, but `inspect` would show it.

`scripts/make_methods.py` writes methods.json from the sources of all releases. For each class, it
contains the names of methods, properties and other descriptors, without those that some release
sets as an attribute. The release that a file records is ignored: the author of the file chose it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from .allowlist import standing
from .contracts import class_key
from .nodes import DictNode, Global, Node, ObjectNode


def states(objects: Iterable[ObjectNode]) -> dict[str, tuple[str, ...]]:
    """Return the class -> the names that its states set, for the classes that are unknown."""
    by_class: dict[str, set[str]] = {}
    for node in objects:
        for key in _classes(node) if node.states else ():
            if standing(key) == "unknown":
                names = {name for name in _keys(node) if isinstance(name, str)}
                by_class.setdefault(key, set()).update(filter(str.isidentifier, names))
    return {key: tuple(sorted(by_class[key])) for key in sorted(by_class)}


def reserved_by_import(key: str) -> frozenset[str]:
    """Return the names that no state of a class may set, for a class as a file imports it.

    The file may import it from another module of the library than the one that defines it.
    """
    module, _, name = key.partition(":")
    top = module.partition(".")[0]
    names = [
        reserved_names(known)
        for known in _table()["classes"]
        if known.partition(":")[0].partition(".")[0] == top and known.partition(":")[2] == name
    ]
    return frozenset[str]().union(*names)


def replaced(node: ObjectNode) -> str | None:
    """Return what is wrong if a state of an object replaces a method of its class."""
    names = frozenset[str]().union(*map(reserved_names, _classes(node)))
    if not names:
        return None
    for key in _keys(node):
        if isinstance(key, str) and key in names:
            return f"its state replaces {key}, which is a method or property of its class"
    return None


@cache
def reserved_names(key: str) -> frozenset[str]:
    """Return the names that no state of a class may set; none for an unknown class."""
    table = _table()
    groups, admitted = table["classes"].get(key, ((), ""))
    names = {name for group in groups for name in table["groups"][group].split()}
    return frozenset(names.difference(admitted.split()))


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads((Path(__file__).parent / "methods.json").read_bytes())
    return table


def _classes(node: ObjectNode) -> Iterator[str]:
    yield class_key(node)
    # Functions that create an object get its class as the first argument.
    if node.args and isinstance(node.args[0], Global):
        yield node.args[0].key


def _keys(node: ObjectNode) -> Iterator[Node]:
    """Yield the names in the states: dicts, and tuples of dicts that pandas passes to `setattr`."""
    for state in node.states:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, DictNode):
                yield from part.keys
