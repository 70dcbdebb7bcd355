"""Names that the state of a class may not hold, over all releases of its library."""

from __future__ import annotations

import builtins
import collections
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from .attributes import Attributes, Kind, attributes
from .modules import Key, Sources, dotted_name

# Compiled classes that classes of Python inherit from: their methods.
_NOT_PYTHON: dict[Key, tuple[str, ...]] = {
    ("pandas._libs.arrays", "NDArrayBacked"): (
        "T", "_concat_same_type", "_from_backing_data", "_simple_new", "copy", "delete", "nbytes",
        "ndim", "ravel", "repeat", "reshape", "shape", "size", "swapaxes", "transpose",
    ),
    ("pandas._libs.tslibs.period", "PeriodMixin"): ("end_time", "start_time"),
}  # fmt: skip

SET_NEVERTHELESS = {
    "evals_result": "fit of XGBRanker sets it before xgboost 1.0; no prediction calls it",
    "hessian": "statsmodels sets it on NegativeBinomial, also when that is unpickled",
    "normalized_cov_params": "statsmodels sets it on results; a method of a base of these",
    "scale": "statsmodels sets it on QuantRegResults, where it was a method until 0.14",
    "score": "statsmodels sets it on NegativeBinomial, also when that is unpickled",
}
"""Names of methods that a library sets on its objects: they may be in states."""


@dataclass
class Union:
    """Attributes of a class and its bases in several releases.

    Attributes:
        kinds: All kinds that a name has in some class of some release.
        plain: Names that some release sets on objects, with no property in the way.
    rare: Names that not all releases have.
        rare: Names that not all releases have.
        owners: Names by the class that defines them.
        unread: Bases that have no source.
    """

    kinds: dict[str, set[Kind]] = field(default_factory=dict)
    plain: set[str] = field(default_factory=set)
    rare: set[str] = field(default_factory=set)
    owners: dict[Key, set[str]] = field(default_factory=dict)
    unread: set[Key] = field(default_factory=set)

    def refused(self) -> set[str]:
        """Return the names that no state may hold.

        A property comes before a key of the state, which so replaces nothing. If a release lacks
        it, objects may hold a plain attribute of that name there, which other code may have set.
        """
        return {
            name
            for name, kinds in self.kinds.items()
            if name not in self.plain
            and not kinds <= {"data"}
            and not (name in self.rare and kinds <= {"data", "property"})
        }

    def disputed(self) -> Iterator[str]:
        """Yield names of methods that are set on objects, without a known reason."""
        for name in self.plain - SET_NEVERTHELESS.keys():
            if "method" in self.kinds.get(name, ()):
                yield name

    def add(self, other: Union) -> None:
        """Include what another union holds."""
        for name, kinds in other.kinds.items():
            self.kinds.setdefault(name, set()).update(kinds)
        for owner, names in other.owners.items():
            self.owners.setdefault(owner, set()).update(names)
        self.plain |= other.plain
        self.rare |= other.rare
        self.unread |= other.unread


class Libraries:
    """The sources of several releases of several distributions, by package."""

    def __init__(self, releases: Iterable[Sources]) -> None:
        self._releases: dict[str, list[Sources]] = {}
        for sources in releases:
            for package in sources.packages:
                self._releases.setdefault(package, []).append(sources)
        self._known: dict[Key, Union | None] = {}

    def union(self, module: str, name: str) -> Union | None:
        """Return the attributes of a class; None if no release has its source."""
        key = (module, name)
        if key not in self._known:
            self._known[key] = None  # a base of itself
            found = None
            for sources in self._releases.get(module.partition(".")[0], ()):
                for definition in set(sources.resolve(module, name)):
                    if _definitions(sources, definition):
                        new = self._in_release(sources, definition)
                        if found is None:
                            found = new
                        else:
                            found.rare |= found.kinds.keys() ^ new.kinds.keys()
                            found.add(new)
            if found is None and module == "collections":
                found = Union()
                self._outside(found, key)
            self._known[key] = found
        return self._known[key]

    def _in_release(self, sources: Sources, key: Key) -> Union:
        found, stored, pickled = Union(), set[str](), set[str]()
        nearest: dict[str, Kind] = {}
        waiting, seen = [key], {key}
        while waiting:
            owner = waiting.pop()
            definitions = _definitions(sources, owner)
            if not definitions:
                self._outside(found, owner)
            for each in definitions:
                _include(found, owner, each)
                nearest = {**each.kinds, **nearest}
                stored |= each.stored
                found.plain |= each.forced
                pickled |= each.pickled
                for base in reversed(each.bases):
                    keys = set(sources.resolve(owner[0], base)) or {(owner[0], base)}
                    waiting += sorted(keys - seen)
                    seen |= keys
        for name in stored:
            kinds = {nearest[name]} if name in nearest else found.kinds.get(name, set())
            if "property" not in kinds:
                found.plain.add(name)
        found.plain |= {name for name in pickled if "method" not in found.kinds.get(name, ())}
        return found

    def _outside(self, union: Union, owner: Key) -> None:
        """Include a base of another distribution, of Python, or one that is compiled."""
        known = _NOT_PYTHON.get(owner) or _python_attributes(owner)
        if known is not None:
            _include(union, owner, Attributes(dict.fromkeys(known, "method")))
        elif (other := self.union(*owner)) is not None:
            union.add(other)
        else:
            union.unread.add(owner)


def _python_attributes(owner: Key) -> Iterable[str] | None:
    """Return the names of a class of the standard library that classes of models inherit from."""
    module, name = owner
    if module == "abc":
        return ()
    kind = getattr(collections if module == "collections" else builtins, name, None)
    if not isinstance(kind, type):
        return None
    return [each for each in dir(kind) if not each.startswith("__")]


def _include(union: Union, owner: Key, added: Attributes) -> None:
    for name, kind in added.kinds.items():
        if not (name.startswith("__") and name.endswith("__")):
            union.kinds.setdefault(name, set()).add(kind)
            union.owners.setdefault(owner, set()).add(name)


@cache
def _definitions(sources: Sources, key: Key) -> tuple[Attributes, ...]:
    module, name = key
    found = sources.module(module)
    if found is None:
        return ()
    parts = tuple(attributes(each) for each in found.classes.get(name, ()))
    for each in parts:
        for added in found.added.get(name, ()):
            each.kinds.setdefault(added, "method")
        if name in found.wrapped:
            each.bases.append(dotted_name(found.wrapped[name]))
    return parts
