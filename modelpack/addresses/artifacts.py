"""The files of a model in an artifact store: through the proxy of an MLflow server, or on a disk.

A server is not trusted: names that leave the folder, other sizes than announced and endless bodies
are refused.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol
from urllib.parse import quote, unquote, urlsplit

from modelpack.errors import (
    EnvironmentNotResolvedError,
    ModelNotSupportedError,
    ModelRefusedError,
    UsageError,
)

from .http import Access, Client, Rejected, public
from .servers import tracking_server

MAX_FILES = 1_000
MAX_BYTES = 4 * 2**30
_MAX_DEPTH = 10
_MAX_NAME = 255
_MAX_SHOWN = 100
_BLOCK = 2**20
_PROXY = "/api/2.0/mlflow-artifacts/artifacts"
_SERVED = "or start the server with --serve-artifacts, so that it sends the artifacts itself"
SHARED = "MODELPACK_ARTIFACT_FOLDERS"
_DOWNLOAD = "Download the folder, and give it: mlflow artifacts download -u {address} -d FOLDER"

Progress = Callable[[str, int, int], object]
"""Receives the name of a file, its received bytes, and its size."""

Show = Callable[[int, int], object]
"""Receives the bytes of one file, and its size, or 0."""


@dataclass(frozen=True)
class Entry:
    """A file or folder in a folder of a store. `size` is None if it is not known."""

    name: str
    is_folder: bool
    size: int | None


class Store(Protocol):
    """A folder, or one file, in an artifact store. Paths are relative to it."""

    def entries(self, path: str) -> list[Entry]:
        """List a folder; nothing for a file."""

    def copy(self, path: str, file: BinaryIO, limit: int, show: Show) -> int:
        """Write a file of at most `limit` bytes to an empty `file`, and return its size."""

    def close(self) -> None: ...


def open_store(uri: str, address: str) -> Store:
    """Return the store of an artifact URI that a server has sent.

    Raises:
        ModelNotSupportedError: The store is neither the proxy of a server nor a shared disk.
        ModelRefusedError: The server names a folder of this machine that the user has not allowed.
        UsageError: The folder does not exist on this machine.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise _refused(f"their address is {ascii(uri)[:_MAX_SHOWN]}") from None
    if not uri:
        raise _refused("the server names no address of them")
    if parts.scheme in {"mlflow-artifacts", "http", "https"}:
        return _ProxyStore(uri)
    if parts.scheme in {"", "file"} and parts.netloc in {"", "localhost"}:
        path = Path(unquote(parts.path) if parts.scheme else uri)
        return _DiskStore(_shared_folder(path, address))
    where = ascii(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")[1:-1][:_MAX_SHOWN]
    raise ModelNotSupportedError(
        f"The artifacts of {address} are in {where}, which modelpack does not read.",
        hint=f"{_DOWNLOAD.format(address=address)}. Or restart the server with --serve-artifacts,"
        " and log the model again.",
    )


def _shared_folder(path: Path, address: str) -> Path:
    """Return the folder on this machine that a server names, if the user allows it.

    Any server could name a folder of this machine, and so have it copied, read and packaged.
    """
    shown = ascii(str(path))[1:-1]
    if not _is_shared(path):
        raise ModelRefusedError(
            f"The server names the folder {shown} of this machine for the artifacts of {address}.",
            hint=f"If the server stores its artifacts there, give the folder itself as MODEL, or"
            f" set {SHARED} to a folder that contains it. Otherwise {_SERVED[3:]}.",
        )
    if not os.path.lexists(path):
        raise UsageError(
            f"The artifacts of {address} are in the folder {shown} of the server, which does not"
            " exist on this machine.",
            hint=f"Run modelpack where the folder exists, {_SERVED}.",
        )
    return path


def _is_shared(path: Path) -> bool:
    """Return whether a path is in a folder that `MODELPACK_ARTIFACT_FOLDERS` lists."""
    listed = map(Path, filter(None, os.environ.get(SHARED, "").split(os.pathsep)))
    folders = {folder.resolve() for folder in listed if folder.is_absolute()}
    return path.is_absolute() and not folders.isdisjoint({*(real := path.resolve()).parents, real})


def copy_all(store: Store, target: Path, on_bytes: Progress) -> dict[str, str]:
    """Copy a folder to `target`, or one file, and return path -> SHA-256.

    Raises:
        ModelRefusedError: A name leaves the folder, a size is wrong, or there is too much.
        UsageError: There are no files.
        ModelpackError: As `Client.copy`.
    """
    copied: dict[str, str] = {}
    left = MAX_BYTES
    try:
        for path, size in _walk(store):
            place = target.joinpath(path) if path else target
            place.parent.mkdir(parents=True, exist_ok=True)
            limit = left if size is None else size
            if limit > left:
                raise _refused(f"it has more than {MAX_BYTES:,} bytes")
            copied[path], written = _copy(store, path, place, limit, on_bytes)
            if size is not None and written != size:
                shown = ascii(path)[1:-1]
                raise _refused(f"{shown} has {written:,} bytes, but {size:,} were announced")
            left -= written
    except Rejected as rejected:
        reason = ascii(rejected.message)[1:-1][:_MAX_SHOWN] or f"status {rejected.status}"
        raise UsageError(
            f"The artifacts cannot be read: {reason.rstrip('.')}.",
            hint="Check the address: the artifacts may have been deleted, or the path is wrong.",
        ) from None
    except OSError as error:
        raise EnvironmentNotResolvedError(
            f"The model cannot be copied to {target.parent}: {error.strerror}.",
            hint="Free space there, or set TMPDIR to a folder on another disk.",
        ) from error
    return copied


def _walk(store: Store) -> Iterator[tuple[str, int | None]]:
    """Yield path and size of each file; "" for a store that is one file."""
    count, waiting = 0, [("", 0)]
    is_empty = True
    while waiting:
        folder, depth = waiting.pop()
        names = set[str]()
        for entry in store.entries(folder):
            is_empty = False
            count += 1
            _require_name(entry.name)
            if count > MAX_FILES or depth > _MAX_DEPTH or entry.name in names:
                raise _refused(
                    f"it lists more than {MAX_FILES:,} files and folders, more than"
                    f" {_MAX_DEPTH} levels, or a name twice"
                )
            names.add(entry.name)
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_folder:
                waiting.append((path, depth + 1))
            else:
                yield path, entry.size
    if is_empty:
        yield "", None


def _require_name(name: str) -> None:
    parts = PurePosixPath(name).parts
    is_plain = parts == (name,) and name not in {"/", "..", "."} and len(name) <= _MAX_NAME
    if not is_plain or not name.isprintable() or "\\" in name:
        raise _refused(f"its name {ascii(name)[1:-1][:_MAX_SHOWN]} leaves the folder")


def _copy(store: Store, path: str, place: Path, limit: int, on_bytes: Progress) -> tuple[str, int]:
    """Copy one file, and return its digest and its size."""
    with place.open("x+b") as file:
        written = store.copy(path, file, limit, shown_as(path or place.name, on_bytes))
        return file_digest(file), written


def shown_as(name: str, on_bytes: Progress) -> Show:
    """Return a function that reports the progress of a file by its name."""
    shown = ascii(name)[1:-1]
    on_bytes(shown, 0, 1)

    def show(done: int, size: int) -> None:
        on_bytes(shown, done, max(size, done))

    return show


def file_digest(file: BinaryIO) -> str:
    """Return the SHA-256 of a file that was written."""
    file.seek(0)
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _refused(problem: str) -> ModelRefusedError:
    return ModelRefusedError(
        f"The artifacts of the model are refused: {problem}.",
        hint="No MLflow server sends this. Contact the administrator of the server.",
    )


class _ProxyStore:
    """Artifacts that an MLflow server sends itself."""

    def __init__(self, uri: str) -> None:
        parts = urlsplit(uri)
        with tracking_server() as tracking:
            own = urlsplit(tracking.url)
            if parts.scheme == "mlflow-artifacts":
                self._root = parts.path.strip("/")
                url = own._replace(netloc=parts.netloc or own.netloc).geturl()
            else:
                base, _, root = parts.path.partition(_PROXY)
                self._root = root.strip("/")
                url = parts._replace(path=base).geturl()
            # The credentials are those of the tracking server. Another server gets none.
            is_own = urlsplit(public(url))[:2] == own[:2]
            self._client = Client(public(url), tracking.access if is_own else Access())

    def entries(self, path: str) -> list[Entry]:
        document = self._client.document(_PROXY, {"path": self._path(path)})
        listed = document.get("files")
        found = [_entry(each) for each in listed] if isinstance(listed, list) else []
        name = PurePosixPath(self._path(path)).name
        is_file = len(found) == 1 and not found[0].is_folder and found[0].name == name and not path
        return [] if is_file else found

    def copy(self, path: str, file: BinaryIO, limit: int, show: Show) -> int:
        url = f"{self._client.url}{_PROXY}/{quote(self._path(path))}"
        return self._client.copy(url, file, limit, show)

    def close(self) -> None:
        self._client.close()

    def _path(self, path: str) -> str:
        return "/".join(filter(None, (self._root, path)))


def _entry(value: object) -> Entry:
    document: Mapping[str, Any] = value if isinstance(value, dict) else {}
    name = document.get("path")
    name = name if isinstance(name, str) else ""
    if document.get("is_dir") is True:
        return Entry(name, is_folder=True, size=None)
    size = document.get("file_size")
    if size is None:
        return Entry(name, is_folder=False, size=None)
    text = str(size) if isinstance(size, str | int) else ""
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise _refused(f"a size is {ascii(size)[:_MAX_SHOWN]}")
    return Entry(name, is_folder=False, size=int(text))


class _DiskStore:
    """Artifacts on a disk that this machine and the server share."""

    def __init__(self, path: Path) -> None:
        self._root = path

    def entries(self, path: str) -> list[Entry]:
        folder = self._root / path
        try:
            status = folder.lstat() if path else folder.stat()
            if not stat.S_ISDIR(status.st_mode):
                return []
            return [self._entry(path) for path in folder.iterdir()]
        except OSError as error:
            raise _unreadable(folder, error) from error

    def _entry(self, path: Path) -> Entry:
        status = path.lstat()
        is_folder = stat.S_ISDIR(status.st_mode)
        if not is_folder and not stat.S_ISREG(status.st_mode):
            raise _refused(f"{ascii(path.name)[1:-1]} is neither a file nor a folder")
        return Entry(path.name, is_folder, None if is_folder else status.st_size)

    def copy(self, path: str, file: BinaryIO, limit: int, show: Show) -> int:
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        total = 0
        try:
            descriptor = os.open(self._root / path, flags)
        except OSError as error:
            raise _unreadable(self._root / path, error) from error
        with os.fdopen(descriptor, "rb") as source:
            if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
                raise _refused(f"{ascii(path)[1:-1]} is not a regular file")
            while block := source.read(_BLOCK):
                total += len(block)
                if total > limit:
                    raise _refused(f"{ascii(path)[1:-1]} grows while it is read")
                file.write(block)
                show(total, limit)
        return total

    def close(self) -> None:
        pass


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{ascii(str(path))[1:-1]} cannot be read: {error.strerror}.",
        hint="Check that this user may read the folder of the artifacts.",
    )
