"""The names in the files of one release, read by modelpack's own machine: nothing is loaded."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelpack.inspection import policy
from modelpack.inspection.contracts import class_key, constructed_class, is_constructed
from modelpack.inspection.nodes import (
    Blob,
    DictNode,
    Global,
    Items,
    Malformed,
    Node,
    ObjectNode,
    Payload,
    children,
)
from modelpack.inspection.pickle.interpreter import run
from modelpack.inspection.pickle.machine import Trace
from modelpack.inspection.sharing import Walk
from modelpack.inspection.stream import Reader
from modelpack.types import Finding

from . import names


@dataclass
class Evidence:
    """Roles of names in files.

    Attributes:
        roles: "module:name" -> new, call, ref, append, items.
        witnesses: Description of each construction -> the first file that shows it.
        unread: Files that the machine does not read -> the reason.
    """

    roles: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    witnesses: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)


def read(folder: Path, cache: Path) -> Evidence:
    """Return the names in every file of a folder, from `cache` if it exists."""
    if cache.exists() and cache.stat().st_mtime > folder.stat().st_mtime:
        return _from_json(json.loads(cache.read_text()))
    found = Evidence()
    for path in sorted(folder.iterdir()):
        if path.suffix != ".json":
            try:
                _add(found, path.name, *_parsed(path))
            except Malformed as problem:
                found.unread[path.name] = problem.message
    cache.write_text(json.dumps(_to_json(found), indent=1))
    return found


def findings(path: Path) -> list[Finding]:
    """Return the findings of the inspector on a file."""
    trace, root = _parsed(path)
    return policy.judge(trace, root, ())


def _to_json(evidence: Evidence) -> dict[str, Any]:
    roles = {key: sorted(roles) for key, roles in evidence.roles.items()}
    return {"roles": roles, "witnesses": evidence.witnesses, "unread": evidence.unread}


def _from_json(document: dict[str, Any]) -> Evidence:
    roles = {key: set(roles) for key, roles in document["roles"].items()}
    return Evidence(roles, document["witnesses"], document["unread"])


def _parsed(path: Path) -> tuple[Trace, Node]:
    trace = Trace()
    return trace, run(Reader(iter([path.read_bytes()])), trace)


def _add(evidence: Evidence, file: str, trace: Trace, root: Node) -> None:
    for obj in trace.objects:
        if names.contract(obj.cls.key) == "ufunc":  # names what it makes by two strings
            evidence.roles[":".join(obj.args)].add("ref")
        evidence.roles[obj.cls.key].add(obj.how)
        evidence.witnesses.setdefault(_how_built(obj), file)
        filled = {"append": obj.appends, "items": obj.pairs}
        key = class_key(obj)
        evidence.roles[key].update(role for role, values in filled.items() if values)
        if is_constructed(obj):
            evidence.roles[key].add("new")
    for name in _values(root):
        evidence.roles[name.key].add("ref")


def _values(root: Node) -> Iterator[Global]:
    """The names that are mere values: neither made nor called."""
    for node in Walk().below(root):
        held = children(node)
        if isinstance(node, ObjectNode) and constructed_class(node) is not node.cls:
            held = held[1:]  # the class that _reconstructor makes
        yield from (value for value in held if isinstance(value, Global))


def _how_built(obj: ObjectNode) -> str:
    """Return the description of a construction: a.b:C new(str, dict)=dict."""
    args = ", ".join(_kind(arg) for arg in obj.args)
    more = ", **" if obj.kwargs else ""
    states = "".join(f"={_kind(state, 1)}" for state in obj.states)
    items = "+append" * bool(obj.appends) + "+items" * bool(obj.pairs)
    return f"{obj.cls.key} {obj.how}({args}{more}){states}{items}"


def _kind(node: Node, level: int = 0) -> str:
    if isinstance(node, Global):
        return f"<{node.key}>"
    if isinstance(node, ObjectNode):
        return f"{constructed_class(node).key}()"
    if isinstance(node, tuple) and level < 2:
        return f"({', '.join(_kind(part, level + 1) for part in node)})"
    names = {DictNode: "dict", Items: "set", Blob: "blob", Payload: "array", type(None): "None"}
    return names.get(type(node), type(node).__name__)
