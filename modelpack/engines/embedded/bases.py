"""The image that is built on: its layers as they are, and its interpreter on this machine."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from modelpack import files
from modelpack.engines.embedded import extraction, interpreter
from modelpack.engines.embedded.interpreter import Interpreter
from modelpack.errors import BuildFailedError, UsageError
from modelpack.oci import filesystem
from modelpack.oci.image import Image

HERE = interpreter.platform_of(Path("/proc/self/exe"))
"""The platform of this machine."""


@dataclass(frozen=True)
class Base:
    """`python`: "3.11". `sibling`: the same image for this machine's platform, where it is of
    another and there is one.
    """

    image: Image
    python: str
    sibling: Image | None = None

    @property
    def platform(self) -> str:
        return _platform(self.image)

    @cached_property
    def identity(self) -> str:
        """Of its files, and of the interpreter that is run."""
        images = [self.image, *filter(None, [self.sibling])]
        return " ".join(_digest(image) for image in images)

    @cached_property
    def root(self) -> Path:
        """The folder with its files, unpacked once."""
        return unpacked(self.image)

    @cached_property
    def _raising(self) -> list[str]:
        """The paths of what raises privileges, which is unpacked without that."""
        found = self._files.items()
        return [path for path, entry in found if entry.mode & 0o6000 or entry.capabilities]

    @cached_property
    def links(self) -> dict[str, str]:
        """Path -> target, of the links to absolute paths, which are unpacked as relative ones."""
        links = {path: entry.target for path, entry in self._files.items()}
        return {path: target for path, target in links.items() if target.startswith("/")}

    @cached_property
    def _files(self) -> dict[str, filesystem.Entry]:
        return filesystem.merged(map(filesystem.listing, self.image.layers))

    @cached_property
    def interpreter(self) -> Interpreter:
        """What makes byte code for it: its own interpreter, that of its sibling, or one of this
        machine of the very version.

        Raises:
            BuildFailedError: there is none.
        """
        own = interpreter.platform_of(interpreter.binary_of(self.root, self.python))
        if own == HERE:
            return interpreter.of_root(self.root, self.python)
        if self.sibling:
            return interpreter.of_root(unpacked(self.sibling), self.python)
        return self._of_this_machine()

    def _of_this_machine(self) -> Interpreter:
        version = interpreter.version_of(self.root, self.python)
        found = interpreter.of_this_machine(version)
        if found is None:
            raise BuildFailedError(
                f"The base image is for {self.platform} and has Python {version}, and nothing here"
                " writes its byte code: this machine has no Python of the very version.",
                hint=f"uv python install {version}, or give a base image that is for {HERE} too.",
            )
        return found

    def assemble(
        self,
        module: str,
        arguments: Sequence[str],
        folder: Path,
        written: Path,
        seen: Sequence[Path] = (),
    ) -> None:
        """Runs `python -m modelpack.assembly.MODULE` in `folder`. It may write below `written`.

        Raises:
            BuildFailedError: it failed.
        """
        raising = written / "raising"
        raising.write_text("".join(f"{path}\n" for path in self._raising))
        binary = interpreter.binary_of(self.root, self.python)
        inside = "/" / binary.relative_to(self.root)
        told = {
            "MODELPACK_INTERPRETER": str(inside),
            "MODELPACK_LIBRARY": str(inside.parents[1] / "lib" / f"python{self.python}"),
            "MODELPACK_RAISING": str(raising),
        }
        command = ["-S", "-m", f"modelpack.assembly.{module}", *arguments]
        self.interpreter.run(command, folder, [written], [self.root, *seen], told)


def require_platform(image: Image, platform: str, name: str) -> None:
    """Raises:
    UsageError: it is for another one.
    """
    if _platform(image) != platform:
        raise UsageError(
            f"The image {name} is for {_platform(image)}, and not for {platform}.",
            hint=f"Give one that is for {platform}, or --platform {_platform(image)}.",
        )


def _platform(image: Image) -> str:
    return f"{image.config.get('os', 'linux')}/{image.config.get('architecture', '')}"


def python_of(image: Image, root: Path | None = None) -> str:
    """The version of its Python ("3.11"); "" where it has none. `root`: where it is unpacked."""
    for variable in (image.config.get("config") or {}).get("Env") or ():
        if match := re.fullmatch(r"PYTHON_VERSION=(3\.\d+)\..*", variable):
            return match[1]
    root = root or unpacked(image)
    for folder in ("usr/local/bin", "usr/bin"):
        with suppress(ValueError):
            name = extraction.resolve(root, f"{folder}/python3").name
            if match := re.fullmatch(r"python(3\.\d+)", name):
                return match[1]
    return ""


def unpacked(image: Image) -> Path:
    """The folder in the cache with the files of an image.

    Raises:
        UsageError, BuildFailedError: see `extraction.extract`.
    """
    folder = files.folder("bases") / _digest(image)
    if not folder.is_dir():
        with files.made_whole(folder) as path:
            extraction.extract(image.layers, path)
    return folder


def _digest(image: Image) -> str:
    return hashlib.sha256(" ".join(layer.diff_id for layer in image.layers).encode()).hexdigest()
