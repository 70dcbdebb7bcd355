"""Clients of other projects, each in a separate environment.

Their requirements conflict with those of the tests. `python -m tests.clients NAME` writes NAME.lock
again from the requirements in NAME.in.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import uv

from modelpack.environment import index_settings
from modelpack.environment.uv import environment_variables

DIRECTORY = Path(__file__).parent
CACHE = DIRECTORY.parents[1] / ".cache" / "clients"
OPTIONS = ("--no-config", "--quiet", "--no-python-downloads")


def environment(name: str) -> Path:
    """Return the Python of the environment in `name`.lock, which is created at the first call.

    Commands of its packages, such as `mlserver`, are in the same directory.
    """
    lock = DIRECTORY / f"{name}.lock"
    python = "{}.{}".format(*sys.version_info)
    digest = hashlib.sha256(lock.read_bytes() + python.encode()).hexdigest()[:12]
    folder = CACHE / f"{name}-{digest}"
    if not folder.exists():
        _make(folder, lock)
    return folder / "bin" / "python"


def relock(name: str) -> None:
    """Lock the requirements in `name`.in for every Python version of the tests."""
    requirements, lock = DIRECTORY / f"{name}.in", DIRECTORY / f"{name}.lock"
    options = ("--universal", "--python-version", "3.10", "--only-binary=:all:", "--upgrade")
    shown = ("--no-header", "--no-annotate", "--generate-hashes", "--no-emit-index-url")
    _uv("pip", "compile", str(requirements), *options, *shown, "--output-file", str(lock))


def _make(folder: Path, lock: Path) -> None:
    """Create the environment under another name: a concurrent test finds all of it or nothing."""
    CACHE.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix=folder.name, dir=CACHE))
    try:
        _uv("venv", "--python", sys.executable, "--allow-existing", "--relocatable", str(directory))
        options = ("--require-hashes", "--only-binary=:all:", "--requirement", str(lock))
        _uv("pip", "install", "--python", str(directory / "bin" / "python"), *options)
        directory.rename(folder)
    except OSError:
        if not folder.exists():  # if it exists, another process has created the same
            raise
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _uv(*arguments: str) -> None:
    done = subprocess.run(
        [uv.find_uv_bin(), *arguments, *OPTIONS],
        env=environment_variables(index_settings()),
        cwd=DIRECTORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
