"""Build the allocator of guard.c, which a process preloads."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

_SOURCE = Path(__file__).with_name("guard.c")
_OPTIONS = ("-O2", "-shared", "-fPIC", "-fno-builtin")


def compiler() -> str | None:
    return next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def build(folder: Path) -> Path:
    """Return the path of the library, built in `folder`.

    Raises:
        SystemExit: There is no C compiler, or it fails.
    """
    command = compiler()
    if command is None:
        raise SystemExit("--sanitizer requires a C compiler, and none is on PATH.")
    library = folder / "guard.so"
    done = subprocess.run(
        [command, *_OPTIONS, "-o", str(library), str(_SOURCE)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"guard.c does not compile: {done.stderr.strip()}")
    return library
