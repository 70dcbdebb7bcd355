"""CPython interpreters and virtual environments on this machine."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from modelpack import files, index_env
from modelpack.engines import build_errors, index_secrets
from modelpack.errors import BuildFailedError, EnvironmentNotResolvedError
from modelpack.types import Environment, IndexSettings

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


def folder(lock: str, interpreter: Path) -> Path:
    """Where the environment of `lock` for `interpreter` is, or will be."""
    digest = hashlib.sha256(f"{interpreter}\n{lock}".encode()).hexdigest()
    return files.cache_directory("environments") / digest


def create_venv(locked: Environment, interpreter: Path, index: IndexSettings) -> Path:
    """The folder of a virtual environment with what its lock names and nothing else; made once.

    Raises:
        BuildFailedError: a distribution cannot be had, or is not the one that was locked.
    """
    environment = folder(locked.lock, interpreter)
    if not environment.exists():
        environ = index_secrets.for_uv(index, os.environ)
        with files.atomic_directory(environment) as path:
            # Relocatable, as it is about to be renamed.
            _run_uv("venv", "--relocatable", f"--python={interpreter}", str(path), environ=environ)
            only = ["--no-index"] if index.wheelhouse else []
            _fill(path, locked, environ, only)
    return environment


def _fill(
    environment: Path, locked: Environment, environ: Mapping[str, str], options: Sequence[str]
) -> None:
    python = str(environment / "bin" / "python")
    requirements = environment / "requirements.lock"
    requirements.write_text(locked.lock)
    only = ["--require-hashes", "--only-binary=:all:", *options]
    if locked.sdists:
        build = environment / "build-requirements.lock"
        build.write_text(locked.build_lock)
        only += [f"--build-constraints={build}", *(f"--no-binary={n}" for n in locked.sdists)]
    _run_uv("pip", "sync", f"--python={python}", *only, str(requirements), environ=environ)
    # As in the image: all but the tests of wheels, and what does not compile is never imported.
    compile_ = ["-m", "compileall", "-qq", "-j0", "--invalidation-mode=unchecked-hash", "-x/tests/"]
    subprocess.run([python, *compile_, str(environment / "lib")], check=False)


def _run_uv(*arguments: str, environ: Mapping[str, str]) -> None:
    command = [index_env.program(), "--quiet", "--no-progress", "--color=never", *arguments]
    result = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if result.returncode:
        last = "\n".join(result.stderr.strip().splitlines()[-15:])
        raise BuildFailedError(
            f"The environment could not be made. The last lines of uv:\n{last}",
            hint=build_errors.installation_hint(result.stderr),
        )
