"""Which distribution provides a module: what is installed says so, then a table, then its name."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

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
