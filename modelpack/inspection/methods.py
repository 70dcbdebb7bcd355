"""State keys that would replace a method of a class.

Python looks up an attribute of an object in the object first, and finds a method only if there is
no such attribute. A state with the key `predict` therefore puts another object of the file in the
place of the method. A key with the name of a property has no effect, but `inspect` would show it.

scripts/make_methods.py makes methods.json from the sources of all releases: for each class, the
names of methods, properties and other descriptors. A name that some release sets on objects as a
plain attribute is left out. The release that a file records plays no part, because it is text that
the author of the file chose.
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
    """Return the names that states set, by class, of the classes that modelpack does not know."""
    found: dict[str, set[str]] = {}
    for made in objects:
        for key in _classes(made) if made.states else ():
            if standing(key) == "unknown":
                names = {name for name in _keys(made) if isinstance(name, str)}
                found.setdefault(key, set()).update(filter(str.isidentifier, names))
    return {key: tuple(sorted(found[key])) for key in sorted(found)}


def of_base(key: str) -> frozenset[str]:
    """Return the names that no state of a class may hold, by the name that a file imports it by.

    That may be of another module of its library than the one that defines it.
    """
    module, _, name = key.partition(":")
    top = module.partition(".")[0]
    found = [
        of_class(known)
        for known in _table()["classes"]
        if known.partition(":")[0].partition(".")[0] == top and known.partition(":")[2] == name
    ]
    return frozenset[str]().union(*found)


def replaced(made: ObjectNode) -> str | None:
    """Return what is wrong if a state of an object replaces a method of its class."""
    names = frozenset[str]().union(*map(of_class, _classes(made)))
    if not names:
        return None
    for key in _keys(made):
        if isinstance(key, str) and key in names:
            return f"its state replaces {key}, which is a method or property of its class"
    return None


@cache
def of_class(key: str) -> frozenset[str]:
    """Return the names that no state of a class may hold; none for an unknown class."""
    table = _table()
    groups, admitted = table["classes"].get(key, ((), ""))
    names = {name for group in groups for name in table["groups"][group].split()}
    return frozenset(names.difference(admitted.split()))


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads((Path(__file__).parent / "methods.json").read_bytes())
    return table


def _classes(made: ObjectNode) -> Iterator[str]:
    yield class_key(made)
    # Functions that make an object get its class as the first argument.
    if made.args and isinstance(made.args[0], Global):
        yield made.args[0].key


def _keys(made: ObjectNode) -> Iterator[Node]:
    """Yield the names that the states set: of a dict, and of dicts in a tuple, some of which hooks
    such as those of pandas pass to `setattr`.
    """
    for state in made.states:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, DictNode):
                yield from part.keys
