"""ROOT WHEELS: makes ROOT/opt/venv of the wheels in a folder, and nothing else."""

from __future__ import annotations

import os
import platform
import sys

from . import python
from .bytecode import compile_below
from .files import tidy
from .wheels import Wheel

PLACE = "/opt/venv"


def make(root: str, wheels: str) -> None:
    """Raises:
    ValueError: what lies there is no wheel, or one that reaches outside.
    RuntimeError: see `compile_below`.
    """
    folder = root + PLACE
    version = "python{}.{}".format(*sys.version_info)
    site = os.path.join(folder, "lib", version, "site-packages")
    os.makedirs(site)
    _make_empty(folder, python.interpreter(), version)
    for name in sorted(os.listdir(wheels)):
        Wheel(os.path.join(wheels, name), site, folder).unpack()
    compile_below(os.path.join(folder, "lib"), f"{PLACE}/lib")
    tidy(root)


def _make_empty(folder: str, interpreter: str, version: str) -> None:
    """A virtual environment, as the module `venv` makes it, but for what a shell would read."""
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


if __name__ == "__main__":
    make(*sys.argv[1:])
