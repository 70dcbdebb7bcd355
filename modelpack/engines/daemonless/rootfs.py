"""An unpacked image and its interpreter.

No path leads out of the folder, whatever links a layer has: each is followed as if the folder were
`/`, and those to absolute paths are made relative. Devices, fifos, owners and the bits of
set-user-ID are left out.
Source: https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from modelpack.assembly import elf
from modelpack.engines import bubblewrap, interpreters
from modelpack.engines.daemonless import layer_cache
from modelpack.errors import BuildFailedError
from modelpack.oci import streams, tar
from modelpack.oci.image import Layer
from modelpack.oci.streams import HashingReader, Readable
from modelpack.oci.tar import OPAQUE, WHITEOUT, Entry

_BLOCK = 2**18
_LINKS = 40  # that a path may go through, as for Linux


def extract(layers: Iterable[Layer], folder: Path) -> None:
    """Unpack layers into a new folder, each over the ones before.

    Raises:
        UsageError: A layer is damaged, or has another digest.
        BuildFailedError: A layer cannot be unpacked.
    """
    folder.mkdir()
    for layer in layers:
        try:
            with layer.open() as stream:
                measured = HashingReader(stream, streams.LAYER)
                _apply(measured, folder)
        except (ValueError, OSError) as error:
            raise BuildFailedError(
                f"A layer of the image cannot be unpacked: {error}.",
                hint="Check the free space of the cache's disk, and pull the image again.",
            ) from error
        layer_cache.require_digest(measured.digest, layer.diff_id)


def resolve(root: Path, path: str, *, last: bool = True) -> Path:
    """Resolve the links of a path in an image, in the last component only if `last` is true.

    Raises:
        ValueError: The links form a circle.
    """
    todo = list(reversed(PurePosixPath("/", path).parts[1:]))
    at, links = root, 0
    while todo:
        name = todo.pop()
        if name == "..":
            at = at if at == root else at.parent
        elif (todo or last) and (at / name).is_symlink():
            links += 1
            if links > _LINKS:
                raise ValueError(f"too many links in {path!r}")
            target = PurePosixPath((at / name).readlink())
            at = root if target.is_absolute() else at
            todo += reversed([part for part in target.parts if part != "/"])
        else:
            at /= name
    return at


def _apply(stream: HashingReader, root: Path) -> None:
    fresh: set[Path] = set()  # what this very layer brought: whiteouts are of those below
    for entry, content in tar.members(stream):
        folder, _, name = entry.path.rpartition("/")
        if not name:
            continue
        place = resolve(root, folder) / name
        if name == OPAQUE:
            for path in place.parent.iterdir() if place.parent.is_dir() else ():
                _remove(path, fresh)
        elif name.startswith(WHITEOUT):
            _remove(place.with_name(name.removeprefix(WHITEOUT)), fresh)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            _put(entry, content, place, root)
            fresh.add(place)


def _put(entry: Entry, content: Readable | None, place: Path, root: Path) -> None:
    if not (entry.kind == "directory" and place.is_dir() and not place.is_symlink()):
        _remove(place)
    if entry.kind == "directory":
        place.mkdir(exist_ok=True)
        place.chmod(0o700 | (entry.mode & 0o1777))
    elif entry.kind == "symlink":
        place.symlink_to(_inside(entry.target, place, root))
    elif entry.kind == "hardlink":
        place.hardlink_to(resolve(root, entry.target, last=False))
    elif content is not None:
        with place.open("xb") as file:
            file.writelines(iter(partial(content.read, _BLOCK), b""))
        place.chmod(0o400 | (entry.mode & 0o777))
        os.utime(place, (entry.mtime, entry.mtime))


def _inside(target: str, place: Path, root: Path) -> str:
    """Make the target of an absolute link relative, so that it stays in the unpacked image."""
    if not target.startswith("/"):
        return target
    return os.path.relpath(f"{root}/{target}", place.parent)


def _remove(path: Path, kept: Iterable[Path] = ()) -> None:
    if path in kept:
        return
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# Its own dynamic loader starts it with its own libraries, so that neither a container nor the
# rights to make one are needed. Where bubblewrap works, it sees no network and writes nowhere
# else.
_FOLDERS = ("lib64", "usr/lib64", "lib", "usr/lib", "usr/local/lib")
_SECONDS = 600.0


def run_program(
    command: Sequence[str],
    environ: Mapping[str, str],
    seconds: float,
    directory: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program without input, and collect its output."""
    return subprocess.run(
        command,
        cwd=directory,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds,
        check=False,
    )


@dataclass(frozen=True)
class Interpreter:
    """A Python interpreter. `command` starts it, and `home` contains all its files."""

    command: tuple[str, ...]
    home: Path
    prefix: Path

    def run(
        self,
        arguments: Sequence[str],
        folder: Path,
        written: Sequence[Path] = (),
        seen: Sequence[Path] = (),
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """Run Python, in a sandbox if bubblewrap is available, and return its output.

        Args:
            arguments: Arguments of Python.
            folder: The working directory.
            written: Paths that it may write.
            seen: Temporary files that it may read.
            variables: Additional environment variables.

        Raises:
            BuildFailedError: Python failed; the message contains the end of its output.
        """
        environ = {**self._environ(), **variables}
        readable = [self.home, folder, *seen]
        sandbox = bubblewrap.bwrap_command(readable, environ, folder, self.command, written)
        done = run_program([*sandbox, *self.command, *arguments], environ, _SECONDS, folder)
        if done.returncode:
            last = "\n".join(f"{done.stdout}{done.stderr}".strip().splitlines()[-15:])
            raise BuildFailedError(
                f"The interpreter of the base image failed ({done.returncode}):\n{last}",
                hint="Choose another base image (--base-image) or another engine (--engine).",
            )
        return done.stdout

    def version(self) -> str:
        """Return the full version: "3.11.7"."""
        code = "import platform; print(platform.python_version())"
        return self.run(["-S", "-c", code], self.home).strip()

    def _environ(self) -> dict[str, str]:
        return {
            "PYTHONHOME": str(self.prefix),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            "PYTHONUTF8": "1",
            "LANG": "C",
            "PATH": "/usr/bin:/bin",
        }


def from_rootfs(root: Path, python: str) -> Interpreter:
    """Return the `pythonX.Y` of an unpacked image for the platform of this machine.

    Raises:
        BuildFailedError: The image has no such interpreter.
    """
    binary = binary_of(root, python)
    prefix = binary.parents[1]
    loader = elf.parse(binary.read_bytes()).loader
    if not loader:
        return Interpreter((str(binary),), root, prefix)
    folders = [resolve(root, folder) for folder in _FOLDERS]
    folders += [path for folder in folders for path in folder.glob("*-linux-gnu")]
    libraries = ":".join(dict.fromkeys(map(str, folders)))
    command = (str(resolve(root, loader)), "--library-path", libraries, str(binary))
    return Interpreter(command, root, prefix)


def from_host(version: str) -> Interpreter | None:
    """Find an interpreter of the same version ("3.11.7"), which compiles the same byte code."""
    for found in interpreters.find_all(".".join(version.split(".")[:2])):
        candidate = Interpreter((str(found),), found.parents[1], found.parents[1])
        if candidate.version() == version:
            return candidate
    return None


def binary_of(root: Path, python: str) -> Path:
    """Return the path of `pythonX.Y` in an unpacked image.

    Raises:
        BuildFailedError: The image has no such interpreter.
    """
    for folder in ("usr/local/bin", "usr/bin"):
        binary = resolve(root, f"{folder}/python{python}")
        if binary.is_file():
            return binary
    raise BuildFailedError(
        f"The base image has no python{python} in /usr/local/bin or /usr/bin.",
        hint="Choose an image with Python: --base-image",
    )


def version_of(root: Path, python: str) -> str:
    """Return the full version ("3.11.7") from the program or its library, or else `python`."""
    binary = binary_of(root, python)
    libraries = [*binary.parents[1].glob(f"lib/**/libpython{python}*.so.*"), binary]
    pattern = re.compile(rb"\0(%s\.\d+)\0" % re.escape(python).encode())
    for path in libraries:
        if path.is_file() and (match := pattern.search(path.read_bytes())):
            return match[1].decode()
    return python


def platform_of(binary: Path) -> str:
    """Return the platform of a program, or "" if the file is not a program."""
    with binary.open("rb") as file:
        return elf.platform(file.read(elf.HEADER))
