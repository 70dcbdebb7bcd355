"""Walls around a process where there is no container engine, by bubblewrap where that is installed.

Source: bwrap(1). Works as root and as anybody, where the kernel lets them make namespaces.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

_USER = "65532"  # as in the image
_TMP_BYTES = str(64 * 2**20)
# No network, no other processes, no rights, no way to new namespaces.
UNSHARE_OPTIONS = (
    *("bwrap", "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session"),
    *("--clearenv", "--cap-drop", "ALL", "--uid", _USER, "--gid", _USER),
)
# What an interpreter and its libraries read, and nobody's own files; /etc for the dynamic linker
# and for Debian's choice of a BLAS.
_SYSTEM = (
    *("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/nix/store", "/gnu/store"),
    *("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime"),
)
_PLACES = (
    *(arg for path in _SYSTEM for arg in ("--ro-bind-try", path, path)),
    *("--dev", "/dev", "--proc", "/proc", "--size", _TMP_BYTES, "--tmpfs", "/tmp"),  # noqa: S108
)
CLOSED = ("--remount-ro", "/dev", "--remount-ro", "/", "--disable-userns")


def bwrap_command(
    seen: Iterable[Path],
    variables: Mapping[str, str],
    folder: Path,
    python: Sequence[str],
    written: Iterable[Path] = (),
) -> Sequence[str]:
    """What comes before a command that runs in `folder`, with nothing in its environment but
    `variables`; it may read what is `seen`, and write to what is `written`. Empty where `python`
    does not run behind them.
    """
    binds = [arg for path in seen for arg in ("--ro-bind", str(path), str(path))]
    open_ = [arg for path in written for arg in ("--bind", str(path), str(path))]
    environment = [arg for pair in variables.items() for arg in ("--setenv", *pair)]
    start = (*UNSHARE_OPTIONS, *_PLACES, *binds, *environment, *CLOSED)
    if not is_available((*start, *python)):
        return ()
    return (
        *UNSHARE_OPTIONS,
        *_PLACES,
        *binds,
        *open_,
        *environment,
        *CLOSED,
        "--chdir",
        str(folder),
    )


@cache
def is_available(command: Sequence[str]) -> bool:
    """It may be installed and still not be allowed to make namespaces, as in some containers."""
    if not shutil.which("bwrap"):
        return False
    done = subprocess.run(
        [*command, "-c", "import ctypes, ssl"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return done.returncode == 0
