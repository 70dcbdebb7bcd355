"""Metric files shared by workers."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from prometheus_client import multiprocess, values

from ..errors import StartupError

MASTER = "master"
MEMORY = Path("/dev/shm")  # noqa: S108 - folders in it are made by mkdtemp
PREFIX = "modelpack-metrics-"


class Files:
    """Of this service. `place`: of this process; `folder`: None until the workers are to share."""

    place = MASTER
    folder: Path | None = None


def prepare() -> None:
    """Share what is counted from now on, before the first metric is made. Once a process: again,
    when gunicorn reads its configuration anew, does nothing.

    Raises:
        StartupError: there is no folder that can be written.
    """
    if Files.folder is not None:
        return
    try:
        Files.folder = _create(MEMORY if os.access(str(MEMORY), os.W_OK | os.X_OK) else None)
    except OSError as error:
        raise StartupError("no folder for temporary files can be written, as /tmp.") from error
    atexit.register(_remove, os.getpid())
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(Files.folder)
    values.ValueClass = values.MultiProcessValue(lambda: Files.place)


def forget(place: str) -> None:
    """Remove what a dead worker measured of itself; what it counted stays."""
    if Files.folder is not None:
        with suppress(FileNotFoundError):
            multiprocess.mark_process_dead(place, str(Files.folder))


def _remove(master: int) -> None:
    if os.getpid() == master:
        shutil.rmtree(str(Files.folder), ignore_errors=True)


def _create(parent: Path | None) -> Path:
    """A folder that is locked until the last process of the service ends, and has its name only
    then, so that no other service takes it for one that was left.
    """
    folder = Path(tempfile.mkdtemp(dir=parent))
    _lock(folder)
    _remove_abandoned(folder.parent)
    named = folder.with_name(PREFIX + folder.name)
    folder.rename(named)
    return named


def _lock(folder: Path) -> int:
    """A descriptor that holds `folder`, also in the processes that are forked from this one.

    Raises:
        OSError: another service does.
    """
    held = os.open(str(folder), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        raise
    return held


def _remove_abandoned(parent: Path) -> None:
    """Remove what services left of which all processes were killed."""
    for left in parent.glob(PREFIX + "*"):
        with suppress(OSError):
            held = _lock(left)
            if left.stat().st_uid == os.geteuid():
                shutil.rmtree(str(left), ignore_errors=True)
            os.close(held)
