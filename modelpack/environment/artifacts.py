"""Wheels and sdists of a lock."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from packaging import tags
from packaging.requirements import Requirement
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from modelpack.errors import EnvironmentNotResolvedError
from modelpack.platforms import wheel_platform_tags
from modelpack.types import IndexSettings

from .uv import Request, compile_lock, not_resolved, pins_of

if TYPE_CHECKING:
    from .downloads import Transport
import tarfile
import zipfile
from collections.abc import Collection, Sequence

from packaging.utils import canonicalize_name

from modelpack import processes

from .uv import Lock

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OnDownload = Callable[[str, int], None]
"""Told of each file that is there now, by name and size."""

_AT_ONCE = 4
_BLOCK = 2**18


@dataclass(frozen=True)
class Artifact:
    """A wheel or a source distribution, as an index has it."""

    filename: str
    url: str
    sha256: str


def artifacts_from_lock(lock: str, request: Request) -> list[Artifact]:
    """The one file of each distribution in `lock` that pip would take for the request's Python and
    platform. `request.sdists` are taken as source.

    Raises:
        EnvironmentNotResolvedError: the index no longer has what was locked, or cannot be reached.
    """
    pins = [Requirement(f"{name}=={version}") for name, version in pins_of(lock).items()]
    alone = ("--no-deps", "--format=pylock.toml")
    found = compile_lock(replace(request, requirements=pins, options=alone))
    if found.error:
        raise not_resolved(found.error, request.python, request.platform)
    packages = tomllib.loads(found.text).get("packages", [])
    return [_chosen(package, request, lock) for package in packages]


def artifacts_from_directory(lock: str, folder: Path, request: Request) -> list[Artifact]:
    """As `of_lock`, of the files in a folder.

    Raises:
        EnvironmentNotResolvedError: it has none for a distribution.
    """
    wheels = {sha256_of(path): path for path in sorted(folder.glob("*.whl"))}
    return [_in_folder(name, hashes, wheels, request) for name, hashes in entries_of(lock)]


def _in_folder(
    name: str, hashes: Iterable[str], wheels: Mapping[str, Path], request: Request
) -> Artifact:
    here = [(digest, wheels[digest]) for digest in hashes if digest in wheels]
    known = [{"url": path.as_uri(), "hashes": {"sha256": digest}} for digest, path in here]
    fitting = _by_fit(known, request)
    if not fitting:
        raise EnvironmentNotResolvedError(
            f"The wheelhouse has no wheel of {name} that is locked and fits.",
            hint="Make one where there is a network: modelpack lock MODEL --download FOLDER",
        )
    return _artifact(fitting[0])


def entries_of(lock: str) -> list[tuple[str, list[str]]]:
    """Each "name==version" of a lock, with the sha256 of its files."""
    found = re.findall(r"^(\S+==\S+)((?:\s+\\?\s*--hash=\S+)+)", lock, re.MULTILINE)
    return [(pin, re.findall(r":(\w+)", hashes)) for pin, hashes in found]


def fetch(
    artifacts: Iterable[Artifact], folder: Path, index: IndexSettings, told: OnDownload
) -> None:
    """Puts the files into `folder`: each whole and verified by its hash, or not at all. One that
    is there already is not fetched again.

    Raises:
        EnvironmentNotResolvedError: a file cannot be had, or is not the one that was locked.
    """
    from .downloads import Transport  # noqa: PLC0415 - 40 ms, which all else does without

    wanted = list(artifacts)
    with Transport(index) as source, ThreadPoolExecutor(_AT_ONCE) as threads:
        jobs = [threads.submit(_fetch, artifact, folder, source) for artifact in wanted]
        try:
            for artifact, job in zip(wanted, jobs, strict=True):
                told(artifact.filename, job.result())
        except BaseException:
            source.stop()  # else an interrupt would wait for what is under way
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
            f"The package index has no file of {package['name']} {package['version']} that is both"
            f" locked and fit for Python {request.python} on {request.platform.partition('-')[0]}.",
            hint="Make the lock anew: the index has changed since.",
        )
    return known[0]


def _artifact(file: dict[str, Any]) -> Artifact:
    return Artifact(_filename(file), file["url"], file["hashes"]["sha256"])


def _filename(file: dict[str, Any]) -> str:
    """The last part of the URL's path, which holds no separator."""
    return Path(unquote(urlsplit(file["url"]).path)).name


def _by_fit(wheels: list[dict[str, Any]], request: Request) -> list[dict[str, Any]]:
    """Those that fit, the best first."""
    ranks = {tag: rank for rank, tag in enumerate(_tags(request.python, request.platform))}
    fits = {min((ranks[tag] for tag in _tags_of(w) if tag in ranks), default=-1): w for w in wheels}
    return [fits[rank] for rank in sorted(fits) if rank >= 0]


def _tags_of(wheel: dict[str, Any]) -> Iterable[tags.Tag]:
    try:
        return parse_wheel_filename(_filename(wheel))[3]
    except InvalidWheelFilename:
        return ()


def _tags(python: str, platform: str) -> Iterator[tags.Tag]:
    """What pip takes, the best first. `platform` is uv's name of it, "x86_64-manylinux_2_28"."""
    major, minor = map(int, python.split("."))
    machine = platform.partition("-")[0]
    platforms = wheel_platform_tags(machine)
    abi = f"cp{major}{minor}" + ("m" if (major, minor) < (3, 8) else "")
    yield from tags.cpython_tags((major, minor), [abi], platforms)
    yield from tags.compatible_tags((major, minor), f"cp{major}{minor}", platforms)


# --- a file --------------------------------------------------------------------------------------


def _fetch(artifact: Artifact, folder: Path, source: Transport) -> int:
    """The file's size."""
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
            f"{artifact.filename}, as the package index has it, is not the file that was locked.",
            hint="Make the lock anew if the index was changed on purpose; else find out by whom.",
        )


# Building runs code of the distribution, and so, where its metadata is not written down, does
# locking. Hence only what the user named is built, and what that depends on; never what stands in
# the model file alone.
if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_WHEELLESS = re.compile(r"^hint: Wheels are required for `([\w.-]+)`", re.MULTILINE)
_ALWAYS = ("setuptools", "wheel")
"""What a distribution with an old setup.py takes without saying so."""

_MAX_PROJECT_FILE_BYTES = 2**20


def without_wheels(lock: Lock) -> set[str]:
    """The distributions that a lock failed for want of a wheel."""
    return {canonicalize_name(name) for name in _WHEELLESS.findall(lock.error)}


def user_sdists(
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
    files = [a for a in artifacts_from_lock(lock, request) if not a.filename.endswith(".whl")]
    with processes.temporary_directory() as folder:
        fetch(files, folder, request.index, lambda *_: None)
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
            return archive.open(name).read(_MAX_PROJECT_FILE_BYTES) if name else b""
    with tarfile.open(sdist) as tar:
        member = next((m for m in tar if _is_project_file(m.name)), None)
        file = tar.extractfile(member) if member else None
        return file.read(_MAX_PROJECT_FILE_BYTES) if file else b""


def _is_project_file(path: str) -> bool:
    return re.fullmatch(r"(\./)?[^/]+/pyproject\.toml", path) is not None
