"""What bubblewrap(1) puts around a process: no network, no other processes, nothing to write to."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

WALLS = (
    *("bwrap", "--unshare-all", "--die-with-parent", "--new-session"),
    *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"),  # noqa: S108
)


@cache
def available() -> bool:
    """It may be installed and still not be allowed to make namespaces, as in some containers."""
    if not shutil.which("bwrap"):
        return False
    return subprocess.run([*WALLS, "true"], capture_output=True, check=False).returncode == 0


def around(seen: list[Path], written: list[Path]) -> list[str]:
    """What to put before a command, where it can be had. It sees what this process sees, but for
    other temporary files than those in `seen`, and may write to `written` only.
    """
    if not available():
        return []
    binds = [arg for path in seen for arg in ("--ro-bind", str(path), str(path))]
    binds += [arg for path in written for arg in ("--bind", str(path), str(path))]
    return [*WALLS, *binds]
