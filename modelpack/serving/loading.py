"""The model, from verified file to object."""

from __future__ import annotations

import ctypes
import gc
import hashlib
import sys
import warnings
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any, BinaryIO, Collection, Iterable, Iterator

from modelpack.serving.containers import decompress

from .errors import StartupError
from .manifest import Manifest, ModelFile
from .runtimes import LOADERS, wrappers
from .runtimes.estimator import Chain
from .runtimes.threads import use_one_thread
from .runtimes.wrappers import Configured, Labelled

BLOCK = 2**24
"""Bytes that are hashed at once: in between, other threads may keep the interpreter for a while."""

BENIGN_WARNINGS = (
    # Rows are put into the order of the names that the model recorded, so names tell it nothing.
    "X does not have valid feature names",
    "X has feature names, but",
)


def load(directory: Path, manifest: Manifest) -> Any:
    """The model of the bundle in `directory`, set to use one thread.

    Raises:
        StartupError: a file of it is missing, is not the one that was packaged, names what it
            did not when it was inspected, or cannot be loaded with the libraries that are
            installed.
    """
    with user_code_importable(directory, manifest.main):
        roots = [_root(directory / file.path, file, manifest.globals) for file in manifest.files]
    wrappers.guard()
    members = [_member(roots[member.file], member.path) for member in manifest.members]
    for message in BENIGN_WARNINGS:
        warnings.filterwarnings("ignore", message=message, category=UserWarning)
    use_one_thread(members)
    _return_memory()
    model = members[0] if len(members) == 1 else Chain(members)
    if manifest.transform_output is not None:
        model = Configured(model, manifest.transform_output)
    return model if manifest.labels is None else Labelled(model, manifest.labels)


def _root(path: Path, file: ModelFile, names: Collection[str]) -> Any:
    try:
        stream = path.open("rb")
    except OSError as error:
        raise StartupError(f"the model file cannot be read: {error.strerror}.") from error
    with stream:
        digest = Digest(stream)
        digest.start()
        _import_modules(names)
        digest.check(file.sha256)
        stream.seek(0)  # not opened again: another file may lie under its name by now
        try:
            return LOADERS[file.format](decompress(stream, file.container), names)
        except Exception as error:
            kind = type(error).__name__
            raise StartupError(f"the model does not load: {kind}: {error}") from error


class Digest(Thread):
    """Of all of a stream, found while other threads go on."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream
        self._sha256 = hashlib.sha256()
        self._error: OSError | None = None

    def run(self) -> None:
        block = memoryview(bytearray(BLOCK))
        try:
            for size in iter(lambda: self._stream.readinto(block), 0):  # type: ignore[attr-defined]
                self._sha256.update(block[:size])
        except OSError as error:
            self._error = error

    def check(self, sha256: str) -> None:
        """Wait for it, and let the stream pass that has this digest.

        Raises:
            StartupError: it has another, or cannot be read.
        """
        self.join()
        if self._error:
            told = f"the model file cannot be read: {self._error.strerror}."
            raise StartupError(told) from self._error
        found = self._sha256.hexdigest()
        if found != sha256:
            raise StartupError(
                f"the model file is not the one that was packaged: its sha256 is {found}, and "
                f"modelpack.json says {sha256}."
            )


def _import_modules(names: Iterable[str]) -> None:
    """Import the modules of "module:name", as loading will: they were told when the file was
    inspected, so it need not have been looked at. One that cannot be imported is left to loading.
    """
    for module in sorted({name.partition(":")[0] for name in names} - {"__main__"}):
        with suppress(Exception):
            import_module(module)
    gc.freeze()  # no garbage, and a tenth of a second to look through


def _return_memory() -> None:
    """What loading took for a while goes back to the system: glibc would keep it."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _member(root: Any, path: Iterable[str | int]) -> Any:
    """What lies in `root` at these keys of dicts and positions of lists and tuples."""
    part = root
    try:
        for key in path:
            part = part[key]
    except (LookupError, TypeError) as error:
        raise StartupError(f"the model file holds nothing at {list(path)}.") from error
    return part


"""Imported where they are needed: a Python may have been built without them."""


@contextmanager
def user_code_importable(directory: Path, main: str | None) -> Iterator[None]:
    """From here on, the author's modules can be imported. Until the block is left, the names that a
    file has of `__main__`, the script that saved it, are those of the module `main`; the classes
    themselves know that they are of `main`.

    Raises:
        StartupError: `main` cannot be imported.
    """
    folder = (directory / "code").resolve()
    if folder.is_dir() and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    ours = sys.modules["__main__"]
    if main:
        sys.modules["__main__"] = _import_main(main)
    try:
        yield
    finally:
        sys.modules["__main__"] = ours


def _import_main(name: str) -> ModuleType:
    try:
        return import_module(name)
    except Exception as error:
        kind = type(error).__name__
        raise StartupError(f"the script {name} does not load: {kind}: {error}") from error
