"""What is installed here, where that is the environment that saved the model.

Nothing of an environment is run or imported: the names of its folders and the metadata in them are
read.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, DistributionFinder, MetadataPathFinder
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from modelpack.types import ModelSpec

from . import releases
from .requirements import VARIANTS, RequirementSet, canonical, pinned_version

ACTIVATED = ("VIRTUAL_ENV", "CONDA_PREFIX")
"""Variables that name the environment of the user's shell, the strongest first."""


@dataclass(frozen=True)
class Installed:
    """The Python version ("3.11") of an environment, its folders of packages, and the versions in
    them, by canonical name, of the libraries that tell of a model.
    """

    python: str
    folders: tuple[str, ...]
    versions: Mapping[str, Version]

    def all_versions(self) -> dict[str, Version]:
        """Those of all that is in the environment."""
        kinds = ("*.dist-info", "*.egg-info")
        paths = [p for folder in self.folders for kind in kinds for p in Path(folder).glob(kind)]
        names = {canonicalize_name(path.name.partition("-")[0]) for path in paths}
        return _versions(names | self.versions.keys(), self.folders)


def find_training_environment(spec: ModelSpec, wanted: RequirementSet) -> Installed | None:
    """The environment of the user's shell, or else the one that runs modelpack, if it very likely
    saved the model: it has each version that the file records, that of the framework too, and
    nothing that the file speaks against.
    """
    names = {*releases.libraries(), *map(canonical, wanted.model)}
    for folders, python in _environments():
        found = Installed(python, folders, _versions(names, folders))
        if _saved(found, spec, wanted):
            return found
    return None


def python_of(spec: ModelSpec, wanted: RequirementSet) -> str | None:
    """The Python version of that environment."""
    found = find_training_environment(spec, wanted)
    return found.python if found else None


def _environments() -> Iterator[tuple[tuple[str, ...], str]]:
    """Each one's folders of packages, and its Python version."""
    named = [Path(path) for name in ACTIVATED if (path := os.environ.get(name))]
    for prefix in named:
        if prefix.resolve() != Path(sys.prefix).resolve():
            for folder in sorted(prefix.glob("lib/python3.*/site-packages")):
                yield (str(folder),), folder.parent.name.removeprefix("python")
    own = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    yield tuple(own), f"{sys.version_info.major}.{sys.version_info.minor}"


def _saved(found: Installed, spec: ModelSpec, wanted: RequirementSet) -> bool:
    versions = found.versions
    pins = {canonical(r): v for r in wanted.file if (v := pinned_version(r)) is not None}
    named = [r for r in wanted.user if canonical(r) in pins]
    return (
        any(releases.releases_of(name) for name in pins)
        and (spec.framework is None or canonicalize_name(spec.framework) in versions)
        and all(versions.get(name) == version for name, version in pins.items())
        and all(
            r.specifier.contains(versions[canonical(r)], prereleases=True)
            for r in (*wanted.file, *named)
            if canonical(r) in versions
        )
        and spec.trained_on in {None, found.python}
        and _allows(spec.python, found.python)
    )


def _allows(specifier: str | None, python: str) -> bool:
    try:
        return SpecifierSet(specifier or "").contains(python)
    except InvalidSpecifier:
        return False


def _versions(names: Iterable[str], folders: Sequence[str]) -> dict[str, Version]:
    found = {name: _version(name, folders) for name in names}
    for variant, name in VARIANTS.items():  # the same module, whichever of the two brought it
        found[name] = found[variant] = _version(name, folders) or _version(variant, folders)
    return {name: version for name, version in found.items() if version is not None}


def _version(name: str, folders: Sequence[str]) -> Version | None:
    """None for what is not there, and for what no index has: a local build, one from a folder."""
    context = DistributionFinder.Context(name=name, path=list(folders))
    distribution = next(iter(MetadataPathFinder.find_distributions(context)), None)
    if distribution is None or distribution.read_text("direct_url.json"):
        return None
    version = _parsed(distribution)
    return None if version is None or version.local or version.is_devrelease else version


def _parsed(distribution: Distribution) -> Version | None:
    try:
        return Version(distribution.version)
    except (InvalidVersion, KeyError, OSError, TypeError):  # metadata that is cut or not there
        return None
