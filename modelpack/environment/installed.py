"""Detection of the environment that saved the model, and its versions.

Nothing of an environment is run or imported. Only directory names and metadata are read.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email import message_from_string
from importlib.metadata import Distribution, DistributionFinder, MetadataPathFinder
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from modelpack.types import ModelSpec

from . import releases
from .requirements import VARIANTS, RequirementSet, canonical, pinned_version

ACTIVATED = ("VIRTUAL_ENV", "CONDA_PREFIX")
"""Variables with the environment of the user's shell, in order of precedence."""


@dataclass(frozen=True)
class Installed:
    """An environment.

    Attributes:
        folders: Its site-packages.
        versions: Canonical name -> version, for the libraries of models.
    """

    python: str
    folders: tuple[str, ...]
    versions: Mapping[str, Version]

    def all_versions(self) -> dict[str, Version]:
        """Return the versions of all distributions in the environment."""
        kinds = ("*.dist-info", "*.egg-info")
        paths = [p for folder in self.folders for kind in kinds for p in Path(folder).glob(kind)]
        names = {canonicalize_name(path.name.partition("-")[0]) for path in paths}
        return _versions(names | self.versions.keys(), self.folders)


def find_training_environment(spec: ModelSpec, required: RequirementSet) -> Installed | None:
    """Return the environment of the shell or of modelpack if it very likely saved the model.

    It then has the framework, all versions that the file records, and contradicts no other fact.
    If the file records no version, only the active environment counts.
    """
    names = {*releases.libraries(), *map(canonical, required.model)}
    for folders, python, is_active in _environments():
        environment = Installed(python, folders, _versions(names, folders))
        if _saved(environment, spec, required, is_active=is_active):
            return environment
    return None


def python_of(spec: ModelSpec, required: RequirementSet) -> str | None:
    """Return the Python version of the training environment."""
    environment = find_training_environment(spec, required)
    return environment.python if environment else None


def _environments() -> Iterator[tuple[tuple[str, ...], str, bool]]:
    """Yield the site-packages and Python version of each environment, and if it is active."""
    named = [Path(path) for name in ACTIVATED if (path := os.environ.get(name))]
    own_prefix = Path(sys.prefix).resolve()
    for prefix in named:
        if prefix.resolve() != own_prefix:
            for folder in sorted(prefix.glob("lib/python3.*/site-packages")):
                yield (str(folder),), folder.parent.name.removeprefix("python"), True
    own = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    is_active = own_prefix in {prefix.resolve() for prefix in named}
    yield tuple(own), f"{sys.version_info.major}.{sys.version_info.minor}", is_active


def _saved(
    environment: Installed, spec: ModelSpec, required: RequirementSet, *, is_active: bool
) -> bool:
    versions = environment.versions
    pins = {canonical(r): v for r in required.file if (v := pinned_version(r)) is not None}
    named = [r for r in required.user if canonical(r) in pins]
    is_likely = any(releases.releases_of(name) for name in pins)
    is_assumed = is_active and not pins and spec.framework is not None
    return (
        (is_likely or is_assumed)
        and (spec.framework is None or canonicalize_name(spec.framework) in versions)
        and all(versions.get(name) == version for name, version in pins.items())
        and all(
            r.specifier.contains(versions[canonical(r)], prereleases=True)
            for r in (*required.file, *named)
            if canonical(r) in versions
        )
        and spec.trained_on in {None, environment.python}
        and _allows(spec.python, environment.python)
    )


def _allows(specifier: str | None, python: str) -> bool:
    try:
        return SpecifierSet(specifier or "").contains(python)
    except InvalidSpecifier:
        return False


def _versions(names: Iterable[str], folders: Sequence[str]) -> dict[str, Version]:
    versions = {name: _version(name, folders) for name in names}
    for variant, name in VARIANTS.items():  # both contain the same module
        versions[name] = versions[variant] = _version(name, folders) or _version(variant, folders)
    return {name: version for name, version in versions.items() if version is not None}


def _version(name: str, folders: Sequence[str]) -> Version | None:
    """Return the version. None if it is not installed, or not from an index."""
    context = DistributionFinder.Context(name=name, path=list(folders))
    distribution = next(iter(MetadataPathFinder.find_distributions(context)), None)
    if distribution is None or distribution.read_text("direct_url.json"):
        return None
    version = _parsed(distribution)
    return None if version is None or version.local or version.is_devrelease else version


def _parsed(distribution: Distribution) -> Version | None:
    try:
        texts = map(distribution.read_text, ("METADATA", "PKG-INFO", ""))
        # The description below the headers is long, and parsing it takes most of the time.
        headers = next(filter(None, texts)).partition("\n\n")[0]
        return Version(message_from_string(headers)["Version"])
    except (ValueError, StopIteration, OSError, TypeError):  # missing or truncated metadata
        return None
