"""Base images and where they come from."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from modelpack import files, oci
from modelpack.engines.daemonless import rootfs
from modelpack.engines.daemonless.rootfs import Interpreter
from modelpack.errors import BuildFailedError, ModelpackError, NoEngineError, UsageError
from modelpack.oci import archive, filesystem, layout, locations
from modelpack.oci.image import Image
from modelpack.oci.reference import ImageReference, local_base_reference
from modelpack.types import BaseImage

HOST_PLATFORM = rootfs.platform_of(Path("/proc/self/exe"))
"""The platform of this machine."""


@dataclass(frozen=True)
class UnpackedBase:
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
        return filesystem.merge_layers(map(filesystem.layer_listing, self.image.layers))

    @cached_property
    def interpreter(self) -> Interpreter:
        """What makes byte code for it: its own interpreter, that of its sibling, or one of this
        machine of the very version.

        Raises:
            BuildFailedError: there is none.
        """
        own = rootfs.platform_of(rootfs.binary_of(self.root, self.python))
        if own == HOST_PLATFORM:
            return rootfs.from_rootfs(self.root, self.python)
        if self.sibling:
            return rootfs.from_rootfs(unpacked(self.sibling), self.python)
        return self._of_this_machine()

    def _of_this_machine(self) -> Interpreter:
        version = rootfs.version_of(self.root, self.python)
        found = rootfs.from_host(version)
        if found is None:
            raise BuildFailedError(
                f"The base image is for {self.platform} and has Python {version}, and nothing here"
                " writes its byte code: this machine has no Python of the very version.",
                hint=f"uv python install {version}, or give a base image that is for "
                f"{HOST_PLATFORM} too.",
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
        binary = rootfs.binary_of(self.root, self.python)
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


def python_version(image: Image, root: Path | None = None) -> str:
    """The version of its Python ("3.11"); "" where it has none. `root`: where it is unpacked."""
    for variable in (image.config.get("config") or {}).get("Env") or ():
        if match := re.fullmatch(r"PYTHON_VERSION=(3\.\d+)\..*", variable):
            return match[1]
    root = root or unpacked(image)
    for folder in ("usr/local/bin", "usr/bin"):
        with suppress(ValueError):
            name = rootfs.resolve(root, f"{folder}/python3").name
            if match := re.fullmatch(r"python(3\.\d+)", name):
                return match[1]
    return ""


def unpacked(image: Image) -> Path:
    """The folder in the cache with the files of an image.

    Raises:
        UsageError, BuildFailedError: see `extraction.extract`.
    """
    folder = files.cache_directory("bases") / _digest(image)
    if not folder.is_dir():
        with files.atomic_directory(folder) as path:
            rootfs.extract(image.layers, path)
    return folder


def _digest(image: Image) -> str:
    return hashlib.sha256(" ".join(layer.diff_id for layer in image.layers).encode()).hexdigest()


class BaseImageSource:
    """Those of one engine. What is on disk is used in the place of any name, once it was given."""

    def __init__(self) -> None:
        self._on_disk: str | None = None

    def find(
        self, versions: Sequence[str], reference: str | None, platform: str, *, pull: bool
    ) -> BaseImage:
        """`reference`: a name, or a place on disk; else the official slim image.

        Raises:
            UsageError: it has no Python, or one that is none of `versions`.
            NoEngineError: it cannot be had.
        """
        if reference and locations.is_location(reference):
            self._on_disk = reference
            return self._of_disk(reference, versions, platform)
        name = reference or f"python:{versions[0]}-slim"
        ImageReference.parse(name)
        if not pull:
            raise NoEngineError(
                f"The base image {name} is in a registry, and the network is not used.",
                hint="Give one that lies here: --base-image docker-archive:FILE",
            )
        with _pulled(name, platform) as image:
            python = _python(image, name, versions)
            repository, _, _ = name.partition("@")
            return BaseImage(repository, python, "user" if reference else "registry", image.digest)

    def _of_disk(self, place: str, versions: Sequence[str], platform: str) -> BaseImage:
        with oci.open_image(place, platform) as image:
            require_platform(image, platform, place)
            python = _python(image, place, versions)
        return BaseImage(_name(place) or local_base_reference(python), python, "user")

    @contextmanager
    def opened(self, reference: str, platform: str, python: str) -> Iterator[UnpackedBase]:
        """The image that a Dockerfile calls `reference`.

        Raises:
            UsageError: what was given in its place is another one.
            NoEngineError: it cannot be had.
        """
        with _opened(self._on_disk or reference, platform) as image:
            require_platform(image, platform, reference)
            _require_digest(image, reference)
            if platform == HOST_PLATFORM:
                yield UnpackedBase(image, python)
                return
            with _sibling(self._on_disk or reference) as sibling:
                yield UnpackedBase(image, python, sibling)


@contextmanager
def _sibling(place: str) -> Iterator[oci.Image | None]:
    """The same image for this machine, where there is one."""
    with suppress(ModelpackError), _opened(place, HOST_PLATFORM) as image:
        require_platform(image, HOST_PLATFORM, place)
        yield image
        return
    yield None


def _opened(place: str, platform: str) -> AbstractContextManager[oci.Image]:
    opened = oci.open_image if locations.is_location(place) else _pulled
    return opened(place, platform)


@contextmanager
def _pulled(name: str, platform: str) -> Iterator[oci.Image]:
    try:
        with oci.open_image(name, platform) as image:
            yield image
    except UsageError as error:
        raise NoEngineError(
            f"The base image {name} cannot be had: {error.message}",
            hint="Give one that lies here: --base-image docker-archive:FILE, or oci:FOLDER",
        ) from error


def _python(image: oci.Image, place: str, versions: Sequence[str]) -> str:
    python = python_version(image)
    if python not in versions:
        raise UsageError(
            f"The base image {place} has {f'Python {python}' if python else 'no Python'}; the model"
            f" needs one of {', '.join(versions)}.",
            hint=f"Choose a base image with Python {versions[0]}.",
        )
    return python


def _require_digest(image: oci.Image, reference: str) -> None:
    wanted = reference.partition("@")[2]
    if wanted and image.digest != wanted:
        raise UsageError(
            f"The bundle is built on {reference}, and the image that was given has"
            f" {image.digest or 'no digest of its own, as archives of docker save have none'}.",
            hint="Give that very image as an OCI layout: skopeo copy docker://NAME oci:FOLDER",
        )


def _name(place: str) -> str:
    """What an image on disk is called there; "" where that is no whole name."""
    rest = place.partition(":")[2]
    ends = [len(rest), *(match.start() for match in re.finditer(":", rest))]
    end = next(end for end in ends if Path(rest[:end]).exists())
    given = rest[end + 1 :]
    names = (given, *_names(Path(rest[:end]), given))
    return next((name for name in names if set(name) & set("/:") and _is_name(name)), "")


def _names(path: Path, given: str) -> list[str]:
    if path.is_dir():
        index = (path / "index.json").read_bytes()
    else:
        members = archive.Members(path)
        if "manifest.json" in members:
            entries = json.loads(members.document("manifest.json"))
            return [str(name) for entry in entries for name in entry.get("RepoTags") or ()]
        index = members.document("index.json")
    annotations = layout.find_manifest(index, given).annotations
    return [annotations[key] for key in (layout.DOCKER_NAME, layout.NAME) if key in annotations]


def _is_name(text: str) -> bool:
    with suppress(UsageError):
        ImageReference.parse_tag(text)
        return True
    return False
