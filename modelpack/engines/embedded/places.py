"""Where base images come from: a registry, an archive or an OCI layout on disk."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from modelpack import oci
from modelpack.engines.embedded import bases
from modelpack.engines.embedded.bases import HERE, Base
from modelpack.errors import ModelpackError, NoEngineError, UsageError
from modelpack.oci import archive, layout
from modelpack.oci import reference as oci_reference
from modelpack.oci.reference import local_reference
from modelpack.types import BaseImage

_ON_DISK = re.compile("(oci|oci-archive|docker-archive):")


class Places:
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
        if reference and _ON_DISK.match(reference):
            self._on_disk = reference
            return self._of_disk(reference, versions, platform)
        name = reference or f"python:{versions[0]}-slim"
        oci_reference.require_reference(name)
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
        with oci.opened(place, platform) as image:
            bases.require_platform(image, platform, place)
            python = _python(image, place, versions)
        return BaseImage(_name(place) or local_reference(python), python, "user")

    @contextmanager
    def opened(self, reference: str, platform: str, python: str) -> Iterator[Base]:
        """The image that a Dockerfile calls `reference`.

        Raises:
            UsageError: what was given in its place is another one.
            NoEngineError: it cannot be had.
        """
        with _opened(self._on_disk or reference, platform) as image:
            bases.require_platform(image, platform, reference)
            _require_digest(image, reference)
            if platform == HERE:
                yield Base(image, python)
                return
            with _sibling(self._on_disk or reference) as sibling:
                yield Base(image, python, sibling)


@contextmanager
def _sibling(place: str) -> Iterator[oci.Image | None]:
    """The same image for this machine, where there is one."""
    with suppress(ModelpackError), _opened(place, HERE) as image:
        bases.require_platform(image, HERE, place)
        yield image
        return
    yield None


def _opened(place: str, platform: str):  # type: ignore[no-untyped-def]
    return oci.opened(place, platform) if _ON_DISK.match(place) else _pulled(place, platform)


@contextmanager
def _pulled(name: str, platform: str) -> Iterator[oci.Image]:
    try:
        with oci.opened(name, platform) as image:
            yield image
    except UsageError as error:
        raise NoEngineError(
            f"The base image {name} cannot be had: {error.message}",
            hint="Give one that lies here: --base-image docker-archive:FILE, or oci:FOLDER",
        ) from error


def _python(image: oci.Image, place: str, versions: Sequence[str]) -> str:
    python = bases.python_of(image)
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
    annotations = layout.named(index, given).annotations
    return [annotations[key] for key in (layout.DOCKER_NAME, layout.NAME) if key in annotations]


def _is_name(text: str) -> bool:
    with suppress(UsageError):
        oci_reference.parse_tag(text)
        return True
    return False
