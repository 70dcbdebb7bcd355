"""CPython interpreters and virtual environments on this machine."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from modelpack import cache, files, index_env
from modelpack.engines import build_errors, index_secrets
from modelpack.errors import BuildFailedError, EnvironmentNotResolvedError
from modelpack.types import Environment, IndexSettings

# A name on PATH may be a shim that only prints an error, or the `python` of a virtual environment,
# whose base installation is needed.
_PROBE = (
    "import sys; print(sys.implementation.name, '%d.%d' % sys.version_info[:2], sys.base_prefix)"
)


@functools.cache
def find(version: str) -> Path | None:
    """Find the `bin/pythonX.Y` of a working CPython ("3.11").

    An interpreter outside /usr/bin is preferred, because it has a separate directory.
    """
    paths = find_all(version)
    return min(paths, key=lambda path: path.is_relative_to("/usr/bin"), default=None)


def find_all(version: str) -> list[Path]:
    """List the interpreters of a version: on PATH, of pyenv, of uv, in /usr/bin."""
    paths = (_installation(candidate, version) for candidate in _candidates(version))
    return list(dict.fromkeys(path for path in paths if path))


def install(version: str) -> Path | None:
    """Install a CPython with uv. Return None if that fails."""
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


def _installation(candidate: Path, version: str) -> Path | None:
    output = _output(str(candidate), "-I", "-c", _PROBE).split(maxsplit=2)
    if output[:2] != ["cpython", version]:
        return None
    return Path(output[2], "bin", f"python{version}")


def _uv(*arguments: str, timeout: float = 20) -> str:
    try:
        return _output(index_env.program(), *arguments, timeout=timeout)
    except EnvironmentNotResolvedError:  # callers that need uv report it
        return ""


def _output(*command: str, timeout: float = 20) -> str:
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.strip()


def venv_directory(lock: str, interpreter: Path) -> Path:
    """Return the path in the cache of an environment, which may not exist."""
    digest = hashlib.sha256(f"{interpreter}\n{lock}".encode()).hexdigest()
    return cache.directory("environments") / digest


def create_venv(locked: Environment, interpreter: Path, index: IndexSettings) -> Path:
    """Create a virtual environment with the distributions of a lock, once, and hold it.

    Others that were not used for long are removed.

    Raises:
        BuildFailedError: A distribution is not available, or differs from the locked one.
    """
    environment = venv_directory(locked.lock, interpreter)
    while not cache.hold(environment):
        environ = index_secrets.for_uv(index, os.environ)
        with files.atomic_directory(environment) as path:
            # Relocatable, because the directory is renamed.
            _run_uv("venv", "--relocatable", f"--python={interpreter}", str(path), environ=environ)
            only = ["--no-index"] if index.wheelhouse else []
            _fill(path, locked, environ, only)
        cache.prune("environments")
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
    # As in the image: without tests. Modules that do not compile are never imported.
    compile_ = [
        "-Wignore",
        "-m",
        "compileall",
        "-qq",
        "-j0",
        "--invalidation-mode=unchecked-hash",
        "-x/tests/",
    ]
    subprocess.run([python, *compile_, str(environment / "lib")], check=False)


def _run_uv(*arguments: str, environ: Mapping[str, str]) -> None:
    command = [index_env.program(), "--quiet", "--no-progress", "--color=never", *arguments]
    result = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if result.returncode:
        last = "\n".join(result.stderr.strip().splitlines()[-15:])
        raise BuildFailedError(
            f"The environment could not be created. The last lines of uv:\n{last}",
            hint=build_errors.installation_hint(result.stderr),
        )
