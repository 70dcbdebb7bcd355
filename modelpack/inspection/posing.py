"""Values that libraries would mistake for an array, a Series or a time zone.

numpy looks up `__array_interface__` in an object, a dict with the address, shape and type of an
array. pandas looks up `_typ`, and treats an object with "series" as a Series. No state may set such
an attribute, but some classes look attributes up elsewhere: a Bunch in its items, a Series in its
labels. numpy would then read memory at an address from the file.

pandas also accepts a string as a dateutil time zone, and dateutil opens the file of that name.
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
"""The values that pandas classes write as `_typ`."""

_PAIR = 2


def poses_as(node: ObjectNode) -> str | None:
    """Return what is wrong if a library would mistake an object of a known class for another."""
    key = class_key(node)
    if not is_known(key):
        return None
    module, _, name = key.partition(":")
    own = _KINDS.get(name) if module.partition(".")[0] == "pandas" else None
    for state in node.states:
        for part in state if isinstance(state, tuple) else (state,):
            if any(value != own for value in _values(part, _KIND)):
                return "its state sets _typ, by which pandas recognises its classes"
    if module != "collections" and any(map(_is_special_name, _item_names(node))):
        return "its items have names that libraries look up in objects"
    return None


def memory_interfaces(nodes: Iterable[Node]) -> Iterator[Finding]:
    """Find dicts that describe memory to numpy, and time zones that are paths, once each."""
    messages: dict[str, str] = {}
    seen: set[int] = set()  # lists that several dicts share are visited once
    for node in nodes:
        values = _values(node, _INTERFACE) if isinstance(node, DictNode) else _pair_value(node)
        if any(map(_may_be_type, values)):
            messages["array-interface"] = "a dict describes the memory of an array to numpy"
        zones = _time_zones(node) if isinstance(node, DictNode) else ()
        if any(_has_zone_path(value, seen) for value in zones):
            messages["bad-text"] = "a time zone is the path of a file"
    for code, message in messages.items():
        yield Finding(code, message)


def _item_names(node: ObjectNode) -> Iterator[Node]:
    """Yield the keys of an object that is a dict."""
    old = node.args[-1] if constructed_class(node) is not node.cls else None  # of protocols 0 and 1
    for part in (node.pairs, old):
        if isinstance(part, DictNode):
            yield from map(_plain, part.keys)


def _is_special_name(name: Node) -> bool:
    is_special = isinstance(name, str) and name.startswith("__") and name.endswith("__")
    return is_special or name == _KIND


def _values(node: Node, name: str) -> Iterator[Node]:
    """Yield the values of a key of a dict. A numpy string may equal the key, too."""
    if isinstance(node, DictNode) and (
        name in node.keys or ObjectNode in set(map(type, node.keys))
    ):
        for key, value in zip(node.keys, node.values, strict=True):
            if _plain(key) == name:
                yield value


def _pair_value(node: Node) -> Iterator[Node]:
    """Yield the second value of a pair: Python 2 pickles an OrderedDict as pairs."""
    if isinstance(node, list | tuple) and len(node) == _PAIR and _plain(node[0]) == _INTERFACE:
        yield node[1]


def _time_zones(node: DictNode) -> Iterator[Node]:
    for key, value in zip(node.keys, node.values, strict=True):
        if type(key) is str and type(value) in _HOLDING and "dtype" in key:
            yield value


def _has_zone_path(node: Node, seen: set[int]) -> bool:
    """Return whether a string, or one in a list, has a path as its time zone."""
    if not isinstance(node, list | tuple):
        return is_zone_path(node)
    texts = node if id(node) not in seen else ()
    seen.add(id(node))
    return any(map(is_zone_path, texts))


def _may_be_type(node: Node) -> bool:
    """Return whether numpy may parse it as a type. Words of a vocabulary have numbers."""
    return not isinstance(_plain(node), int | float)


def _plain(node: Node) -> Node:
    return scalar(node) if isinstance(node, ObjectNode) else node


_HOLDING = {str, list, tuple, ObjectNode}
