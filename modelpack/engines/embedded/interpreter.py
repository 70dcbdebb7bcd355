"""Runs the interpreter of a base image on this machine, out of the folder that it was unpacked to.

Its own dynamic loader starts it with its own libraries, so that neither a container nor the rights
to make one are needed. Where bubblewrap works, it sees no network and writes nowhere else.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from modelpack import elf
from modelpack.engines import bubblewrap, interpreters
from modelpack.engines.embedded.extraction import resolve
from modelpack.errors import BuildFailedError

_FOLDERS = ("lib64", "usr/lib64", "lib", "usr/lib", "usr/local/lib")
_SECONDS = 600.0


@dataclass(frozen=True)
class Interpreter:
    """`command`: what starts Python. `home`: the folder that all of its files are in."""

    command: tuple[str, ...]
    home: Path
    prefix: Path

    def run(
        self,
        arguments: Sequence[str],
        folder: Path,
        written: Sequence[Path] = (),
        seen: Sequence[Path] = (),
        told: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """What Python says, run in `folder`. `written`: all that it may write to. `seen`: what else
        it reads of temporary files. `told`: variables.

        Raises:
            BuildFailedError: it failed; with the last of what it said.
        """
        places = [self.home, folder, *seen]
        environ = {**self._environ(), **told}
        around = bubblewrap.walls(places, environ, folder, self.command, written)
        done = subprocess.run(
            [*around, *self.command, *arguments],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode:
            last = "\n".join(f"{done.stdout}{done.stderr}".strip().splitlines()[-15:])
            raise BuildFailedError(
                f"The interpreter of the base image failed ({done.returncode}):\n{last}",
                hint="Give another base image with --base-image, or another engine with --engine.",
            )
        return done.stdout

    def version(self) -> str:
        """As "3.11.7"."""
        question = "import platform; print(platform.python_version())"
        return self.run(["-S", "-c", question], self.home).strip()

    def _environ(self) -> dict[str, str]:
        return {
            "PYTHONHOME": str(self.prefix),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            "PYTHONUTF8": "1",
            "LANG": "C",
            "PATH": "/usr/bin:/bin",
        }


def of_root(root: Path, python: str) -> Interpreter:
    """The `pythonX.Y` of an unpacked image that is of this machine's platform.

    Raises:
        BuildFailedError: there is none.
    """
    binary = binary_of(root, python)
    prefix = binary.parents[1]
    loader = elf.interpreter(binary.read_bytes())
    if not loader:
        return Interpreter((str(binary),), root, prefix)
    folders = [resolve(root, folder) for folder in _FOLDERS]
    folders += [path for folder in folders for path in folder.glob("*-linux-gnu")]
    libraries = ":".join(dict.fromkeys(map(str, folders)))
    command = (str(resolve(root, loader)), "--library-path", libraries, str(binary))
    return Interpreter(command, root, prefix)


def of_this_machine(version: str) -> Interpreter | None:
    """The one of the very version ("3.11.7"), which writes the same byte code."""
    for found in interpreters.all_of(".".join(version.split(".")[:2])):
        candidate = Interpreter((str(found),), found.parents[1], found.parents[1])
        if candidate.version() == version:
            return candidate
    return None


def binary_of(root: Path, python: str) -> Path:
    """Raises:
    BuildFailedError: the image has no such interpreter.
    """
    for folder in ("usr/local/bin", "usr/bin"):
        binary = resolve(root, f"{folder}/python{python}")
        if binary.is_file():
            return binary
    raise BuildFailedError(
        f"The base image has no python{python} in /usr/local/bin or /usr/bin.",
        hint="Give an image of Python with --base-image.",
    )


def version_of(root: Path, python: str) -> str:
    """As "3.11.7", which stands in the program or in its library; else `python` itself."""
    binary = binary_of(root, python)
    libraries = [*binary.parents[1].glob(f"lib/**/libpython{python}*.so.*"), binary]
    pattern = re.compile(rb"\0(%s\.\d+)\0" % re.escape(python).encode())
    for path in libraries:
        if path.is_file() and (match := pattern.search(path.read_bytes())):
            return match[1].decode()
    return python


def platform_of(binary: Path) -> str:
    """Of which platform a program is; "" for what is none."""
    with binary.open("rb") as file:
        return elf.platform(file.read(elf.HEADER))
