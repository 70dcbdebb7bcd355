"""Finds CPython interpreters on this machine."""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from modelpack import index_env
from modelpack.errors import EnvironmentNotResolvedError

# Asked of the interpreter itself: a name on PATH may be a shim that only prints an error, or the
# `python` of a virtual environment, whose base installation is what is wanted here.
_QUESTION = (
    "import sys; print(sys.implementation.name, '%d.%d' % sys.version_info[:2], sys.base_prefix)"
)


@functools.cache
def find(version: str) -> Path | None:
    """The `bin/pythonX.Y` of a working CPython `version` ("3.11"), or None.

    One that is not the distribution's is preferred, because it stands in a folder of its own.
    """
    found = all_of(version)
    return min(found, key=lambda path: path.is_relative_to("/usr/bin"), default=None)


def all_of(version: str) -> list[Path]:
    """All that there are: on PATH, among pyenv's, among uv's own, in /usr/bin."""
    found = (_verified(candidate, version) for candidate in _candidates(version))
    return list(dict.fromkeys(path for path in found if path))


def install(version: str) -> Path | None:
    """Has uv fetch a CPython `version`; None if it cannot."""
    _uv("python", "install", "--no-bin", version, timeout=300)
    find.cache_clear()
    return find(version)


def _candidates(version: str) -> Iterator[Path]:
    name = f"python{version}"
    if on_path := shutil.which(name):
        yield Path(on_path)
    if root := _output("pyenv", "root"):
        yield from sorted(Path(root, "versions").glob(f"{version}.*/bin/{name}"), reverse=True)
    if managed := _uv("python", "find", "--managed-python", version):
        yield Path(managed)
    yield Path("/usr/bin", name)


def _verified(candidate: Path, version: str) -> Path | None:
    answer = _output(str(candidate), "-I", "-c", _QUESTION).split(maxsplit=2)
    if answer[:2] != ["cpython", version]:
        return None
    return Path(answer[2], "bin", f"python{version}")


def _uv(*arguments: str, timeout: float = 20) -> str:
    try:
        return _output(index_env.program(), *arguments, timeout=timeout)
    except EnvironmentNotResolvedError:  # those that need uv itself report that
        return ""


def _output(*command: str, timeout: float = 20) -> str:
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.strip()
