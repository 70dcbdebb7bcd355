"""The files of a lock: which of each distribution's fits, where it lies, and fetching it."""

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
from modelpack.platforms import fitting
from modelpack.types import IndexSettings

from .lock import Request, compile_lock, pins_of
from .reasons import not_resolved

if TYPE_CHECKING:
    from .transport import Transport

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OnFile = Callable[[str, int], None]
"""Told of each file that is there now, by name and size."""

_AT_ONCE = 4
_BLOCK = 2**18


@dataclass(frozen=True)
class Artifact:
    """A wheel or a source distribution, as an index has it."""

    filename: str
    url: str
    sha256: str


def of_lock(lock: str, request: Request) -> list[Artifact]:
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


def of_folder(lock: str, folder: Path, request: Request) -> list[Artifact]:
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


def fetch(artifacts: Iterable[Artifact], folder: Path, index: IndexSettings, told: OnFile) -> None:
    """Puts the files into `folder`: each whole and verified by its hash, or not at all. One that
    is there already is not fetched again.

    Raises:
        EnvironmentNotResolvedError: a file cannot be had, or is not the one that was locked.
    """
    from .transport import Transport  # noqa: PLC0415 - 40 ms, which all else does without

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
    platforms = fitting(machine)
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
