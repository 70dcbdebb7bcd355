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

from modelpack import cache, files, oci
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
    """A base image and the interpreter that compiles byte code for it.

    Attributes:
        sibling: The same image for this machine, if the base image is for another platform.
    """

    image: Image
    python: str
    sibling: Image | None = None

    @property
    def platform(self) -> str:
        return _platform(self.image)

    @cached_property
    def identity(self) -> str:
        """Identifies the files and the interpreter, for cache keys."""
        images = [self.image, *filter(None, [self.sibling])]
        return " ".join(_digest(image) for image in images)

    @cached_property
    def root(self) -> Path:
        """The directory with the files, unpacked once."""
        return unpacked(self.image)

    @cached_property
    def _raising(self) -> list[str]:
        """Paths of programs that raise privileges. They are unpacked without."""
        found = self._files.items()
        return [path for path, entry in found if entry.mode & 0o6000 or entry.capabilities]

    @cached_property
    def links(self) -> dict[str, str]:
        """Targets of absolute links by path. They are unpacked as relative links."""
        links = {path: entry.target for path, entry in self._files.items()}
        return {path: target for path, target in links.items() if target.startswith("/")}

    @cached_property
    def _files(self) -> dict[str, filesystem.Entry]:
        return filesystem.merge_layers(map(filesystem.layer_listing, self.image.layers))

    @cached_property
    def interpreter(self) -> Interpreter:
        """The interpreter of the image, or of its sibling, or this machine's of the same version.

        Raises:
            BuildFailedError: None of these exists.
        """
        own = rootfs.platform_of(rootfs.binary_of(self.root, self.python))
        if own == HOST_PLATFORM:
            return rootfs.from_rootfs(self.root, self.python)
        if self.sibling:
            return rootfs.from_rootfs(unpacked(self.sibling), self.python)
        return self._host_interpreter()

    def _host_interpreter(self) -> Interpreter:
        version = rootfs.version_of(self.root, self.python)
        found = rootfs.from_host(version)
        if found is None:
            raise BuildFailedError(
                f"The base image is for {self.platform} and has Python {version}. This machine has"
                " no Python of the same version to compile byte code.",
                hint=f"Run: uv python install {version}, or choose a base image that is for "
                f"{HOST_PLATFORM}, too.",
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
        """Run `python -m modelpack.assembly.MODULE` in `folder`. It may write below `written`.

        Raises:
            BuildFailedError: The module failed.
        """
        raising = written / "raising"
        raising.write_text("".join(f"{path}\n" for path in self._raising))
        binary = rootfs.binary_of(self.root, self.python)
        inside = "/" / binary.relative_to(self.root)
        variables = {
            "MODELPACK_INTERPRETER": str(inside),
            "MODELPACK_LIBRARY": str(inside.parents[1] / "lib" / f"python{self.python}"),
            "MODELPACK_RAISING": str(raising),
        }
        command = ["-S", "-m", f"modelpack.assembly.{module}", *arguments]
        self.interpreter.run(command, folder, [written], [self.root, *seen], variables)


def require_platform(image: Image, platform: str, name: str) -> None:
    """Require that an image is for a platform.

    Raises:
        UsageError: It is for another one.
    """
    if _platform(image) != platform:
        raise UsageError(
            f"The image {name} is for {_platform(image)}, and not for {platform}.",
            hint=f"Choose an image for {platform}, or --platform {_platform(image)}.",
        )


def _platform(image: Image) -> str:
    return f"{image.config.get('os', 'linux')}/{image.config.get('architecture', '')}"


def python_version(image: Image, root: Path | None = None) -> str:
    """Return the Python version of an image ("3.11"), or "". `root`: its unpacked files."""
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
    """Return the directory in the cache with the files of an image, and hold it.

    Raises:
        UsageError, BuildFailedError: See `rootfs.extract`.
    """
    folder = cache.directory("bases") / _digest(image)
    while not cache.hold(folder):
        with files.atomic_directory(folder) as path:
            rootfs.extract(image.layers, path)
        cache.prune("bases")
    return folder


def _digest(image: Image) -> str:
    return hashlib.sha256(" ".join(layer.diff_id for layer in image.layers).encode()).hexdigest()


class BaseImageSource:
    """The source of the base images of one engine.

    A location on disk, once typed to `find`, replaces every reference.
    """

    def __init__(self) -> None:
        self._on_disk: str | None = None

    def find(
        self, versions: Sequence[str], reference: str | None, platform: str, *, pull: bool
    ) -> BaseImage:
        """Find the image of a reference or location, by default the official slim image.

        Raises:
            UsageError: The image has none of the versions, or no Python.
            NoEngineError: The image is not available.
        """
        if reference and locations.is_location(reference):
            self._on_disk = reference
            return self._find_on_disk(reference, versions, platform)
        name = reference or f"python:{versions[0]}-slim"
        ImageReference.parse(name)
        if not pull:
            raise NoEngineError(
                f"The base image {name} is in a registry, and the network is not used.",
                hint="Choose a local image: --base-image docker-archive:FILE",
            )
        with _pulled(name, platform) as image:
            python = _python(image, name, versions)
            repository, _, _ = name.partition("@")
            return BaseImage(repository, python, "user" if reference else "registry", image.digest)

    def _find_on_disk(self, location: str, versions: Sequence[str], platform: str) -> BaseImage:
        with oci.open_image(location, platform) as image:
            require_platform(image, platform, location)
            python = _python(image, location, versions)
        return BaseImage(_name(location) or local_base_reference(python), python, "user")

    @contextmanager
    def open(self, reference: str, platform: str, python: str) -> Iterator[UnpackedBase]:
        """Open the base image of a Dockerfile.

        Raises:
            UsageError: The image on disk is another one.
            NoEngineError: The image is not available.
        """
        with _open(self._on_disk or reference, platform) as image:
            require_platform(image, platform, reference)
            _require_digest(image, reference)
            if platform == HOST_PLATFORM:
                yield UnpackedBase(image, python)
                return
            with _sibling(self._on_disk or reference) as sibling:
                yield UnpackedBase(image, python, sibling)


@contextmanager
def _sibling(location: str) -> Iterator[oci.Image | None]:
    """Yield the same image for this machine, or None."""
    with suppress(ModelpackError), _open(location, HOST_PLATFORM) as image:
        require_platform(image, HOST_PLATFORM, location)
        yield image
        return
    yield None


def _open(location: str, platform: str) -> AbstractContextManager[oci.Image]:
    open_image = oci.open_image if locations.is_location(location) else _pulled
    return open_image(location, platform)


@contextmanager
def _pulled(name: str, platform: str) -> Iterator[oci.Image]:
    try:
        with oci.open_image(name, platform) as image:
            yield image
    except UsageError as error:
        raise NoEngineError(
            f"The base image {name} is not available: {error.message}",
            hint="Choose a local image: --base-image docker-archive:FILE, or oci:FOLDER",
        ) from error


def _python(image: oci.Image, location: str, versions: Sequence[str]) -> str:
    python = python_version(image)
    if python not in versions:
        raise UsageError(
            f"The base image {location} has {f'Python {python}' if python else 'no Python'}; the"
            f" model needs one of {', '.join(versions)}.",
            hint=f"Choose a base image with Python {versions[0]}.",
        )
    return python


def _require_digest(image: oci.Image, reference: str) -> None:
    digest = reference.partition("@")[2]
    if digest and image.digest != digest:
        raise UsageError(
            f"The bundle requires the base image {reference}, but the typed image has"
            f" {image.digest or 'no digest, as in all archives of docker save'}.",
            hint="Give the required image as an OCI layout: skopeo copy docker://NAME oci:FOLDER",
        )


def _name(location: str) -> str:
    """Return the name of an image on disk, or "" if it has no complete name."""
    rest = location.partition(":")[2]
    ends = [len(rest), *(match.start() for match in re.finditer(":", rest))]
    end = next(end for end in ends if Path(rest[:end]).exists())
    typed = rest[end + 1 :]
    names = (typed, *_names(Path(rest[:end]), typed))
    return next((name for name in names if set(name) & set("/:") and _is_name(name)), "")


def _names(path: Path, typed: str) -> list[str]:
    if path.is_dir():
        index = (path / "index.json").read_bytes()
    else:
        members = archive.Members(path)
        if "manifest.json" in members:
            entries = json.loads(members.document("manifest.json"))
            return [str(name) for entry in entries for name in entry.get("RepoTags") or ()]
        index = members.document("index.json")
    annotations = layout.find_manifest(index, typed).annotations
    return [annotations[key] for key in (layout.DOCKER_NAME, layout.REF_NAME) if key in annotations]


def _is_name(text: str) -> bool:
    with suppress(UsageError):
        ImageReference.parse_tag(text)
        return True
    return False
