"""Which names the releases of a library have, from names.json, which scripts/make_ages.py makes by
looking each of them up in real environments.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

LIBRARIES = {
    "_loss": "scikit-learn",
    "numpy": "numpy",
    "pandas": "pandas",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
}
"""Top-level module -> the distribution whose releases are known."""


def library(key: str) -> str | None:
    """The distribution of a "module:name" whose releases are known."""
    return LIBRARIES.get(key.partition(":")[0].partition(".")[0])


def ranges(key: str) -> str:
    """The feature releases that have a name, as "0.20-0.23 1.5-1.8"; "" where that is all that are
    known, or nothing is known of it.
    """
    table = _table().get(library(key) or "", {})
    names: Mapping[str, str] = table.get("names", {})
    return names.get(key, names.get(key.partition(":")[0], ""))


def is_missing(key: str, version: str) -> bool:
    """Whether the release surely has no such name: of the feature releases that are known, neither
    the nearest at or below `version` has it, nor the nearest at or above it.
    """
    spans = [tuple(map(Version, span.split("-"))) for span in ranges(key).split()]
    return bool(spans) and not any(
        first <= known <= last for first, last in spans for known in _nearest(key, version)
    )


def _nearest(key: str, version: str) -> tuple[Version, ...]:
    """The known releases on both sides; beyond the newest, that one: what is gone stays so."""
    known = [Version(release) for release in _table()[library(key) or ""]["releases"]]
    try:
        feature = Version(".".join(map(str, (*Version(version).release, 0)[:2])))
    except InvalidVersion:
        return tuple(known)
    below = [release for release in known if release <= feature]
    above = [release for release in known if release >= feature]
    return (*below[-1:], *above[:1]) if below else tuple(known)


@cache
def _table() -> Mapping[str, Any]:
    text = (Path(__file__).parent / "names.json").read_text(encoding="utf-8")
    table: Mapping[str, Any] = json.loads(text)
    return table
