"""Verification and loading of the model."""

from __future__ import annotations

import ast
import ctypes
import gc
import hashlib
import linecache
import sys
import traceback
import warnings
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any, BinaryIO, Collection, Iterable, Iterator

from modelpack.serving.containers import decompress

from .errors import StartupError
from .manifest import Context, Manifest, ModelFile
from .runtimes import LOADERS, wrappers
from .runtimes.estimator import Chain
from .runtimes.native_chain import NATIVE, NativeChain
from .runtimes.python_model import adapt, disable_telemetry
from .runtimes.threads import use_one_thread
from .runtimes.wrappers import Configured, Inverted, Labelled

BLOCK = 2**24
"""Bytes that are hashed at once. In between, other threads can run."""

BENIGN_WARNINGS = (
    # Rows are in the order of the names that the model recorded, so names are not needed.
    "X does not have valid feature names",
    "X has feature names, but",
)


def load(directory: Path, manifest: Manifest) -> Any:
    """Load the model of the bundle in `directory`, and let it use one thread.

    Raises:
        StartupError: A file is missing, differs from the packaged one, names objects that
            inspection did not find, or cannot be loaded with the installed libraries.
    """
    disable_telemetry()
    with user_code_importable(directory, manifest.main, manifest.startup):
        roots = [_root(directory / file.path, file, manifest.globals) for file in manifest.files]
        _check_artifacts(directory, manifest.context)
    wrappers.guard()
    members = [
        adapt(_member(roots[member.file], member.path), manifest.context, directory)
        for member in manifest.members
    ]
    for message in BENIGN_WARNINGS:
        warnings.filterwarnings("ignore", message=message, category=UserWarning)
    use_one_thread(members)
    _return_memory()
    is_chain = len(members) > 1 or manifest.labels is not None
    if is_chain and manifest.format in NATIVE:
        return NativeChain(members, manifest.transform_output, manifest.labels)
    model = members[0] if len(members) == 1 else Chain(members)
    if manifest.transform_output is not None:
        model = Configured(model, manifest.transform_output)
    if manifest.target is not None:
        model = Inverted(model, _member(roots[manifest.target.file], manifest.target.path))
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
        stream.seek(0)  # not opened again: the path may lead to another file by now
        try:
            return LOADERS[file.format](decompress(stream, file.container), names)
        except Exception as error:
            kind = type(error).__name__
            others = _missing_too(error) if isinstance(error, ModuleNotFoundError) else []
            more = f"; also missing: {', '.join(others)}" if others else ""
            raise StartupError(f"the model does not load: {kind}: {error}{more}") from error


def _check_artifacts(directory: Path, context: Context) -> None:
    for path, sha256 in context.digests.items():
        try:
            with (directory / context.folder / path).open("rb") as stream:
                digest = Digest(stream, f"the artifact {path}")
                digest.run()
                digest.check(sha256)
        except OSError as error:
            raise StartupError(f"the artifact {path} cannot be read: {error.strerror}.") from error


class Digest(Thread):
    """A thread that computes the digest of a stream."""

    def __init__(self, stream: BinaryIO, name: str = "the model file") -> None:
        super().__init__()
        self._described = name
        self._stream = stream
        self._sha256 = hashlib.sha256()
        self._error: OSError | None = None

    def run(self) -> None:
        """Read and hash the stream."""
        block = memoryview(bytearray(BLOCK))
        try:
            for size in iter(lambda: self._stream.readinto(block), 0):  # type: ignore[attr-defined]
                self._sha256.update(block[:size])
        except OSError as error:
            self._error = error

    def check(self, sha256: str) -> None:
        """Wait for the thread, and compare the digest.

        Raises:
            StartupError: The stream has another digest, or cannot be read.
        """
        if self.is_alive():
            self.join()
        if self._error:
            reason = f"{self._described} cannot be read: {self._error.strerror}."
            raise StartupError(reason) from self._error
        actual = self._sha256.hexdigest()
        if actual != sha256:
            raise StartupError(
                f"{self._described} is not the one that was packaged: its sha256 is {actual}, but "
                f"modelpack.json contains {sha256}."
            )


def _import_modules(names: Iterable[str]) -> None:
    """Import the modules of "module:name" while the file is hashed.

    The names come from the inspection, not from the file. Loading reports failed imports.
    """
    for module in sorted({name.partition(":")[0] for name in names} - {"__main__"}):
        with suppress(Exception):
            import_module(module)
    gc.freeze()  # modules are not garbage, and take a tenth of a second to search


def _missing_too(error: ModuleNotFoundError) -> list[str]:
    """Return other missing modules that the files import whose import failed.

    Some distributions declare no dependencies, so several may be missing. Only imports at the top
    level of a file are counted: those in `try`, `if` and functions may be optional.
    """
    names: set[str] = set()
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name == "<module>":
            for statement in ast.parse("".join(linecache.getlines(frame.f_code.co_filename))).body:
                if isinstance(statement, ast.Import):
                    names.update(alias.name for alias in statement.names)
                elif isinstance(statement, ast.ImportFrom) and not statement.level:
                    names.add(str(statement.module))
    tops = {name.partition(".")[0] for name in names} - {error.name, *sys.modules}
    return sorted(top for top in tops if find_spec(top) is None)


def _return_memory() -> None:
    """Return freed memory to the system, which glibc would keep."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _member(root: Any, path: Iterable[str | int]) -> Any:
    """Return the object in `root` at these keys of dicts and positions of lists and tuples."""
    part = root
    try:
        for key in path:
            part = part[key]
    except (LookupError, TypeError) as error:
        raise StartupError(f"the model file contains nothing at {list(path)}.") from error
    return part


@contextmanager
def user_code_importable(
    directory: Path, main: str | None, startup: str | None = None
) -> Iterator[None]:
    """Make the modules of the author importable, and replace `__main__` in the context.

    Files refer to definitions of the script that saved them as names of `__main__`. Within the
    context, these are the names of the module `main`. The module `startup` is imported first.

    Raises:
        StartupError: `main` or `startup` cannot be imported.
    """
    folder = (directory / "code").resolve()
    if folder.is_dir() and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    ours = sys.modules["__main__"]
    if startup:
        _import_code(startup, "module")
    if main:
        sys.modules["__main__"] = _import_code(main, "script")
    try:
        yield
    finally:
        sys.modules["__main__"] = ours


def _import_code(name: str, what: str) -> ModuleType:
    try:
        return import_module(name)
    except Exception as error:
        kind = type(error).__name__
        raise StartupError(f"the {what} {name} does not load: {kind}: {error}") from error
