"""Virtual environments made from a lock, kept for the next time."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelpack import files, index_env
from modelpack.engines import causes, credentials
from modelpack.errors import BuildFailedError
from modelpack.types import Environment, IndexSettings


def folder(lock: str, interpreter: Path) -> Path:
    """Where the environment of `lock` for `interpreter` is, or will be."""
    digest = hashlib.sha256(f"{interpreter}\n{lock}".encode()).hexdigest()
    return files.folder("environments") / digest


def make(locked: Environment, interpreter: Path, index: IndexSettings) -> Path:
    """The folder of a virtual environment with what its lock names and nothing else; made once.

    Raises:
        BuildFailedError: a distribution cannot be had, or is not the one that was locked.
    """
    environment = folder(locked.lock, interpreter)
    if not environment.exists():
        environ = credentials.for_uv(index, os.environ)
        with files.made_whole(environment) as path:
            # Relocatable, as it is about to be renamed.
            _uv("venv", "--relocatable", f"--python={interpreter}", str(path), environ=environ)
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
    _uv("pip", "sync", f"--python={python}", *only, str(requirements), environ=environ)
    # As in the image: all but the tests of wheels, and what does not compile is never imported.
    compile_ = ["-m", "compileall", "-qq", "-j0", "--invalidation-mode=unchecked-hash", "-x/tests/"]
    subprocess.run([python, *compile_, str(environment / "lib")], check=False)


def _uv(*arguments: str, environ: Mapping[str, str]) -> None:
    command = [index_env.program(), "--quiet", "--no-progress", "--color=never", *arguments]
    result = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if result.returncode:
        last = "\n".join(result.stderr.strip().splitlines()[-15:])
        raise BuildFailedError(
            f"The environment could not be made. The last lines of uv:\n{last}",
            hint=causes.hint(result.stderr),
        )
