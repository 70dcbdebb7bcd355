"""A wheelhouse: a folder with all files of one lock, for builds without a network.

    *.whl *.tar.gz              one file per distribution of the lock
    debian/GROUP/*.deb          the Debian packages of a stage of the Dockerfile, from the engine
    requirements.lock           the lock; build-requirements.lock for sdists, if it has any
    wheelhouse.json             Python, platform, base image, and the digest of each file

A folder of wheels without wheelhouse.json, from another tool, is accepted, too.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from modelpack import cache
from modelpack import files as modelpack_files
from modelpack.errors import EnvironmentNotResolvedError, UsageError
from modelpack.files import link_or_copy, read_regular
from modelpack.platforms import PLATFORMS
from modelpack.types import BaseImage, Environment, IndexSettings, from_json

from . import artifacts, uv
from .uv import Request, pins_of

MANIFEST = "wheelhouse.json"
LOCK = "requirements.lock"
BUILD_LOCK = "build-requirements.lock"
DEBIAN = "debian"
_SCHEMA = 1
_MAX_MANIFEST_BYTES = 2**26

_AGAIN = "Run on a machine with a network: modelpack lock MODEL --download {}"


@dataclass(frozen=True)
class Wheelhouse:
    """The content of wheelhouse.json.

    Attributes:
        base: The base image that the Debian packages fit.
        lock: SHA-256 of the lock.
        files: Path -> SHA-256, for all files.
        complete: Whether all files exist.
    """

    python: str
    platform: str
    base: str
    base_digest: str | None
    lock: str
    files: Mapping[str, str]
    complete: bool = False


# --- creation ------------------------------------------------------------------------------------


def fill(
    folder: Path,
    environment: Environment,
    base: BaseImage,
    index: IndexSettings,
    on_download: artifacts.OnDownload,
) -> None:
    """Download the wheels and sdists of a lock into `folder`.

    An interrupted download continues; files of another lock are removed. The engine may add Debian
    packages. Call `write_manifest` at the end.

    Raises:
        EnvironmentNotResolvedError: A file cannot be downloaded, or is not the locked one.
        UsageError: The folder contains something else, or cannot be written.
    """
    files = _files(environment, index)
    locks = {LOCK: environment.lock, BUILD_LOCK: environment.build_lock}
    digests = {file.filename: file.sha256 for file in files}
    digest = hashlib.sha256(environment.lock.encode()).hexdigest()
    plan = Wheelhouse(
        environment.python, environment.platform, base.reference, base.digest, digest, digests
    )
    try:
        _prepare(folder, plan)
        for name, text in locks.items():
            if text:
                (folder / name).write_text(text, "utf-8")
        artifacts.fetch(files, folder, index, on_download)
    except OSError as error:
        raise UsageError(
            f"The wheelhouse {folder} cannot be written: {error.strerror or error}.",
            hint="Choose a writable folder: --download FOLDER",
        ) from error


def write_manifest(folder: Path) -> None:
    """Record the digest of each file, and that the wheelhouse is complete."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    files = {str(p.relative_to(folder)): artifacts.sha256_of(p) for p in paths}
    files.pop(MANIFEST)
    _write(folder, replace(_read(folder), files=files, complete=True))


def _files(environment: Environment, index: IndexSettings) -> list[artifacts.Artifact]:
    platform = PLATFORMS[environment.platform]
    request = Request((), environment.python, platform, index, environment.sdists)
    files = artifacts.artifacts_from_lock(environment.lock, request)
    if environment.build_lock:
        files += artifacts.artifacts_from_lock(environment.build_lock, replace(request, sdists=()))
    return list(dict.fromkeys(files))


def _prepare(folder: Path, plan: Wheelhouse) -> None:
    """Create the folder, and remove files that are not in `plan`."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise UsageError(
            f"{folder} is neither empty nor a wheelhouse.",
            hint="Choose an empty or a new folder for --download",
        )
    old = _read(folder).files if (folder / MANIFEST).is_file() else {}
    _write(folder, plan)
    for name in {*old, LOCK, BUILD_LOCK} - {*plan.files}:
        _inside(folder, name).unlink(missing_ok=True)


def _write(folder: Path, manifest: Wheelhouse) -> None:
    text = json.dumps({"schema": _SCHEMA, **asdict(manifest)}, indent=2) + "\n"
    modelpack_files.atomic_write_text(folder / MANIFEST, text)


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise _malformed(folder, f"it names {name!r}, which is outside the folder")
    return path


def collect_wheels(
    folder: Path, environment: Environment, index: IndexSettings, on_download: artifacts.OnDownload
) -> None:
    """Create `folder`/wheels with the wheels of a lock, and copy the Debian packages next to it.

    Downloaded wheels are cached.

    Raises:
        EnvironmentNotResolvedError: A wheel cannot be downloaded, or is not the locked one.
    """
    request = Request((), environment.python, PLATFORMS[environment.platform], index)
    if index.wheelhouse:
        files = artifacts.artifacts_from_directory(
            environment.lock, Path(index.wheelhouse), request
        )
    else:
        files = artifacts.artifacts_from_lock(environment.lock, request)
    wheels = cache.directory("wheels")
    for file in files:
        cache.note_use(wheels / file.filename)
    artifacts.fetch(files, wheels, index, on_download)
    (folder / "wheels").mkdir()
    for file in files:
        link_or_copy(wheels / file.filename, folder / "wheels" / file.filename)
    cache.prune("wheels")
    if index.wheelhouse and (Path(index.wheelhouse) / DEBIAN).is_dir():
        shutil.copytree(Path(index.wheelhouse) / DEBIAN, folder / DEBIAN)


# --- use -----------------------------------------------------------------------------------------


def read(folder: Path) -> Wheelhouse | None:
    """Verify all files of a wheelhouse, and return its manifest. None if it has no manifest.

    Raises:
        UsageError: The folder does not exist, or contains no wheels.
        EnvironmentNotResolvedError: It is incomplete, or a file was changed.
    """
    if not has_manifest(folder):
        _require_wheels(folder)
        return None
    house = _read(folder)
    if not house.complete:
        raise EnvironmentNotResolvedError(
            f"The wheelhouse {folder} is incomplete: its creation was interrupted.",
            hint=_AGAIN.format(folder),
        )
    for name, digest in house.files.items():
        path = _inside(folder, name)
        if not path.is_file() or artifacts.sha256_of(path) != digest:
            raise EnvironmentNotResolvedError(
                f"The wheelhouse {folder} is damaged: {name} is missing or was changed.",
                hint=_AGAIN.format(folder),
            )
    return house


def pythons(folder: Path, versions: tuple[str, ...], platform: str) -> tuple[str, ...]:
    """Return those of `versions` that fit the wheelhouse: the one in its manifest, if it has one.

    Raises:
        UsageError: The folder does not exist, or contains no wheels.
        EnvironmentNotResolvedError: None fits, or the wheelhouse is incomplete or was changed.
    """
    house = read(folder)
    if house is None:
        return versions
    require_fit(folder, house.python if house.python in versions else versions[0], platform)
    return (house.python,)


def has_manifest(folder: Path) -> bool:
    """Return whether the folder is for one Python version, as those of `lock --download` are."""
    return (folder / MANIFEST).is_file()


def require_files(folder: Path, environment: Environment) -> None:
    """Raise EnvironmentNotResolvedError unless each locked distribution has a file in `folder`."""
    digests = {artifacts.sha256_of(path) for path in folder.iterdir() if path.is_file()}
    lock = f"{environment.lock}\n{environment.build_lock}"
    missing = [pin for pin, hashes in artifacts.entries_of(lock) if digests.isdisjoint(hashes)]
    if missing:
        raise EnvironmentNotResolvedError(
            f"The wheelhouse {folder} lacks the locked files of {', '.join(missing)}.",
            hint=_AGAIN.format(
                f"FOLDER --python {environment.python} --platform {environment.platform}"
            ),
        )


def require_fit(folder: Path, python: str, platform: str) -> None:
    """Raise EnvironmentNotResolvedError if the manifest has another Python or platform."""
    house = _read(folder) if has_manifest(folder) else None
    if house and (house.python, house.platform) != (python, platform):
        raise EnvironmentNotResolvedError(
            f"The wheelhouse {folder} is for Python {house.python} on {house.platform}, but the"
            f" image needs Python {python} on {platform}.",
            hint=_AGAIN.format(f"FOLDER --python {python} --platform {platform}"),
        )


def require_debian(folder: Path, groups: Mapping[str, tuple[str, ...]]) -> None:
    """Raise EnvironmentNotResolvedError unless each stage has Debian packages in the wheelhouse.

    `groups`: stage of the Dockerfile -> names of Debian packages.
    """
    for group, names in groups.items():
        if not any((folder / DEBIAN / group).glob("*.deb")):
            raise EnvironmentNotResolvedError(
                f"The wheelhouse {folder} lacks Debian packages that the image needs: "
                f"{', '.join(names)}.",
                hint=_AGAIN.format(f"{folder}, with Docker running and the base image pulled"),
            )


def reuse_lock(lock: str, index: IndexSettings, name: str) -> str:
    """Return the lock in the wheelhouse if it has the same pins, otherwise `lock`.

    It contains the hashes of all files of the index, so builds with and without a network create
    the same bundle.
    """
    path = Path(index.wheelhouse or "") / name
    if not (index.wheelhouse and path.is_file()):
        return lock
    text = path.read_text("utf-8")
    return text if pins_of(text) == pins_of(lock) else lock


def not_resolved(
    output: str, index: IndexSettings, python: str, platform: str
) -> EnvironmentNotResolvedError:
    """Return the error for the standard error of uv, for an index or a wheelhouse."""
    error = uv.not_resolved(output, python, platform)
    if index.wheelhouse is None:
        return error
    return EnvironmentNotResolvedError(
        f"The wheelhouse {index.wheelhouse} lacks distributions of the model for Python {python} on"
        f" {platform}. {error.message}",
        hint=_AGAIN.format(f"FOLDER --python {python} --platform {platform}"),
    )


def _read(folder: Path) -> Wheelhouse:
    try:
        document = json.loads(read_regular(folder / MANIFEST, _MAX_MANIFEST_BYTES).decode("utf-8"))
        schema = document.pop("schema")
        house = from_json(Wheelhouse, document)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _malformed(folder, str(error)) from error
    except RecursionError as error:
        raise _malformed(folder, "it is nested too deeply") from error
    if schema != _SCHEMA:
        raise _malformed(folder, "it was written by another version of modelpack")
    return house


def _malformed(folder: Path, why: str) -> EnvironmentNotResolvedError:
    return EnvironmentNotResolvedError(
        f"{folder / MANIFEST} cannot be read: {why}.", hint=_AGAIN.format(folder)
    )


def _require_wheels(folder: Path) -> None:
    if not folder.is_dir() or not any(folder.glob("*.whl")):
        reason = "contains no wheels" if folder.is_dir() else "is not a folder"
        raise UsageError(f"The wheelhouse {folder} {reason}.", hint=_AGAIN.format(folder))
