"""`python -m`: changes to a base image, for a service with a read-only file system.

Official images have no byte code of the standard library: it is compiled. Files with setuid bits
or that any user may write are copied without these permissions.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys

from . import python
from .files import tidy, walk
from .python import compile_below

_RAISING = stat.S_ISUID | stat.S_ISGID
_CAPABILITY = "security.capability"


def make(root: str, base: str) -> None:
    """Write the changes to the base image in `base` into the folder `root`, which may exist.

    Raises:
        RuntimeError: See `compile_below`.
    """
    os.makedirs(root, exist_ok=True)
    library = python.library()
    if not os.path.isdir(f"{base}{library}/__pycache__"):
        packages = ("site-packages", "dist-packages")
        compile_below(base + library, library, root + library, packages)
    named = {os.path.join(base, name) for name in python.raising()}
    for path in walk(base):
        if path in named or _is_too_open(path):
            _copy(path, root + path[len(base) :])
    tidy(root)


def _is_too_open(path: str) -> bool:
    mode = os.lstat(path).st_mode
    if stat.S_ISDIR(mode):
        return bool(mode & _RAISING) or mode & (stat.S_ISVTX | stat.S_IWOTH) == stat.S_IWOTH
    if stat.S_ISREG(mode):
        return bool(mode & (_RAISING | stat.S_IWOTH)) or _CAPABILITY in os.listxattr(path)
    return False


def _copy(path: str, target: str) -> None:
    """Copy a file without extended attributes; `tidy` sets its mode."""
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copyfile(path, target)
    os.chmod(target, 0o755 if os.lstat(path).st_mode & 0o111 else 0o644)


if __name__ == "__main__":
    make(*sys.argv[1:])
