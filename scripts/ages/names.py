"""The names that each release of a library has, as ranges for modelpack/environment/names.json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import groupby

from allowlist.environments import RELEASES, Release, inside, make_environment
from packaging.version import Version

from .saving import INSIDE

BETWEEN = (
    Release("names-1.2", "3.8", "scikit-learn==1.2.2 numpy==1.20.3 scipy==1.9.3 pandas==1.5.3"),
    Release("names-1.3", "3.9", "scikit-learn==1.3.2 numpy==1.24.4 scipy==1.13.1 pandas==2.0.3"),
    Release("names-1.4", "3.11", "scikit-learn==1.4.2 numpy==1.25.2 scipy==1.11.4 pandas==2.1.4"),
    Release("names-1.7", "3.12", "scikit-learn==1.7.2 numpy==2.2.6 scipy==1.16.3 pandas==3.0.0"),
)
"""Environments for the feature releases of libraries that those of scikit-learn leave out."""

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
    expected = sorted(key for key in keys if key.partition(":")[0].partition(".")[0] in LIBRARIES)
    found = {release: _existing(release, expected) for release in (*RELEASES, *BETWEEN)}
    return {
        name: _library_ranges(name, [k for k in expected if _library(k) == name], found)
        for name in sorted(set(LIBRARIES.values()))
    }


def _library(key: str) -> str:
    return LIBRARIES[key.partition(":")[0].partition(".")[0]]


def _existing(release: Release, keys: list[str]) -> set[str]:
    make_environment(release)
    (release.folder / "ages").mkdir(exist_ok=True)
    question, answer = (
        release.folder / "ages" / "names.json",
        release.folder / "ages" / "found.json",
    )
    modules = {key.partition(":")[0] for key in keys}
    question.write_text(json.dumps(sorted({*keys, *modules})))
    inside(release, str(INSIDE / "names.py"), str(answer), str(question))
    return set(json.loads(answer.read_text()))


def _library_ranges(
    name: str, keys: list[str], by_release: Mapping[Release, set[str]]
) -> dict[str, object]:
    by_version: dict[str, set[str]] = {}
    for release, names in by_release.items():
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


def _ranges(present: list[bool], order: list[str]) -> str:
    """ "0.20-0.23 1.5-1.8" for those of `order` where it is there; "" where nowhere."""
    runs = groupby(zip(order, present, strict=True), key=lambda pair: pair[1])
    spans = [[version for version, _ in run] for is_there, run in runs if is_there]
    return " ".join(f"{span[0]}-{span[-1]}" for span in spans)
