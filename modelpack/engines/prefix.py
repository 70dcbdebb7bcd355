"""Copies a CPython installation of this machine, without what a container has no use for."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

_UNWANTED = re.compile(
    r"site-packages|__pycache__|pkgconfig|tests?|idlelib|idle_test|turtledemo|tkinter|"
    r".*\.a|.*\.pyc|(_tkinter|nis|_?test\w*|_xx\w+|xx\w+|_ctypes_test)\.cpython-.*\.so"
)


def copy(interpreter: Path, destination: Path) -> None:
    """Copies the installation of `interpreter` (PREFIX/bin/pythonX.Y) to `destination`.

    Left out: every installed distribution (pip among them: `ensurepip` of the copy brings it back,
    as it was released), tests, tkinter and IDLE, static libraries, byte code.
    """
    name, prefix = interpreter.name, interpreter.parent.parent
    lib = destination / "lib"
    shutil.copytree(prefix / "lib" / name, lib / name, ignore=_ignore, copy_function=_copy_readable)
    # Official images have the headers too: without them nothing is built from source.
    headers = f"include/{name}" + ("m" if (prefix / f"include/{name}m").is_dir() else "")
    if (prefix / headers).is_dir():
        shutil.copytree(prefix / headers, destination / headers, copy_function=_copy_readable)
    for library in prefix.glob(f"lib/lib{name}*.so.*"):
        _copy_readable(library, lib / library.name)
    link(interpreter, destination / "bin")
    (destination / "bin" / name).unlink()
    _copy_readable(interpreter.resolve(), destination / "bin" / name)


def link(interpreter: Path, bin_: Path) -> None:
    """Makes the folder `bin_` with links to `interpreter` by each name that it is called by."""
    bin_.mkdir(parents=True)
    (bin_ / interpreter.name).symlink_to(interpreter)
    for alias in ("python3", "python"):
        (bin_ / alias).symlink_to(interpreter.name)


def libraries(prefix: Path) -> set[Path]:
    """The shared libraries outside `prefix` that the programs and modules in it are linked to."""
    objects = [*prefix.glob("bin/python*.*"), *prefix.rglob("*.so")]
    listing = subprocess.run(["ldd", *objects], capture_output=True, text=True, check=False).stdout
    found = {Path(match).resolve() for match in re.findall(r"=> (/\S+)", listing)}
    return {path for path in found if not path.name.startswith("libpython")}


def _ignore(_: str, names: Iterable[str]) -> set[str]:
    return {name for name in names if _UNWANTED.fullmatch(name)}


def _copy_readable(source: str | Path, target: str | Path) -> None:
    """Copies a file so that every user may read it, even if its owner here had a strict umask."""
    shutil.copy2(source, target)
    mode = Path(target).stat().st_mode
    Path(target).chmod(mode | (0o555 if mode & 0o100 else 0o444))
