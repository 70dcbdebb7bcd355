"""What a file that is no model holds, in words."""

from __future__ import annotations

from collections import Counter

from .arrays import view
from .contracts import made_class
from .nodes import Blob, Dct, Global, Items, Node, Obj
from .parts import as_part

_PLAIN = {bool: "a boolean", int: "a number", float: "a number", str: "a string",
          bytes: "a string of bytes"}  # fmt: skip
_PLAIN_KINDS = {kind: words.partition(" ")[2] for kind, words in _PLAIN.items()}
_KINDS = {type(None): "None", Dct: "dict", Items: "set", list: "list", tuple: "tuple",
          Blob: "long string"}  # fmt: skip
_MOST_KINDS = 4


def what(node: Node) -> str:
    """The root of a pickle as people would say it: "a dict with 3 keys holding 2 numpy arrays"."""
    if isinstance(node, Dct):
        return f"a dict with {_count(len(node.keys), 'key')}{_holding(node.values)}"
    if isinstance(node, list | tuple):
        kind = "list" if isinstance(node, list) else "tuple"
        return f"a {kind} of {_kinds(node)}" if node else f"an empty {kind}"
    if isinstance(node, Items):
        return "a set"
    if node is None:
        return "None"
    return f"a {_one(node)}" if type(node) not in _PLAIN else _PLAIN[type(node)]


def _holding(values: list[Node]) -> str:
    return f" holding {_kinds(values)}" if values else ""


def _kinds(values: list[Node] | tuple[Node, ...]) -> str:
    """Estimators are named, everything else is counted by kind."""
    kinds = Counter(_PLAIN_KINDS.get(type(v)) or _one(v) for v in values).most_common()
    parts = [kind if n == 1 else f"{n} {_plural(kind)}" for kind, n in kinds[:_MOST_KINDS]]
    more = f" and {len(kinds) - _MOST_KINDS} other kinds" if len(kinds) > _MOST_KINDS else ""
    return _listed(parts) + more


def _one(node: Node) -> str:
    if type(node) in _PLAIN_KINDS:
        return _PLAIN_KINDS[type(node)]
    if type(node) in _KINDS:
        return _KINDS[type(node)]
    if isinstance(node, Global):
        return f"reference to {node.dotted}"
    part = as_part(node)
    if part is not None:
        return part.name
    is_array = view(node) is not None and not _is_pandas(node)
    return "numpy array" if is_array else _of_object(node)


def _is_pandas(node: Node) -> bool:
    return isinstance(node, Obj) and node.cls.module.startswith("pandas")


def _of_object(node: Node) -> str:
    cls = made_class(node) if isinstance(node, Obj) else None
    if not isinstance(cls, Global):
        return "numpy array"
    if cls.module.startswith("pandas"):
        return f"pandas {cls.name.rpartition('.')[2].removeprefix('_new_')}"
    return {"scalar": "number", "partial": "function"}.get(cls.name, cls.name.rpartition(".")[2])


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {_plural(noun)}"


def _plural(noun: str) -> str:
    return noun if noun == "None" else f"{noun}es" if noun.endswith("s") else f"{noun}s"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
