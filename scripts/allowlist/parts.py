"""Attributes of parts of models that libraries interpret: of numpy, pandas, scipy and statsmodels.

These libraries are large, and little of them is in models. So only attributes of the classes that
the allowlist knows and of their bases count, each of their methods may be called, and a method of
`self` means one of the same class, its bases or the classes that inherit from it. Classes of the
same name in other modules do not count.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from .environments import ROOT
from .interpreted import PREDICTING, Call, Class, Function, Package, may_interpret

PACKAGES = {"numpy", "pandas", "scipy", "statsmodels"}

_ALLOWLIST = ROOT / "modelpack" / "inspection" / "allowlist.json"
_ROLES = {"new", "call"}


def read(folder: Path) -> Iterator[str]:
    """Read the entries "package:Class.attribute kind" of an installed package's folder."""
    yield from _Parts(folder).entries()


class _Parts(Package):
    def __init__(self, folder: Path) -> None:
        self._families: dict[Class, set[Class]] = {}
        super().__init__(folder)

    def is_reported(self, function: Function) -> bool:
        return function.owner_class in self._families

    def entry_points(self) -> Iterator[str]:
        self._named: dict[str, set[Class]] = defaultdict(set)
        for each in self.bases:
            self._named[each[1]].add(each)
        for module, name in _known(self.name):
            family = self._above(self._meant(module, name))
            for each in family:
                self._families.setdefault(each, set()).update(family)
        yield from PREDICTING
        yield from (f.node.name for f in self.functions if self.is_reported(f))

    def may_begin(self, function: Function) -> bool:
        return self.is_reported(function) or may_interpret(function)

    def called(self, caller: Function, name: str, by: Call) -> Iterable[Function]:
        if by == "self":
            return self.methods(caller, name)
        found = self.by_name.get(name, ())
        if by == "name":
            return (f for f in found if not f.owner)
        return (f for f in found if self.is_reported(f))

    def methods(self, caller: Function, name: str) -> Iterable[Function]:
        family = self._families.get(caller.owner_class, {caller.owner_class})
        return (f for f in self.by_name.get(name, ()) if f.owner_class in family)

    def _above(self, classes: Iterable[Class]) -> set[Class]:
        """Classes with their bases."""
        found, waiting = set(), [*classes]
        while waiting:
            each = waiting.pop()
            if each not in found:
                found.add(each)
                for base in self.bases[each]:
                    waiting += self._meant(each[0], base)
        return found

    def _meant(self, module: str, name: str) -> set[Class]:
        """The class of a name in its module or in the one that this imports it from; or else each
        class of this name, since a release may keep it elsewhere.
        """
        for each in ((module, name), self.imported.get((module, name))):
            if each in self.bases:
                return {each}
        return self._named[name]


def _known(package: str) -> Iterator[Class]:
    for key, entry in json.loads(_ALLOWLIST.read_text("utf-8")).items():
        module, _, name = key.partition(":")
        if module.partition(".")[0] == package and _ROLES & {*entry["roles"]}:
            yield module, name.rpartition(".")[2]
