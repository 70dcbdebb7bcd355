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

# Distributions without wheels for containers, or that need a screen -> one with the same modules.
_TWINS = {
    "opencv-contrib-python": "opencv-contrib-python-headless",
    "opencv-python": "opencv-python-headless",
    "psycopg2": "psycopg2-binary",
}


@dataclass(frozen=True)
class Provider:
    """The distribution of a module.

    Attributes:
        how: How it was found: `INSTALLED`, `KNOWN` or `GUESSED`.
        folder: Where it was installed from, if not from an index.
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
    """Return the distribution of a dotted module."""
    return installed(module) or _known(module) or Provider(_top_name(module), GUESSED)


def installed(module: str) -> Provider | None:
    """Return the distribution of a module in modelpack's environment or in $VIRTUAL_ENV."""
    names: dict[str, metadata.Distribution] = {
        canonicalize_name(dist.metadata["Name"]): dist
        for dist in _installed().get(module.partition(".")[0], ())
    }
    common = known(module)
    name = common if common in names else next(iter(sorted(names)), None)
    if name is None or (len(names) > 1 and name not in {common, _top_name(module)}):
        return None  # a namespace of several distributions, and none is known for this module
    dist = names[name]
    return Provider(_TWINS.get(name, name), INSTALLED, dist.version, _origin(dist))


def is_file_of_one(module: str) -> bool:
    """Return whether an installed distribution has a file of exactly this module.

    Some distributions install a top-level `tests` or `utils`, which may not be the one imported.
    """
    path = module.replace(".", "/")
    dists = _installed().get(module.partition(".")[0], ())
    files = {str(file).partition(".")[0] for dist in dists for file in dist.files or ()}
    return bool(files & {path, f"{path}/__init__"})


def is_known(distribution: str) -> bool:
    """Return whether the modules of a distribution are known. It is given by canonical name."""
    names = {dist.metadata["Name"] for dists in _installed().values() for dist in dists}
    return distribution in {str(canonicalize_name(name)) for name in names | {*_table().values()}}


def known(module: str) -> str | None:
    """Return the distribution of a module in the table of common ones."""
    found = _known(module)
    return found.name if found else None


def _top_name(module: str) -> str:
    return canonicalize_name(module.partition(".")[0])


def _known(module: str) -> Provider | None:
    words = module.split(".")
    names = (".".join(words[:count]) for count in range(len(words), 0, -1))
    distribution = next((_table()[name] for name in names if name in _table()), None)
    return Provider(canonicalize_name(distribution), KNOWN) if distribution else None


@cache
def _table() -> dict[str, str]:
    text = (Path(__file__).parent / "distributions.json").read_text("utf-8")
    table: dict[str, str] = json.loads(text)
    return table


@cache
def _installed() -> dict[str, list[metadata.Distribution]]:
    """Return top-level module -> the distributions with files of it."""
    by_module: dict[str, list[metadata.Distribution]] = {}
    for dist in metadata.distributions(path=[*_site_packages(), *sys.path]):
        for top in _tops(dist) if dist.metadata["Name"] else ():
            by_module.setdefault(top, []).append(dist)
    return by_module


def _site_packages() -> Iterable[str]:
    environment = os.environ.get("VIRTUAL_ENV")
    folders = Path(environment).glob("lib/python*/site-packages") if environment else ()
    return map(str, folders)


def _tops(dist: metadata.Distribution) -> set[str]:
    text = dist.read_text("top_level.txt")
    if text is not None:
        return set(text.split())
    files = [path.parts for path in dist.files or () if path.suffix == ".py"]
    return {parts[0].removesuffix(".py") for parts in files}


def _origin(dist: metadata.Distribution) -> str | None:
    """Return the URL of a distribution that was not installed from an index (PEP 610)."""
    text = dist.read_text("direct_url.json")
    try:
        return str(json.loads(text)["url"]) if text else None
    except (ValueError, LookupError, TypeError):
        return None


class CodeRequirements:
    """The requirements of the author's code; `user` are the names that the user requires.

    The distribution of a module that only the model file names is never guessed: anyone could have
    published one with that name.
    """

    def __init__(self, spec: ModelSpec, user: Sequence[str]) -> None:
        self._have = {canonicalize_name(name) for name in spec.requirements}
        self._user = {canonicalize_name(name) for name in user}
        # A distribution with unknown modules may contain any module.
        self._unused = {name for name in self._user - self._have if not is_known(name)}
        self._unused -= {canonicalize_name(name) for name in spec.local_modules}
        self.requirements: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        self.missing: list[str] = []
        self.notes: list[str] = []

    def names(self, module: str) -> bool:
        """Return whether the user requires the distribution of a module."""
        return self._is_requested(provider(module))

    def provide(self, module: str) -> None:
        """Require the installed distribution of a module that the model names."""
        origin = installed(module)
        if origin and not origin.folder and is_file_of_one(module):
            self.requirements[origin.name] = f"=={origin.version}"
            self.reasons[origin.name] = f"the model names {module}, {INSTALLED}"
            return
        if self._unused:
            self.notes.append(f"{module} is assumed to be part of {_either(self._unused)}.")
            return
        self.missing.append(module)
        if origin and origin.folder:
            self.notes.append(_not_from_index(module, origin))

    def add(self, imported: Iterable[External], own: Collection[str]) -> None:
        """Require the distributions of imported modules. `own`: modules of the author.

        Raises:
            UsageError: A distribution was not installed from an index.
        """
        origins = [(each, provider(each.module)) for each in imported if not self._has(each.module)]
        self._unused -= {origin.name for _, origin in origins}
        for external, origin in origins:
            instead_of = external.instead_of
            skipped = instead_of and all(self._is_available(m, own) for m in instead_of)
            if not skipped and not self._is_requested(origin):
                self._require(external, origin)

    def _require(self, external: External, origin: Provider) -> None:
        clause = f"{external.by} imports {external.module}"
        if origin.name == "modelpack":
            self.notes.append(f"{clause}, which the image does not contain.")
        elif external.optional and (origin.how != INSTALLED or origin.folder):
            self.notes.append(
                f"{clause}, but also works without it. It is left out, because it is not installed "
                f"here. --requirement {origin.name} adds it."
            )
        elif origin.folder:
            raise UsageError(
                f"{clause}: {_not_from_index(external.module, origin)}",
                hint="Name its folder (--code PATH), or a distribution of an index: "
                "--requirement NAME",
            )
        elif origin.is_guess and self._unused:
            self.notes.append(f"{clause}, which is assumed to be part of {_either(self._unused)}.")
        else:
            self.requirements.setdefault(origin.name, "")
            how = "" if origin.how == KNOWN else f", {origin.how}"
            self.reasons.setdefault(origin.name, f"{clause}{how}")

    def _has(self, module: str) -> bool:
        """Return whether the model needs the distribution anyway."""
        return not self._have.isdisjoint(_names(module))

    def _is_available(self, module: str, own: Collection[str]) -> bool:
        top = module.partition(".")[0]
        return top in STDLIB or top in own or self._has(module) or installed(module) is not None

    def _is_requested(self, origin: Provider) -> bool:
        return origin.name in self._user


def _names(module: str) -> set[str]:
    """Return the distributions that may provide a module, such as xgboost-cpu and xgboost."""
    return {provider(module).name, _top_name(module)}


def _not_from_index(module: str, origin: Provider) -> str:
    path = (origin.folder or "").removeprefix("file://")
    source = path if path.startswith("/") else "a repository"
    return f"{module} is installed here from {source}, not from an index."


def _either(names: Iterable[str]) -> str:
    return " or ".join(sorted(names))
