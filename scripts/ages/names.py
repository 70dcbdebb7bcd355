"""Which names each release of a library has, told shortly, for modelpack/environment/names.json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import groupby

from allowlist.environments import RELEASES, Release, inside
from packaging.version import Version

from .saving import INSIDE

LIBRARIES = {
    "sklearn": "scikit-learn",
    "_loss": "scikit-learn",
    "numpy": "numpy",
    "scipy": "scipy",
    "pandas": "pandas",
}


def table(keys: Iterable[str]) -> dict[str, dict[str, object]]:
    """Distribution -> its `releases` ("1.26"), and `names`: module or "module:name" -> the ranges
    of releases that have it ("0.20-0.23"). What all have is left out, and so is a name that is
    there wherever its module is.
    """
    wanted = sorted(key for key in keys if key.partition(":")[0].partition(".")[0] in LIBRARIES)
    found = {release: _found(release, wanted) for release in RELEASES}
    return {
        name: _of_library(name, [k for k in wanted if _library(k) == name], found)
        for name in sorted(set(LIBRARIES.values()))
    }


def _library(key: str) -> str:
    return LIBRARIES[key.partition(":")[0].partition(".")[0]]


def _found(release: Release, keys: list[str]) -> set[str]:
    asked, answer = release.folder / "ages" / "names.json", release.folder / "ages" / "found.json"
    modules = {key.partition(":")[0] for key in keys}
    asked.write_text(json.dumps(sorted({*keys, *modules})))
    inside(release, str(INSIDE / "names.py"), str(answer), str(asked))
    return set(json.loads(answer.read_text()))


def _of_library(name: str, keys: list[str], found: Mapping[Release, set[str]]) -> dict[str, object]:
    by_version: dict[str, set[str]] = {}
    for release, names in found.items():
        by_version.setdefault(_series(release, name), set()).update(names)
    order = sorted(by_version, key=Version)
    names: dict[str, str] = {}
    for key in sorted(set(keys) | {key.partition(":")[0] for key in keys}):
        ranges = _ranges([key in by_version[version] for version in order], order)
        if ranges != names.get(key.partition(":")[0], f"{order[0]}-{order[-1]}"):
            names[key] = ranges
    return {"releases": order, "names": names}


def _series(release: Release, name: str) -> str:
    """The feature release ("1.26") of a library in the environment of `release`."""
    pins = dict(pin.split("==") for pin in release.requirements.split())
    version = Version(pins[name])
    return f"{version.major}.{version.minor}"


def _ranges(there: list[bool], order: list[str]) -> str:
    """ "0.20-0.23 1.5-1.8" for those of `order` where it is there; "" where nowhere."""
    runs = groupby(zip(order, there, strict=True), key=lambda pair: pair[1])
    spans = [[version for version, _ in run] for is_there, run in runs if is_there]
    return " ".join(f"{span[0]}-{span[-1]}" for span in spans)
