"""A description of files that contain no model."""

from __future__ import annotations

from collections import Counter

from ..allowlist import standing
from ..contracts import constructed_class
from ..nodes import Blob, DictNode, Global, Items, Node, ObjectNode
from ..pickle.ndarrays import view
from ..text import clean
from .distributions import DISTRIBUTIONS
from .estimators import OTHER_LIBRARIES, axes, estimator_node, length

_PLAIN = {bool: "boolean", int: "number", float: "number", str: "string",
          bytes: "string of bytes"}  # fmt: skip
_KINDS = {type(None): "None", DictNode: "dict", Items: "set", list: "list", tuple: "tuple",
          Blob: "long string"}  # fmt: skip
_MAX_KINDS = 4
_MAX_NAMES = 6
_MAX_NAMES_LENGTH = 120


def describe_contents(node: Node) -> str:
    """Describe the root of a pickle: "a dict with 2 keys (a, b) holding 2 numpy arrays"."""
    if isinstance(node, DictNode):
        size = _count(len(node.keys), "key")
        contents = f" holding {_kinds(node.values)}" if node.values else ""
        return f"a dict with {size}{_names_text(node.keys)}{contents}"
    if isinstance(node, list | tuple):
        kind = "list" if isinstance(node, list) else "tuple"
        return f"a {kind} of {_kinds(node)}" if node else f"an empty {kind}"
    if isinstance(node, Items):
        return "a set"
    if node is None:
        return "None"
    name = _PLAIN.get(type(node)) or _kind_name(node)
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}{_size(node)}"


def describe_name(node: Node) -> str | None:
    """Describe a function or class of the author that is all that a pickle contains.

    Other names, such as those of the standard library, have no description.
    """
    if not isinstance(node, Global) or node.is_module or standing(node.key) != "unknown":
        return None
    if node.module.partition(".")[0] in DISTRIBUTIONS:
        return None
    kind = "class" if node.name.rpartition(".")[2][:1].isupper() else "function"
    is_script = node.module == "__main__"
    place = "the script that saved it" if is_script else f"the module {clean(node.module)}"
    return f"the file contains a {kind} ({clean(node.name)} of {place}), not a model"


def _size(node: Node) -> str:
    """Return the size and dtype of an array or table."""
    indexes = axes(node)
    if len(indexes) == 2:
        columns, rows = map(length, indexes)
        names = view(indexes[0])
        named = _names_text((names.values() if names else None) or [])
        return f" of {rows or 0:,} rows and {columns or 0:,} columns{named}"
    array = view(node)
    if array is None or _is_pandas(node):
        return ""
    shape = " x ".join(f"{n:,}" for n in array.shape) or "one value"
    return f" of {shape} ({array.dtype.kind}{array.dtype.itemsize})"


def _names_text(names: list[Node]) -> str:
    """Return some of the names in brackets; "" if one is not printable, or they are too long."""
    shown = [clean(name) if isinstance(name, str) else str(name) for name in names[:_MAX_NAMES]
            if isinstance(name, str | int)]  # fmt: skip
    if len(shown) < min(len(names), _MAX_NAMES) or not ", ".join(shown).isprintable():
        return ""
    if not shown or sum(map(len, shown)) > _MAX_NAMES_LENGTH:
        return ""
    return f" ({', '.join(shown)}{', ...' if len(names) > len(shown) else ''})"


def _kinds(values: list[Node] | tuple[Node, ...]) -> str:
    """Return the names of estimators, and the number of other values of each kind."""
    kinds = Counter(_PLAIN.get(type(v)) or _kind_name(v) for v in values).most_common()
    parts = [kind if n == 1 else f"{n} {_plural(kind)}" for kind, n in kinds[:_MAX_KINDS]]
    more = f" and {len(kinds) - _MAX_KINDS} other kinds" if len(kinds) > _MAX_KINDS else ""
    return _join_names(parts) + more


def _kind_name(node: Node) -> str:
    if type(node) in _PLAIN:
        return _PLAIN[type(node)]
    if type(node) in _KINDS:
        return _KINDS[type(node)]
    if isinstance(node, Global):
        return f"reference to {node.dotted}"
    part = estimator_node(node)
    if part is not None:
        return part.name
    is_array = view(node) is not None and not _is_pandas(node)
    return "numpy array" if is_array else _object_name(node)


def _is_pandas(node: Node) -> bool:
    return isinstance(node, ObjectNode) and node.cls.module.startswith("pandas")


def _object_name(node: Node) -> str:
    cls = constructed_class(node) if isinstance(node, ObjectNode) else None
    if not isinstance(cls, Global):
        return "numpy array"
    library = OTHER_LIBRARIES.get(cls.module.partition(".")[0])
    if library is not None:
        return f"{library} ({cls.name.rpartition('.')[2]})"
    if cls.module.startswith("pandas"):
        return f"pandas {cls.name.rpartition('.')[2].removeprefix('_new_')}"
    return {"scalar": "number", "partial": "function"}.get(cls.name, cls.name.rpartition(".")[2])


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {_plural(noun)}"


def _plural(noun: str) -> str:
    return noun if noun == "None" else f"{noun}es" if noun.endswith("s") else f"{noun}s"


def _join_names(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
