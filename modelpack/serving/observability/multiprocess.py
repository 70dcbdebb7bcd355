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
    """The files of this service. `folder` is None before `prepare`."""

    slot = MASTER
    folder: Path | None = None


def prepare() -> None:
    """Share metrics that are created from now on.

    Further calls do nothing, when gunicorn reads its configuration again.

    Raises:
        StartupError: No folder for temporary files can be written.
    """
    if Files.folder is not None:
        return
    try:
        Files.folder = _create(MEMORY if os.access(str(MEMORY), os.W_OK | os.X_OK) else None)
    except OSError as error:
        raise StartupError("no folder for temporary files can be written, as /tmp.") from error
    atexit.register(_remove, os.getpid())
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(Files.folder)
    values.ValueClass = values.MultiProcessValue(lambda: Files.slot)


def forget(slot: str) -> None:
    """Remove the gauges of a dead worker. Its counters stay."""
    if Files.folder is not None:
        with suppress(FileNotFoundError):
            multiprocess.mark_process_dead(slot, str(Files.folder))


def _remove(master: int) -> None:
    if os.getpid() == master:
        shutil.rmtree(str(Files.folder), ignore_errors=True)


def _create(parent: Path | None) -> Path:
    """Create a folder that is locked until the last process of the service ends.

    It gets its final name after the lock, so that no other service takes it for an abandoned one.
    """
    folder = Path(tempfile.mkdtemp(dir=parent))
    _lock(folder)
    _remove_abandoned(folder.parent)
    named = folder.with_name(PREFIX + folder.name)
    folder.rename(named)
    return named


def _lock(folder: Path) -> int:
    """Lock `folder` for this process and its children. Raise OSError if it is locked already."""
    descriptor = os.open(str(folder), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders of services whose processes were killed."""
    for folder in parent.glob(PREFIX + "*"):
        with suppress(OSError):
            descriptor = _lock(folder)
            if folder.stat().st_uid == os.geteuid():
                shutil.rmtree(str(folder), ignore_errors=True)
            os.close(descriptor)
