"""`python -m`: creates /opt/venv from wheels."""

from __future__ import annotations

import csv
import io
import os
import platform
import re
import shutil
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Iterator, Sequence

from . import python
from .files import tidy
from .python import compile_below

PLACE = "/opt/venv"

# Tests, stubs for type checkers and sources of Cython: two of five files of these packages. No
# module reads them. Modules that help tests stay: numpy 2.2 imports one.
_UNUSED = re.compile(
    r"(numpy|pandas|scipy|sklearn)/(.*/)?"
    r"(tests/((.*/)?test_[^/]*\.py|(.*/)?data/.*)|[^/]*\.(pyi|pyx|pxd)(\.tp)?)"
)


def make(root: str, wheels: str) -> None:
    """Create the virtual environment below `root` from all files of the folder `wheels`.

    Raises:
        ValueError: A file is not a wheel, or has a path outside of the environment.
        RuntimeError: See `compile_below`.
    """
    folder = root + PLACE
    version = "python{}.{}".format(*sys.version_info)
    site = os.path.join(folder, "lib", version, "site-packages")
    os.makedirs(site)
    _make_empty(folder, python.interpreter(), version)
    paths = [os.path.join(wheels, name) for name in sorted(os.listdir(wheels))]
    _unpack([Wheel(path, site, folder) for path in paths])
    compile_below(os.path.join(folder, "lib"), f"{PLACE}/lib")
    tidy(root)


def _make_empty(folder: str, interpreter: str, version: str) -> None:
    """Create a virtual environment as `venv` does, without the scripts for shells."""
    settings = {
        "home": os.path.dirname(interpreter),
        "include-system-site-packages": "false",
        "version": platform.python_version(),
    }
    with open(os.path.join(folder, "pyvenv.cfg"), "w", encoding="utf-8") as file:
        file.writelines(f"{name} = {value}\n" for name, value in settings.items())
    os.makedirs(os.path.join(folder, "bin"))
    os.symlink(interpreter, os.path.join(folder, "bin", "python"))
    for name in ("python3", version):
        os.symlink("python", os.path.join(folder, "bin", name))


def _unpack(wheels: Sequence[Wheel]) -> None:
    """Unpack wheels in parallel, large ones first.

    If several have a file of the same path, they are unpacked one after the other, and that of the
    last one stays.
    """
    targets = [target for wheel in wheels for target in wheel.targets()]
    processes = 1 if len(set(targets)) < len(targets) else os.cpu_count() or 1
    if processes > 1:
        wheels = sorted(wheels, key=lambda wheel: wheel.size, reverse=True)
    with ThreadPoolExecutor(processes) as pool:
        for unpacked in [pool.submit(wheel.unpack) for wheel in wheels]:
            unpacked.result()


# Scripts and headers are left out: a service runs `python -m`. Source:
# https://packaging.python.org/en/latest/specifications/binary-distribution-format/
class Wheel:
    """A wheel, to be unpacked into `site` (modules) and `prefix` (data)."""

    def __init__(self, path: str, site: str, prefix: str) -> None:
        self._path = path
        self._site = site
        self._prefix = prefix
        self.size = os.path.getsize(path)

    def targets(self) -> list[str]:
        """Return the paths of the unpacked files. Raise ValueError for one outside."""
        with zipfile.ZipFile(self._path) as archive:
            found = [self._target(name) for name in archive.namelist()]
        return [target for target in found if target and not target.endswith("/")]

    def unpack(self) -> None:
        """Unpack the wheel, and write a RECORD of the unpacked files.

        Raises:
            ValueError: A path is outside of the environment, or RECORD is missing.
        """
        with zipfile.ZipFile(self._path) as archive:
            record = _record(archive)
            for member in archive.infolist():
                target = self._target(member.filename)
                if target and not member.is_dir() and member.filename != record:
                    _extract(archive, member, target)
            lines = sorted(self._rows(archive.read(record).decode("utf-8")))
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(lines)
        with open(os.path.join(self._site, record), "w", encoding="utf-8", newline="") as file:
            file.write(text.getvalue())

    def _target(self, name: str) -> str | None:
        """Return the path to unpack a file to, or None for one that is left out."""
        scheme, inside = "purelib", name
        match = re.match(r"[^/]+\.data/([^/]+)/(.*)", name)
        if match:
            scheme, inside = match[1], match[2]
        folder = {"purelib": self._site, "platlib": self._site, "data": self._prefix}.get(scheme)
        if name.startswith("/") or ".." in name.split("/"):
            raise ValueError(f"{self._path} has a file {name!r}")
        if _UNUSED.fullmatch(inside):
            return None
        return folder and os.path.join(folder, inside)

    def _rows(self, record: str) -> Iterator[tuple[str, ...]]:
        for row in csv.reader(record.splitlines()):
            target = self._target(row[0])
            if target:
                yield (os.path.relpath(target, self._site), *row[1:])


def _record(archive: zipfile.ZipFile) -> str:
    for name in archive.namelist():
        if re.fullmatch(r"[^/]+\.dist-info/RECORD", name):
            return name
    raise ValueError(f"{archive.filename} has no RECORD")


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with archive.open(member) as source, open(target, "wb") as file:
        shutil.copyfileobj(source, file, 2**20)
    os.chmod(target, 0o755 if member.external_attr >> 16 & 0o111 else 0o644)


if __name__ == "__main__":
    make(*sys.argv[1:])
