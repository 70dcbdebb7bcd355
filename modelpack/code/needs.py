"""The distributions that the author's code needs, and modules of the model that are none of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from modelpack.errors import UsageError
from modelpack.types import ModelSpec

from .distributions import (
    INSTALLED,
    KNOWN,
    Provider,
    canonical,
    installed,
    is_file_of_one,
    is_known,
    provider,
)
from .walk import STDLIB, External


class Needs:
    """`user`: the names of the distributions that the user asks for, whatever the code says.

    A module that only a model file names is never guessed to be a distribution: anyone could have
    published one of that name.
    """

    def __init__(self, spec: ModelSpec, user: Sequence[str]) -> None:
        self._have = {canonical(name) for name in spec.requirements}
        self._user = {canonical(name) for name in user}
        # What is not known to be something else may hold a module of any name.
        self._unused = {name for name in self._user - self._have if not is_known(name)}
        self._unused -= {canonical(name) for name in spec.local_modules}
        self.requirements: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        self.missing: list[str] = []
        self.notes: list[str] = []

    def names(self, module: str) -> bool:
        """Whether the user names the distribution of a module that the model names."""
        return self._is_asked(provider(module))

    def provide(self, module: str) -> None:
        """Take a module that the model names from what is installed here, if it is."""
        found = installed(module)
        if found and not found.folder and is_file_of_one(module):
            self.requirements[found.name] = f"=={found.version}"
            self.reasons[found.name] = f"the model names {module}, {INSTALLED}"
            return
        if self._unused:
            self.notes.append(f"{module} is taken to come from {_listed(self._unused)}.")
            return
        self.missing.append(module)
        if found and found.folder:
            self.notes.append(_elsewhere(module, found))

    def add(self, external: Iterable[External], own: Collection[str]) -> None:
        """Require what the files import. `own`: their modules.

        Raises:
            UsageError: it is installed here, but from no index.
        """
        found = [(wish, provider(wish.module)) for wish in external if not self._has(wish.module)]
        self._unused -= {origin.name for _, origin in found}
        for wish, origin in found:
            skipped = wish.instead_of and all(self._is_here(m, own) for m in wish.instead_of)
            if not skipped and not self._is_asked(origin):
                self._require(wish, origin)

    def _require(self, wish: External, found: Provider) -> None:
        told = f"{wish.by} imports {wish.module}"
        if found.name == "modelpack":
            self.notes.append(f"{told}, which the image does not hold.")
        elif wish.optional and (found.how != INSTALLED or found.folder):
            self.notes.append(
                f"{told}, can do without it, and goes without it: it is not installed here. "
                f"--requirement {found.name} adds it."
            )
        elif found.folder:
            raise UsageError(
                f"{told}: {_elsewhere(wish.module, found)}",
                hint="Name the folder in which it lies (--code PATH), or a distribution that an "
                "index has: --requirement NAME",
            )
        elif found.is_guess and self._unused:
            self.notes.append(f"{told}, which is taken to come from {_listed(self._unused)}.")
        else:
            self.requirements.setdefault(found.name, "")
            how = "" if found.how == KNOWN else f", {found.how}"
            self.reasons.setdefault(found.name, f"{told}{how}")

    def _has(self, module: str) -> bool:
        """Whether the model needs the distribution anyway."""
        return not self._have.isdisjoint(_names(module))

    def _is_here(self, module: str, own: Collection[str]) -> bool:
        top = module.partition(".")[0]
        return top in STDLIB or top in own or self._has(module) or installed(module) is not None

    def _is_asked(self, found: Provider) -> bool:
        return found.name in self._user


def _names(module: str) -> set[str]:
    """The distributions that may provide a module: of xgboost, xgboost-cpu and xgboost."""
    return {provider(module).name, canonical(module.partition(".")[0])}


def _elsewhere(module: str, found: Provider) -> str:
    place = (found.folder or "").removeprefix("file://")
    where = f"from {place}" if place.startswith("/") else "from a repository"
    return f"{module} is installed here {where}, which is no index."


def _listed(names: Iterable[str]) -> str:
    return " or ".join(sorted(names))
