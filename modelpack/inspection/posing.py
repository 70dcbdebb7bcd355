"""Values that libraries would take for something else: protocols that a file could fill in.

numpy asks an object for `__array_interface__`, and takes the address, shape and type of an array
from the dict that it gets. pandas asks for `_typ`, and takes what says "series" for a Series. No
state may set an attribute with such a name, but some classes look attributes up elsewhere: a Bunch
among its items, a Series among its labels. numpy would then read memory that the file chooses.

pandas also takes a text for a time zone of dateutil, which opens the file of that name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from modelpack.types import Finding

from .allowlist import is_known
from .contracts import class_key, constructed_class
from .contracts.kinds import is_zone_path
from .nodes import DictNode, Node, ObjectNode
from .pickle.ndarrays import scalar

_INTERFACE, _KIND = "typestr", "_typ"

_KINDS = {"DataFrame": "dataframe", "Series": "series"}
"""What classes of pandas write as `_typ`."""

_PAIR = 2


def posing(made: ObjectNode) -> str | None:
    """Return what is wrong if an object of a known class would pass for another."""
    key = class_key(made)
    if not is_known(key):
        return None
    module, _, name = key.partition(":")
    own = _KINDS.get(name) if module.partition(".")[0] == "pandas" else None
    for state in made.states:
        for part in state if isinstance(state, tuple) else (state,):
            if any(value != own for value in _values(part, _KIND)):
                return "its state sets _typ, by which pandas tells its classes apart"
    if module != "collections" and any(map(_is_asked_for, _items(made))):
        return "its items have names that libraries ask objects for"
    return None


def interfaces(nodes: Iterable[Node]) -> Iterator[Finding]:
    """Find dicts that describe memory to numpy, and time zones that are paths, once each."""
    found: dict[str, str] = {}
    seen: set[int] = set()  # lists that several dicts may share are looked at once
    for node in nodes:
        values = _values(node, _INTERFACE) if isinstance(node, DictNode) else _second(node)
        if any(map(_is_type, values)):
            found["array-interface"] = "a dict describes the memory of an array to numpy"
        if isinstance(node, DictNode) and any(_opens(value, seen) for value in _zones(node)):
            found["bad-text"] = "a time zone is the path of a file"
    for code, message in found.items():
        yield Finding(code, message)


def _items(made: ObjectNode) -> Iterator[Node]:
    """The keys of a dict that an object is."""
    old = made.args[-1] if constructed_class(made) is not made.cls else None  # of protocols 0 and 1
    for part in (made.pairs, old):
        if isinstance(part, DictNode):
            yield from map(_plain, part.keys)


def _is_asked_for(name: Node) -> bool:
    is_special = isinstance(name, str) and name.startswith("__") and name.endswith("__")
    return is_special or name == _KIND


def _values(node: Node, name: str) -> Iterator[Node]:
    """The values of a key of a dict, also where a text of numpy equals it."""
    if isinstance(node, DictNode) and (
        name in node.keys or ObjectNode in set(map(type, node.keys))
    ):
        for key, value in zip(node.keys, node.values, strict=True):
            if _plain(key) == name:
                yield value


def _second(node: Node) -> Iterator[Node]:
    """The second of a pair, of which an OrderedDict of Python 2 is made."""
    if isinstance(node, list | tuple) and len(node) == _PAIR and _plain(node[0]) == _INTERFACE:
        yield node[1]


def _zones(node: DictNode) -> Iterator[Node]:
    for key, value in zip(node.keys, node.values, strict=True):
        if type(key) is str and type(value) in _HOLDING and "dtype" in key:
            yield value


def _opens(node: Node, seen: set[int]) -> bool:
    """Whether a text, or one of a list, has a path in the place of a time zone."""
    if not isinstance(node, list | tuple):
        return is_zone_path(node)
    texts = node if id(node) not in seen else ()
    seen.add(id(node))
    return any(map(is_zone_path, texts))


def _is_type(node: Node) -> bool:
    """Whether numpy may read a type off it; words of a vocabulary have numbers."""
    return not isinstance(_plain(node), int | float)


def _plain(node: Node) -> Node:
    return scalar(node) if isinstance(node, ObjectNode) else node


_HOLDING = {str, list, tuple, ObjectNode}
