"""A wheelhouse: a folder with all that one lock takes, for building where there is no network.

    *.whl *.tar.gz              what the lock names: one file a distribution
    debian/GROUP/*.deb          the Debian packages of a stage of the Dockerfile, which the engine
                                puts there
    requirements.lock           the lock that it was made for; build-requirements.lock, if something
                                of it is built from source, for what that takes
    wheelhouse.json             what it was made for, and the digest of every file

A folder of wheels that something else made, without wheelhouse.json, serves as well.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

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
_MAX_MANIFEST_BYTES = 2**26  # of wheelhouse.json

_AGAIN = "Make one where there is a network: modelpack lock MODEL --download {}"


@dataclass(frozen=True)
class Wheelhouse:
    """What one was made for. `lock`: the sha256 of the lock's text. `base`: the image that its
    Debian packages fit. `files`: path in it -> sha256; all that it is to have once `complete`.
    """

    python: str
    platform: str
    base: str
    base_digest: str | None
    lock: str
    files: Mapping[str, str]
    complete: bool = False


# --- making one ----------------------------------------------------------------------------------


def fill(
    folder: Path,
    environment: Environment,
    base: BaseImage,
    index: IndexSettings,
    told: artifacts.OnDownload,
) -> None:
    """Puts the wheels and source distributions of a lock into `folder`. What was begun before goes
    on, what another lock left is removed. Debian packages may follow, and `seal` at the end.

    Raises:
        EnvironmentNotResolvedError: a file cannot be had, or is not the one that was locked.
        UsageError: the folder holds something else, or cannot be written.
    """
    files = _needed(environment, index)
    locks = {LOCK: environment.lock, BUILD_LOCK: environment.build_lock}
    wanted = {file.filename: file.sha256 for file in files}
    digest = hashlib.sha256(environment.lock.encode()).hexdigest()
    plan = Wheelhouse(
        environment.python, environment.platform, base.reference, base.digest, digest, wanted
    )
    try:
        _prepare(folder, plan)
        for name, text in locks.items():
            if text:
                (folder / name).write_text(text, "utf-8")
        artifacts.fetch(files, folder, index, told)
    except OSError as error:
        raise UsageError(
            f"The wheelhouse {folder} cannot be written: {error.strerror or error}.",
            hint="Choose a folder that can be written: --download FOLDER",
        ) from error


def write_manifest(folder: Path) -> None:
    """Records the digest of every file: it is complete."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    files = {str(p.relative_to(folder)): artifacts.sha256_of(p) for p in paths}
    files.pop(MANIFEST)
    _write(folder, replace(_read(folder), files=files, complete=True))


def _needed(environment: Environment, index: IndexSettings) -> list[artifacts.Artifact]:
    platform = PLATFORMS[environment.platform]
    request = Request((), environment.python, platform, index, environment.sdists)
    files = artifacts.artifacts_from_lock(environment.lock, request)
    if environment.build_lock:
        files += artifacts.artifacts_from_lock(environment.build_lock, replace(request, sdists=()))
    return list(dict.fromkeys(files))


def _prepare(folder: Path, plan: Wheelhouse) -> None:
    """Leaves nothing in it but what `plan` has use for."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise UsageError(
            f"{folder} is no wheelhouse, and not empty.",
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
        raise _malformed(folder, f"it names {name!r}, which lies outside")
    return path


def collect_wheels(
    folder: Path, environment: Environment, index: IndexSettings, told: artifacts.OnDownload
) -> None:
    """Puts the wheels that a lock names into `folder`/wheels, and nothing else there; beside them
    the Debian packages of a wheelhouse. Wheels are kept in the cache as well, for the next time.

    Raises:
        EnvironmentNotResolvedError: one cannot be had, or is not the one that was locked.
    """
    request = Request((), environment.python, PLATFORMS[environment.platform], index)
    if index.wheelhouse:
        files = artifacts.artifacts_from_directory(
            environment.lock, Path(index.wheelhouse), request
        )
    else:
        files = artifacts.artifacts_from_lock(environment.lock, request)
    kept = modelpack_files.cache_directory("wheels")
    artifacts.fetch(files, kept, index, told)
    (folder / "wheels").mkdir()
    for file in files:
        link_or_copy(kept / file.filename, folder / "wheels" / file.filename)
    if index.wheelhouse and (Path(index.wheelhouse) / DEBIAN).is_dir():
        shutil.copytree(Path(index.wheelhouse) / DEBIAN, folder / DEBIAN)


# --- using one -----------------------------------------------------------------------------------


def read(folder: Path) -> Wheelhouse | None:
    """What the wheelhouse was made for, once every file of it is seen to be what it was; None for a
    folder of wheels that says nothing.

    Raises:
        UsageError: there is no such folder, or no wheel in it.
        EnvironmentNotResolvedError: it is incomplete, or a file was changed.
    """
    if not (folder / MANIFEST).is_file():
        _require_wheels(folder)
        return None
    house = _read(folder)
    if not house.complete:
        raise EnvironmentNotResolvedError(
            f"The wheelhouse {folder} is incomplete: making it was interrupted.",
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
    """Those of `versions` that the wheelhouse serves: the one it was made for, if it says so.

    Raises:
        UsageError: there is no such folder, or no wheel in it.
        EnvironmentNotResolvedError: it was made for none of them, is incomplete, or was changed.
    """
    house = read(folder)
    if house is None:
        return versions
    require_fit(folder, house.python if house.python in versions else versions[0], platform)
    return (house.python,)


def require_files(folder: Path, environment: Environment) -> None:
    """Raises:
    EnvironmentNotResolvedError: it has no file of a distribution that the lock names.
    """
    here = {artifacts.sha256_of(path) for path in folder.iterdir() if path.is_file()}
    lock = f"{environment.lock}\n{environment.build_lock}"
    lacking = [pin for pin, hashes in artifacts.entries_of(lock) if here.isdisjoint(hashes)]
    if lacking:
        raise EnvironmentNotResolvedError(
            f"The wheelhouse {folder} lacks {', '.join(lacking)}, as the lock names them.",
            hint=_AGAIN.format(
                f"FOLDER --python {environment.python} --platform {environment.platform}"
            ),
        )


def require_fit(folder: Path, python: str, platform: str) -> None:
    """Raises:
    EnvironmentNotResolvedError: it says that it was made for another Python or platform.
    """
    house = _read(folder) if (folder / MANIFEST).is_file() else None
    if house and (house.python, house.platform) != (python, platform):
        raise EnvironmentNotResolvedError(
            f"The wheelhouse {folder} was made for Python {house.python} on {house.platform}; this"
            f" takes one for Python {python} on {platform}.",
            hint=_AGAIN.format(f"FOLDER --python {python} --platform {platform}"),
        )


def require_debian(folder: Path, groups: Mapping[str, tuple[str, ...]]) -> None:
    """`groups`: stage of the Dockerfile -> names of Debian packages.

    Raises:
        EnvironmentNotResolvedError: it has none for one of them.
    """
    for group, names in groups.items():
        if not any((folder / DEBIAN / group).glob("*.deb")):
            raise EnvironmentNotResolvedError(
                f"The wheelhouse {folder} lacks Debian packages that the image takes: "
                f"{', '.join(names)}.",
                hint=_AGAIN.format(f"{folder}, with Docker running and the base image there"),
            )


def reuse_lock(lock: str, index: IndexSettings, name: str) -> str:
    """The lock that the wheelhouse was made for, if it pins the same: it knows all the files of an
    index, so that with a network and without one the same bundle is made.
    """
    path = Path(index.wheelhouse or "") / name
    if not (index.wheelhouse and path.is_file()):
        return lock
    text = path.read_text("utf-8")
    return text if pins_of(text) == pins_of(lock) else lock


def not_resolved(
    output: str, index: IndexSettings, python: str, platform: str
) -> EnvironmentNotResolvedError:
    """The error for uv's standard error `output`, whether an index was asked or a wheelhouse."""
    error = uv.not_resolved(output, python, platform)
    if index.wheelhouse is None:
        return error
    return EnvironmentNotResolvedError(
        f"The wheelhouse {index.wheelhouse} does not have all that the model takes for Python"
        f" {python} on {platform}. {error.message}",
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
        raise _malformed(folder, "it is one of another version of modelpack")
    return house


def _malformed(folder: Path, why: str) -> EnvironmentNotResolvedError:
    return EnvironmentNotResolvedError(
        f"{folder / MANIFEST} cannot be read: {why}.", hint=_AGAIN.format(folder)
    )


def _require_wheels(folder: Path) -> None:
    if not folder.is_dir() or not any(folder.glob("*.whl")):
        what = "has no wheels in it" if folder.is_dir() else "is no folder"
        raise UsageError(f"The wheelhouse {folder} {what}.", hint=_AGAIN.format(folder))
