"""Wheels and sdists of a lock."""

from __future__ import annotations

import hashlib
import re
import sys
import tarfile
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from packaging import tags
from packaging.requirements import Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from modelpack import processes
from modelpack.errors import EnvironmentNotResolvedError
from modelpack.platforms import wheel_platform_tags
from modelpack.types import IndexSettings

from .uv import Lock, Request, compile_lock, not_resolved, pins_of

if TYPE_CHECKING:
    from .downloads import Transport

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OnDownload = Callable[[str, int], None]
"""Called with the name and size of each file that is complete."""

_PARALLEL = 4
_BLOCK = 2**18


@dataclass(frozen=True)
class Artifact:
    """A wheel or an sdist of an index."""

    filename: str
    url: str
    sha256: str


def artifacts_from_lock(lock: str, request: Request) -> list[Artifact]:
    """Return the file of each distribution in `lock` that pip would select for the request.

    For `request.sdists`, it is the sdist.

    Raises:
        EnvironmentNotResolvedError: The index no longer has a locked file, or cannot be reached.
    """
    pins = [Requirement(f"{name}=={version}") for name, version in pins_of(lock).items()]
    options = ("--no-deps", "--format=pylock.toml")
    result = compile_lock(replace(request, requirements=pins, options=options))
    if result.error:
        raise not_resolved(result.error, request.python, request.platform)
    packages = tomllib.loads(result.text).get("packages", [])
    return [_chosen(package, request, lock) for package in packages]


def artifacts_from_directory(lock: str, folder: Path, request: Request) -> list[Artifact]:
    """Return the wheel of each distribution in `lock` from a directory.

    Raises:
        EnvironmentNotResolvedError: The directory has no wheel of a distribution.
    """
    wheels = {sha256_of(path): path for path in sorted(folder.glob("*.whl"))}
    return [_in_folder(name, hashes, wheels, request) for name, hashes in entries_of(lock)]


def _in_folder(
    name: str, hashes: Iterable[str], wheels: Mapping[str, Path], request: Request
) -> Artifact:
    locked = [(digest, wheels[digest]) for digest in hashes if digest in wheels]
    known = [{"url": path.as_uri(), "hashes": {"sha256": digest}} for digest, path in locked]
    fitting = _by_fit(known, request)
    if not fitting:
        raise EnvironmentNotResolvedError(
            f"The wheelhouse has no locked wheel of {name} for this Python and platform.",
            hint="Run on a machine with a network: modelpack lock MODEL --download FOLDER",
        )
    return _artifact(fitting[0])


def entries_of(lock: str) -> list[tuple[str, list[str]]]:
    """Return each "name==version" of a lock, with the SHA-256 of its files."""
    entries = re.findall(r"^(\S+==\S+)((?:\s+\\?\s*--hash=\S+)+)", lock, re.MULTILINE)
    return [(pin, re.findall(r":(\w+)", hashes)) for pin, hashes in entries]


def fetch(
    artifacts: Iterable[Artifact], folder: Path, index: IndexSettings, on_download: OnDownload
) -> None:
    """Download the files into `folder` and verify their hashes. Existing files are kept.

    Raises:
        EnvironmentNotResolvedError: A file cannot be downloaded, or is not the locked one.
    """
    from .downloads import Transport  # noqa: PLC0415 - the import takes 40 ms

    files = list(artifacts)
    with Transport(index) as source, ThreadPoolExecutor(_PARALLEL) as threads:
        jobs = [threads.submit(_fetch, artifact, folder, source) for artifact in files]
        try:
            for artifact, job in zip(files, jobs, strict=True):
                on_download(artifact.filename, job.result())
        except BaseException:
            source.stop()  # an interrupt does not wait for running downloads
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


# --- the choice ----------------------------------------------------------------------------------


def _chosen(package: dict[str, Any], request: Request, lock: str) -> Artifact:
    if package["name"] in request.sdists:
        candidates = [package["sdist"]] if "sdist" in package else []
    else:
        candidates = _by_fit(package.get("wheels", []), request)
    known = [_artifact(file) for file in candidates if file["hashes"]["sha256"] in lock]
    if not known:
        raise EnvironmentNotResolvedError(
            f"The package index has no locked file of {package['name']} {package['version']} for"
            f" Python {request.python} on {request.platform.partition('-')[0]}.",
            hint="Lock again: the index has changed.",
        )
    return known[0]


def _artifact(file: dict[str, Any]) -> Artifact:
    return Artifact(_filename(file), file["url"], file["hashes"]["sha256"])


def _filename(file: dict[str, Any]) -> str:
    """Return the last part of the path of the URL, which contains no separator."""
    return Path(unquote(urlsplit(file["url"]).path)).name


def _by_fit(wheels: list[dict[str, Any]], request: Request) -> list[dict[str, Any]]:
    """Return the wheels that fit the request, the best first."""
    ranks = {tag: rank for rank, tag in enumerate(_tags(request.python, request.platform))}
    fits = {min((ranks[tag] for tag in _tags_of(w) if tag in ranks), default=-1): w for w in wheels}
    return [fits[rank] for rank in sorted(fits) if rank >= 0]


def _tags_of(wheel: dict[str, Any]) -> Iterable[tags.Tag]:
    try:
        return parse_wheel_filename(_filename(wheel))[3]
    except InvalidWheelFilename:
        return ()


def _tags(python: str, platform: str) -> Iterator[tags.Tag]:
    """Yield the tags that pip accepts, the best first. `platform`: "x86_64-manylinux_2_28"."""
    major, minor = map(int, python.split("."))
    machine = platform.partition("-")[0]
    platforms = wheel_platform_tags(machine)
    abi = f"cp{major}{minor}" + ("m" if (major, minor) < (3, 8) else "")
    yield from tags.cpython_tags((major, minor), [abi], platforms)
    yield from tags.compatible_tags((major, minor), f"cp{major}{minor}", platforms)


# --- a file --------------------------------------------------------------------------------------


def _fetch(artifact: Artifact, folder: Path, source: Transport) -> int:
    """Download a file unless it exists, and return its size."""
    path = folder / artifact.filename
    if not (path.is_file() and sha256_of(path) == artifact.sha256):
        part = folder / f".{artifact.filename}.part"
        try:
            _write(part, source.blocks(artifact.url), artifact)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return path.stat().st_size


def _write(part: Path, blocks: Iterable[bytes], artifact: Artifact) -> None:
    digest = hashlib.sha256()
    with part.open("wb") as file:
        for block in blocks:
            digest.update(block)
            file.write(block)
    if digest.hexdigest() != artifact.sha256:
        raise EnvironmentNotResolvedError(
            f"{artifact.filename} of the package index is not the locked file.",
            hint="Lock again if the index was changed on purpose; otherwise find out who did it.",
        )


# Building an sdist runs its code, and so does locking it if its metadata is not static. modelpack
# builds only distributions that the user named, and their dependencies; never those of a model
# file.
_WHEELLESS = re.compile(r"^hint: Wheels are required for `([\w.-]+)`", re.MULTILINE)
_ALWAYS = ("setuptools", "wheel")
"""Build requirements that a distribution with an old setup.py does not declare."""

BUILD_TOOLS = (
    *_ALWAYS, "cython", "flit-core", "hatch-vcs", "hatchling", "pbr", "pdm-backend", "poetry-core",
    "setuptools-scm", "trove-classifiers", "versioneer",
)  # fmt: skip
"""Distributions that build others and that services do not import, except setuptools."""

PYTHON_2 = "use_2to3"
"""The argument of setup() that converts code of Python 2. Current setuptools rejects it."""

CONVERTS_PYTHON_2 = ("setuptools<58",)

_MAX_PROJECT_FILE_BYTES = 2**20


def without_wheels(lock: Lock) -> set[str]:
    """Return the distributions whose missing wheels made a lock fail."""
    return {canonicalize_name(name) for name in _WHEELLESS.findall(lock.error)}


def user_sdists(
    user: Sequence[Requirement],
    request: Request,
    never: Collection[str],
    lock: Callable[[Request], Lock] = compile_lock,
) -> tuple[str, ...]:
    """Return the distributions without wheels among the user's requirements and dependencies.

    Args:
        user: The requirements.
        request: The request for all requirements.
        never: Names that are not built.
        lock: The function that locks a request, with the bounds of the model.
    """
    request = replace(request, requirements=user)
    while missing := without_wheels(lock(request)) - set(request.sdists) - set(never):
        request = replace(request, sdists=(*request.sdists, *sorted(missing)))
    return request.sdists


def build_lock(lock: str, request: Request) -> str:
    """Lock the build requirements of `request.sdists`, if possible in the versions of `lock`.

    Raises:
        EnvironmentNotResolvedError: An sdist cannot be downloaded, or its metadata is invalid.
    """
    if not request.sdists:
        return ""
    files = [a for a in artifacts_from_lock(lock, request) if not a.filename.endswith(".whl")]
    with processes.temporary_directory() as folder:
        fetch(files, folder, request.index, lambda *_: None)
        needed = [r for file in files for r in requirements_of(folder / file.filename)]
    always = map(Requirement, [*_ALWAYS, *request.build_bounds])
    wheels = replace(request, requirements=[*always, *needed], sdists=())
    pins = [f"{name}=={version}" for name, version in Lock(lock, "").pins().items()]
    result = compile_lock(wheels, bounds=pins)
    result = compile_lock(wheels) if result.error else result
    if result.error:
        raise not_resolved(result.error, request.python, request.platform)
    return result.text


def requirements_of(sdist: Path) -> list[Requirement]:
    """Return the build requirements in the pyproject.toml of an sdist (PEP 518).

    Raises:
        EnvironmentNotResolvedError: It is not an archive, or its pyproject.toml is invalid.
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
            hint="Name a version with a wheel: --requirement NAME==VERSION",
        ) from error


def _project_file(sdist: Path) -> bytes:
    """Return the bytes of `name-version/pyproject.toml`; b"" if it does not exist."""
    if sdist.suffix == ".zip":
        with zipfile.ZipFile(sdist) as archive:
            name = next(filter(_is_project_file, archive.namelist()), None)
            return archive.open(name).read(_MAX_PROJECT_FILE_BYTES) if name else b""
    with tarfile.open(sdist) as tar:
        member = next((m for m in tar if _is_project_file(m.name)), None)
        file = tar.extractfile(member) if member else None
        return file.read(_MAX_PROJECT_FILE_BYTES) if file else b""


def _is_project_file(path: str) -> bool:
    return re.fullmatch(r"(\./)?[^/]+/pyproject\.toml", path) is not None
