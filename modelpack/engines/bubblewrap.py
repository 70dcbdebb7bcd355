"""A sandbox for a local process: the `bwrap` command.

Any user can create them if the kernel allows it. See bwrap(1).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

_USER = "65532"  # as in the image
_TMP_BYTES = str(64 * 2**20)
# No network, no other processes, no capabilities, no new namespaces.
UNSHARE_OPTIONS = (
    *("bwrap", "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session"),
    *("--clearenv", "--cap-drop", "ALL", "--uid", _USER, "--gid", _USER),
)
# What an interpreter and its libraries read, and no files of users. /etc is for the dynamic linker,
# and for the BLAS that Debian selects.
_SYSTEM = (
    *("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/nix/store", "/gnu/store"),
    *("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime"),
)
_MOUNTS = (
    *(arg for path in _SYSTEM for arg in ("--ro-bind-try", path, path)),
    *("--dev", "/dev", "--proc", "/proc", "--size", _TMP_BYTES, "--tmpfs", "/tmp"),  # noqa: S108
)
LOCK_DOWN = ("--remount-ro", "/dev", "--remount-ro", "/", "--disable-userns")


def bwrap_command(
    readable: Iterable[Path],
    variables: Mapping[str, str],
    directory: Path,
    python: Sequence[str],
    writable: Iterable[Path] = (),
) -> Sequence[str]:
    """Return the start of a command that runs in a sandbox.

    Args:
        readable: Paths that the command may read, in addition to the system.
        variables: The environment of the command.
        directory: The working directory.
        python: Command of an interpreter. It is run in the sandbox once, as a test.
        writable: Paths that the command may write.

    Returns:
        The arguments before the command; empty if this machine allows no sandbox.
    """
    read = [arg for path in readable for arg in ("--ro-bind", str(path), str(path))]
    write = [arg for path in writable for arg in ("--bind", str(path), str(path))]
    environment = [arg for pair in variables.items() for arg in ("--setenv", *pair)]
    start = (*UNSHARE_OPTIONS, *_MOUNTS, *read, *environment, *LOCK_DOWN)
    if not is_available((*start, *python)):
        return ()
    return (
        *UNSHARE_OPTIONS,
        *_MOUNTS,
        *read,
        *write,
        *environment,
        *LOCK_DOWN,
        "--chdir",
        str(directory),
    )


def is_available(command: Sequence[str]) -> bool:
    """Return whether an interpreter runs in a sandbox."""
    return succeeds((*command, "-c", "import ctypes, ssl"))


@cache
def succeeds(command: Sequence[str]) -> bool:
    """Return whether a command of bubblewrap succeeds. Some containers forbid namespaces."""
    if not shutil.which("bwrap"):
        return False
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.returncode == 0
