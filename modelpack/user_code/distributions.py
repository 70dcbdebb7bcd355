"""The distributions that provide the imported modules."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

from modelpack.errors import UsageError
from modelpack.types import ModelSpec

from .modules import STDLIB, External

# What has no wheel for a container, or needs a screen -> the twin of the same modules.
_TWINS = {
    "opencv-contrib-python": "opencv-contrib-python-headless",
    "opencv-python": "opencv-python-headless",
    "psycopg2": "psycopg2-binary",
}


@dataclass(frozen=True)
class Provider:
    """A distribution. `how`: in words, what tells that it provides the module. `version`: of the
    one that is installed here. `folder`: where it was installed from, if not from an index.
    """

    name: str
    how: str
    version: str | None = None
    folder: str | None = None

    @property
    def is_guess(self) -> bool:
        return self.how == GUESSED


INSTALLED, KNOWN, GUESSED = "installed here", "known", "guessed by the name alone"


def provider(module: str) -> Provider:
    """The distribution of a dotted module."""
    return installed(module) or _known(module) or Provider(_plain(module), GUESSED)


def installed(module: str) -> Provider | None:
    """The distribution that provides the module in modelpack's environment or in $VIRTUAL_ENV."""
    found = _installed().get(module.partition(".")[0], ())
    names: dict[str, metadata.Distribution] = {
        canonicalize_name(dist.metadata["Name"]): dist for dist in found
    }
    known = _known(module)
    name = known.name if known and known.name in names else next(iter(sorted(names)), None)
    if name is None or (len(names) > 1 and name not in {known and known.name, _plain(module)}):
        return None  # a namespace of several, of which none is known to hold this module
    dist = names[name]
    return Provider(_TWINS.get(name, name), INSTALLED, dist.version, _origin(dist))


def is_file_of_one(module: str) -> bool:
    """Whether an installed distribution has a file of this very module: some leave a `tests` or
    `utils` behind, which says nothing of another's.
    """
    path = module.replace(".", "/")
    dists = _installed().get(module.partition(".")[0], ())
    files = {str(file).partition(".")[0] for dist in dists for file in dist.files or ()}
    return bool(files & {path, f"{path}/__init__"})


def is_known(distribution: str) -> bool:
    """Whether it is told which modules a distribution, by its canonical name, has."""
    here = {dist.metadata["Name"] for dists in _installed().values() for dist in dists}
    return distribution in {str(canonicalize_name(name)) for name in here | {*_table().values()}}


def canonical(name: str) -> str:
    return canonicalize_name(name)


def _plain(module: str) -> str:
    return canonicalize_name(module.partition(".")[0])


def _known(module: str) -> Provider | None:
    words = module.split(".")
    names = (".".join(words[:count]) for count in range(len(words), 0, -1))
    found = next((_table()[name] for name in names if name in _table()), None)
    return Provider(canonicalize_name(found), KNOWN) if found else None


@cache
def _table() -> dict[str, str]:
    text = (Path(__file__).parent / "distributions.json").read_text("utf-8")
    table: dict[str, str] = json.loads(text)
    return table


@cache
def _installed() -> dict[str, list[metadata.Distribution]]:
    """Top-level module -> the distributions that have files of it."""
    found: dict[str, list[metadata.Distribution]] = {}
    for dist in metadata.distributions(path=[*_site_packages(), *sys.path]):
        for top in _tops(dist) if dist.metadata["Name"] else ():
            found.setdefault(top, []).append(dist)
    return found


def _site_packages() -> Iterable[str]:
    environment = os.environ.get("VIRTUAL_ENV")
    folders = Path(environment).glob("lib/python*/site-packages") if environment else ()
    return map(str, folders)


def _tops(dist: metadata.Distribution) -> set[str]:
    told = dist.read_text("top_level.txt")
    if told is not None:
        return set(told.split())
    files = [path.parts for path in dist.files or () if path.suffix == ".py"]
    return {parts[0].removesuffix(".py") for parts in files}


def _origin(dist: metadata.Distribution) -> str | None:
    """Where a distribution came from that was installed from no index (PEP 610)."""
    told = dist.read_text("direct_url.json")
    try:
        return str(json.loads(told)["url"]) if told else None
    except (ValueError, LookupError, TypeError):
        return None


class CodeRequirements:
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
