"""Distributions that have no wheel: which of them may be built from source, and what that takes.

Building runs code of the distribution, and so, where its metadata is not written down, does
locking. Hence only what the user named is built, and what that depends on; never what stands in
the model file alone.
"""

from __future__ import annotations

import re
import sys
import tarfile
import zipfile
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from modelpack import processes
from modelpack.errors import EnvironmentNotResolvedError

from . import artifacts
from .lock import Lock, Request, compile_lock
from .reasons import not_resolved

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_WHEELLESS = re.compile(r"^hint: Wheels are required for `([\w.-]+)`", re.MULTILINE)
_ALWAYS = ("setuptools", "wheel")
"""What a distribution with an old setup.py takes without saying so."""

_LARGEST_PROJECT_FILE = 2**20


def without_wheels(lock: Lock) -> set[str]:
    """The distributions that a lock failed for want of a wheel."""
    return {canonicalize_name(name) for name in _WHEELLESS.findall(lock.error)}


def of_user(
    user: Sequence[Requirement], request: Request, never: Collection[str]
) -> tuple[str, ...]:
    """What has no wheel of the user's requirements and all that those alone depend on.

    `never`: names that are not built, whoever asks for them.
    """
    request = replace(request, requirements=user)
    while missing := without_wheels(compile_lock(request)) - set(request.sdists) - set(never):
        request = replace(request, sdists=(*request.sdists, *sorted(missing)))
    return request.sdists


def build_lock(lock: str, request: Request) -> str:
    """The lock of what building `request.sdists` takes, in the versions of `lock` where they fit.

    Raises:
        EnvironmentNotResolvedError: a source distribution cannot be had, or says no proper thing.
    """
    if not request.sdists:
        return ""
    files = [a for a in artifacts.of_lock(lock, request) if not a.filename.endswith(".whl")]
    with processes.scratch_folder() as folder:
        artifacts.fetch(files, folder, request.index, lambda *_: None)
        needed = [r for file in files for r in requirements_of(folder / file.filename)]
    wheels = replace(request, requirements=[*map(Requirement, _ALWAYS), *needed], sdists=())
    pins = [f"{name}=={version}" for name, version in Lock(lock, "").pins().items()]
    made = compile_lock(wheels, bounds=pins)
    made = compile_lock(wheels) if made.error else made
    if made.error:
        raise not_resolved(made.error, request.python, request.platform)
    return made.text


def requirements_of(sdist: Path) -> list[Requirement]:
    """What a source distribution says in pyproject.toml that building it takes (PEP 518).

    Raises:
        EnvironmentNotResolvedError: it is no archive, or says no proper thing.
    """
    try:
        document = tomllib.loads(_project_file(sdist).decode())
        lines = document.get("build-system", {}).get("requires", [])
        return [Requirement(line) for line in lines]
    except (
        OSError,
        ValueError,
        TypeError,
        AttributeError,
        EOFError,
        tarfile.TarError,
        zipfile.BadZipFile,
    ) as error:
        raise EnvironmentNotResolvedError(
            f"{sdist.name} cannot be built from source: {error}.",
            hint="Name a version that has a wheel: --requirement NAME==VERSION",
        ) from error


def _project_file(sdist: Path) -> bytes:
    """The bytes of `name-version/pyproject.toml`; none where there is no such file."""
    if sdist.suffix == ".zip":
        with zipfile.ZipFile(sdist) as archive:
            name = next(filter(_is_project_file, archive.namelist()), None)
            return archive.open(name).read(_LARGEST_PROJECT_FILE) if name else b""
    with tarfile.open(sdist) as tar:
        member = next((m for m in tar if _is_project_file(m.name)), None)
        file = tar.extractfile(member) if member else None
        return file.read(_LARGEST_PROJECT_FILE) if file else b""


def _is_project_file(path: str) -> bool:
    return re.fullmatch(r"(\./)?[^/]+/pyproject\.toml", path) is not None
