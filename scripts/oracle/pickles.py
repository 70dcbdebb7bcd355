"""Pickles and joblib files of a model with a few things changed, by a pickler that changes them."""

from __future__ import annotations

import copyreg
import io
import pickle
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from joblib import numpy_pickle

from .values import CALLABLES, KEYS, changed_array, other, text

_DEEPEST = 6
_ARRAYS = ("array",) * 4  # what compiled code reads is changed more often
_MOST_ITEMS = 60  # of one container
Path = tuple[Any, ...]
Site = tuple[str, int, Path]
"""Kind of change, number of the object in the order of pickling, and the way to the value in it."""


@dataclass
class Survey:
    """The parts of a model that can be changed, and the values to replace them."""

    sites: dict[str, list[Site]] = field(default_factory=dict)
    pool: list[Any] = field(default_factory=list)

    def add(self, kind: str, number: int, path: Path = ()) -> None:
        self.sites.setdefault(kind, []).append((kind, number, path))


@dataclass
class Change:
    """Changes to make: the number of an object to its changes."""

    chance: random.Random
    pool: list[Any]
    sites: dict[int, list[Site]]
    descriptions: list[str] = field(default_factory=list)


class _Mixin:
    """Number the objects that have a reduction, and survey or change them."""

    survey: Survey | None = None
    change: Change | None = None
    number = 0

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) in pickle._Pickler.dispatch or isinstance(obj, type) or _is_global(obj):
            return NotImplemented
        self.number += 1
        number = self.number
        if isinstance(obj, np.ndarray) and type(obj) is np.ndarray:
            return self._array(obj, number)
        registered = copyreg.dispatch_table.get(type(obj))
        reduced = registered(obj) if registered else obj.__reduce_ex__(self.proto)
        if isinstance(reduced, str):
            return reduced
        if self.survey is not None:
            _survey(self.survey, number, obj, reduced)
        elif number in self.change.sites:
            reduced = _changed(self.change, self.change.sites[number], obj, reduced, self.kept)
        return reduced

    def _array(self, obj: np.ndarray, number: int) -> Any:
        if self.survey is not None:
            self.survey.add("array", number)
            self.survey.pool.append(obj)
        elif number in self.change.sites:
            obj = self.array(obj)
            self.kept.append(obj)
        return obj.__reduce_ex__(self.proto)

    def array(self, obj: np.ndarray) -> np.ndarray:
        changed = changed_array(obj, self.change.chance)
        before, after = f"{obj.dtype}{obj.shape}", f"{changed.dtype}{changed.shape}"
        self.change.descriptions.append(f"array {before} -> {after}")
        return changed


def _is_global(obj: Any) -> bool:
    return callable(obj) and hasattr(obj, "__qualname__") and not hasattr(obj, "__self__")


class PlainPickler(_Mixin, pickle._Pickler):  # the one in Python, as joblib's is
    def __init__(self, stream: io.BytesIO, protocol: int) -> None:
        super().__init__(stream, protocol)
        self.kept: list[Any] = []

    def memoize(self, obj: Any) -> None:
        if id(obj) not in self.memo:  # it fails at a second empty buffer of protocol 5
            super().memoize(obj)


class JoblibPickler(_Mixin, numpy_pickle.NumpyPickler):
    """joblib writes arrays by a wrapper, so that these are changed before."""

    def __init__(self, stream: io.BytesIO, protocol: int) -> None:
        super().__init__(stream, protocol=protocol)
        self.kept: list[Any] = []
        self._done: set[int] = set()

    def save(self, obj: Any, *more: Any) -> None:
        if type(obj) is np.ndarray and id(obj) not in self.memo and id(obj) not in self._done:
            self.number += 1
            if self.survey is not None:
                self.survey.add("array", self.number)
                self.survey.pool.append(obj)
            elif self.number in self.change.sites:
                obj = self.array(obj)
                self._done.add(id(obj))
                self.kept.append(obj)
        super().save(obj, *more)


PICKLERS: dict[str, tuple[Callable[..., Any], int]] = {
    "pickle 2": (PlainPickler, 2),
    "pickle 4": (PlainPickler, 4),
    "pickle 5": (PlainPickler, 5),
    "joblib": (JoblibPickler, 4),
}


def surveyed(model: Any, encoding: str) -> Survey:
    survey = Survey()
    _dump(model, encoding, survey, None)
    return survey


def mutated(
    model: Any, encoding: str, survey: Survey, foreign: list[Any], chance: random.Random
) -> tuple[bytes, str]:
    """Return the bytes of a changed model, and the changes in words.

    Raises:
        Exception: The pickler cannot write what the changes made.
    """
    sites: dict[int, list[Site]] = {}
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        kind = chance.choice([*sorted(survey.sites), *_ARRAYS])
        if kind not in survey.sites:
            continue
        site = chance.choice(survey.sites[kind])
        sites.setdefault(site[1], []).append(site)
    pool = chance.choice((survey.pool, survey.pool, foreign, list(CALLABLES)))
    change = Change(chance, pool, sites)
    return _dump(model, encoding, None, change), "; ".join(change.descriptions)


def original(model: Any, encoding: str) -> bytes:
    return _dump(model, encoding, Survey(), None)


def _dump(model: Any, encoding: str, survey: Survey | None, change: Change | None) -> bytes:
    kind, protocol = PICKLERS[encoding]
    stream = io.BytesIO()
    pickler = kind(stream, protocol)
    pickler.survey, pickler.change = survey, change
    pickler.dump(model)
    return stream.getvalue()


# --- sites ---------------------------------------------------------------------------------------

_KINDS = {
    bool: "flag",
    int: "integer",
    float: "number",
    str: "text",
    bytes: "bytes",
    type(None): "none",
}


def _survey(survey: Survey, number: int, obj: Any, reduced: tuple[Any, ...]) -> None:
    survey.pool.append(obj)
    survey.add("class", number)
    for index in range(1, min(3, len(reduced))):
        for path, value in _leaves(reduced[index], (index,), set()):
            survey.add(_kind(value), number, path)
    if len(reduced) > 2 and isinstance(reduced[2], dict):
        survey.add("new key", number, (2,))
        for key in reduced[2]:
            survey.add("dropped key", number, (2, key))
            survey.add("renamed key", number, (2, key))
    if len(reduced) > 2 and reduced[2] is not None:
        survey.add("state", number, (2,))


def _kind(value: Any) -> str:
    if isinstance(value, bytearray | pickle.PickleBuffer):
        return "bytes"
    return _KINDS.get(type(value)) or ("callable" if _is_global(value) else "object")


def _leaves(value: Any, path: Path, seen: set[int]) -> list[tuple[Path, Any]]:
    if len(path) > _DEEPEST or id(value) in seen:
        return []
    if type(value) is dict:
        parts = list(value.items())[:_MOST_ITEMS]
    elif type(value) in (list, tuple):
        parts = list(enumerate(value))[:_MOST_ITEMS]
    else:
        return [(path, value)]
    inner = seen | {id(value)}
    found = [(path, value)] if len(path) > 1 else []
    for key, part in parts:
        found += _leaves(part, (*path, key), inner)
    return found


# --- changes -------------------------------------------------------------------------------------


def _changed(
    change: Change, sites: list[Site], obj: Any, reduced: tuple[Any, ...], kept: list[Any]
) -> tuple[Any, ...]:
    for kind, _, path in sites:
        before = reduced
        reduced = _apply(change, kind, path, reduced)
        change.descriptions.append(f"{type(obj).__name__} {kind} {list(path[1:])}")
        kept.append((before, reduced))  # the ids of pickled objects must not be reused
    return reduced


def _apply(change: Change, kind: str, path: Path, reduced: tuple[Any, ...]) -> tuple[Any, ...]:
    chance = change.chance
    if kind == "class":
        return _with_other_class(change, reduced)
    if kind == "state":
        replaced = chance.choice((None, {}, (), *change.pool[:50]))
        return (*reduced[:2], replaced, *reduced[3:])
    if kind == "new key":
        key = chance.choice(KEYS)
        value = other(None, chance, change.pool)
        return (*reduced[:2], {**reduced[2], key: value}, *reduced[3:])
    if kind in {"dropped key", "renamed key"}:
        state = dict(reduced[2])
        value = state.pop(path[1], None)
        if kind == "renamed key":
            state[chance.choice((*KEYS, text(str(path[1]), chance)))] = value
        return (*reduced[:2], state, *reduced[3:])
    return tuple(_replaced(list(reduced), path, change))


def _replaced(container: Any, path: Path, change: Change) -> Any:
    """Return a copy of the containers on the way to a value, with another at its end."""
    if not path:
        value = container
        if isinstance(value, pickle.PickleBuffer):
            value = bytes(value.raw())
        return other(value, change.chance, change.pool)
    key = path[0]
    copied = dict(container) if isinstance(container, dict) else list(container)
    copied[key] = _replaced(copied[key], path[1:], change)
    return tuple(copied) if isinstance(container, tuple) else copied


def _with_other_class(change: Change, reduced: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a reduction that makes an object of another class with the same state."""
    kinds = [type(each) for each in change.pool] or [dict]
    kind = change.chance.choice(kinds) if change.chance.random() < 0.7 else None
    kind = kind or change.chance.choice([each for each in CALLABLES if isinstance(each, type)])
    if reduced[0] is copyreg.__newobj__ or reduced[0] is copyreg._reconstructor:
        return (copyreg._reconstructor, (kind, object, None), *reduced[2:])
    positions = [index for index, each in enumerate(reduced[1]) if isinstance(each, type)]
    if positions and change.chance.random() < 0.7:
        arguments = list(reduced[1])
        arguments[change.chance.choice(positions)] = kind
        return (reduced[0], tuple(arguments), *reduced[2:])
    return (change.chance.choice(CALLABLES), *reduced[1:])
