"""skops files of a model with a few things changed in the schema or in the arrays."""

from __future__ import annotations

import io
import json
import random
import zipfile
from typing import Any

import numpy as np
import skops.io

from .values import CALLABLES, CANARY, KEYS, changed_array, other

_NAMES = ("__class__", "__module__", "__loader__")


def original(model: Any) -> bytes:
    return skops.io.dumps(model)


def mutated(data: bytes, foreign: bytes, chance: random.Random) -> tuple[bytes, str]:
    """Return the bytes of a changed file, and the changes in words. `foreign`: of another model."""
    members = _members(data)
    schema = json.loads(members["schema.json"])
    descriptions = []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        arrays = sorted(name for name in members if name.endswith(".npy"))
        if arrays and chance.random() < 0.35:
            name = chance.choice(arrays)
            array = np.load(io.BytesIO(members[name]), allow_pickle=False)
            changed = changed_array(array, chance)
            stream = io.BytesIO()
            np.save(stream, changed, allow_pickle=False)
            members[name] = stream.getvalue()
            descriptions.append(
                f"array {array.dtype}{array.shape} -> {changed.dtype}{changed.shape}"
            )
        else:
            descriptions.append(_change_schema(schema, foreign, members, chance))
    members["schema.json"] = json.dumps(schema).encode()
    return _archive(members), "; ".join(descriptions)


def _change_schema(schema: Any, foreign: bytes, members: dict[str, bytes], chance: Any) -> str:
    positions = list(_positions(schema, ()))
    kinds: dict[str, list[Any]] = {}
    for holder, key, path in positions:
        value = holder[key]
        name = key if key in _NAMES else type(value).__name__
        kinds.setdefault(str(name), []).append((holder, key, path))
    kind = chance.choice(sorted(kinds))
    holder, key, path = chance.choice(kinds[kind])
    if key in _NAMES:
        holder[key] = _name(key, [h[k] for h, k, _ in kinds[kind]], chance)
    elif isinstance(holder[key], dict):
        nodes = [h[k] for h, k, _ in kinds["dict"]]
        if chance.random() < 0.3:
            nodes = _foreign(foreign, members)
        _change_node(holder, key, nodes, chance)
    elif isinstance(holder[key], str) and chance.random() < 0.7:  # values are JSON in JSON
        holder[key] = _nested(holder[key], chance)
    elif isinstance(holder[key], list):
        holder[key] = chance.choice((holder[key][:-1], holder[key][::-1], holder[key] * 2, []))
    else:
        holder[key] = other(holder[key], chance, [])
        if not isinstance(holder[key], str | int | float | bool | None):
            holder[key] = CANARY
    return f"schema {kind} {list(path[-3:])}"


def _name(key: str, others: list[str], chance: random.Random) -> str:
    replacement = chance.choice(CALLABLES)
    own = (
        replacement.__module__ if key == "__module__" else getattr(replacement, "__name__", CANARY)
    )
    return chance.choice((*others, own or "builtins", CANARY))


def _nested(value: str, chance: random.Random) -> str:
    try:
        content = json.loads(value)
    except ValueError:
        return str(other(value, chance, []))
    changed = other(content, chance, [])
    return json.dumps(changed if isinstance(changed, str | int | float | bool) else None)


def _change_node(holder: Any, key: Any, nodes: list[Any], chance: random.Random) -> None:
    kind = chance.choice(("another", "another", "added", "renamed", "empty"))
    if kind == "another":
        holder[key] = json.loads(json.dumps(chance.choice(nodes)))
    elif kind == "empty" or isinstance(holder, list):
        holder[key] = {}
    else:
        value = holder[key] if kind == "added" else holder.pop(key)
        holder[chance.choice(KEYS)] = value


def _foreign(data: bytes, members: dict[str, bytes]) -> list[Any]:
    """Return the nodes of another file, and add its arrays to `members`."""
    donor = _members(data)
    members.update({name: content for name, content in donor.items() if name not in members})
    found = json.loads(donor["schema.json"])
    return [found, *(h[k] for h, k, _ in _positions(found, ()) if isinstance(h[k], dict))]


def _positions(node: Any, path: tuple[Any, ...]) -> Any:
    parts = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in list(parts):
        yield node, key, (*path, key)
        if isinstance(value, dict | list):
            yield from _positions(value, (*path, key))


def _members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _archive(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()
