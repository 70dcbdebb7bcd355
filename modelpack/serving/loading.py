"""The model, from the bundle into memory, once, before the workers are forked."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any, BinaryIO, Collection, Iterable

from . import author
from .chain import Chain
from .containers import decompressed
from .errors import CannotStartError
from .formats import FORMATS
from .manifest import Manifest, ModelFile

BENIGN_WARNINGS = (
    # Rows are put into the order of the names that the model recorded, so names tell it nothing.
    "X does not have valid feature names",
    "X has feature names, but",
)


def load(directory: Path, manifest: Manifest) -> Any:
    """The model of the bundle in `directory`, set to use one thread.

    Raises:
        CannotStartError: a file of it is missing, is not the one that was packaged, names what it
            did not when it was inspected, or cannot be loaded with the libraries that are
            installed.
    """
    with author.importable(directory, manifest.main):
        roots = [_root(directory / file.path, file, manifest.globals) for file in manifest.files]
    members = [_member(roots[member.file], member.path) for member in manifest.members]
    for message in BENIGN_WARNINGS:
        warnings.filterwarnings("ignore", message=message, category=UserWarning)
    use_one_thread(members)
    return members[0] if len(members) == 1 else Chain(members)


def _root(path: Path, file: ModelFile, names: Collection[str]) -> Any:
    try:
        stream = path.open("rb")
    except OSError as error:
        raise CannotStartError(f"the model file cannot be read: {error.strerror}.") from error
    with stream:
        _check_digest(stream, file.sha256)
        stream.seek(0)  # not opened again: another file may lie under its name by now
        try:
            return FORMATS[file.format](decompressed(stream, file.container), names)
        except Exception as error:
            kind = type(error).__name__
            raise CannotStartError(f"the model does not load: {kind}: {error}") from error


def _check_digest(stream: BinaryIO, sha256: str) -> None:
    digest = hashlib.sha256()
    try:
        for block in iter(lambda: stream.read(2**20), b""):
            digest.update(block)
    except OSError as error:
        raise CannotStartError(f"the model file cannot be read: {error.strerror}.") from error
    if digest.hexdigest() != sha256:
        raise CannotStartError(
            f"the model file is not the one that was packaged: its sha256 is "
            f"{digest.hexdigest()}, and modelpack.json says {sha256}."
        )


def _member(root: Any, path: Iterable[str | int]) -> Any:
    """What lies in `root` at these keys of dicts and positions of lists and tuples."""
    part = root
    try:
        for key in path:
            part = part[key]
    except (LookupError, TypeError) as error:
        raise CannotStartError(f"the model file holds nothing at {list(path)}.") from error
    return part


def use_one_thread(model: Any) -> None:
    """Set n_jobs to 1 in every estimator inside `model`: threads cost more than they bring on the
    few rows of a request, and the workers already use all CPUs.
    """
    waiting, seen = [model], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if hasattr(part, "get_params") and "n_jobs" in getattr(part, "__dict__", ()):
            part.n_jobs = 1
        waiting.extend(_parts(part))


def _parts(value: Any) -> Iterable[Any]:
    """What an estimator, or a list, tuple or dict of them, is made of."""
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, (list, tuple)):
        return value
    return list(getattr(value, "__dict__", {}).values()) if hasattr(value, "get_params") else ()
