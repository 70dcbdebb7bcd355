"""Chooses the image to build on."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from docker.errors import APIError, ContainerError, ImageNotFound

from modelpack.engines import daemon, pulls
from modelpack.engines.hosts import Host
from modelpack.errors import NoEngineError, UsageError
from modelpack.oci import reference as oci_reference
from modelpack.oci.reference import REPOSITORY, familiar_name, local_reference
from modelpack.types import BaseImage

# Seconds to wait for a word from the registry: few where there is something else to build on.
_PATIENCE = 15
_LITTLE_PATIENCE = 3


class BaseImages:
    """The base images of one engine. What could not be pulled once is not asked for again.

    `called`: what the engine calls the image of a reference. `pull`: whether what is not here may
    be pulled at all.
    """

    def __init__(self, host: Host, called: Callable[[str], str], *, pull: bool = True) -> None:
        self._client = host.client
        self._connect = host.connect
        self._called = called
        self._pull = pull
        self._refusals: dict[str, str] = {}

    def find(self, versions: Sequence[str], reference: str | None = None) -> BaseImage:
        """`reference`; without one the official slim image of the first of `versions` ("3.11"),
        here or pulled; else the first local image of `modelpack base build` for any of them.

        Raises:
            UsageError: `reference` is none, has no Python, or one that is none of `versions`.
            NoEngineError: there is none, and none can be pulled.
        """
        if reference is not None:
            return self._chosen(reference, versions)
        local = next((python for python in versions if self._here(local_reference(python))), None)
        official = f"python:{versions[0]}-slim"
        patience = _LITTLE_PATIENCE if local else _PATIENCE
        if image := self._here(official) or self._pulled(official, patience):
            return BaseImage(official, versions[0], "registry", _digest(image, official))
        if local:
            name = local_reference(local)
            return BaseImage(name, local, "local", image_id=self._client.images.get(name).id)
        raise NoEngineError(
            f"There is no base image: {official} is not here and could not be pulled "
            f"({self._refusals[official]}), and no local one was made.",
            hint=f"modelpack base build --python {versions[0]}",
        )

    def of_other_platform(
        self, versions: Sequence[str], reference: str | None, platform: str
    ) -> BaseImage:
        """As `find`, for a platform that is not the engine's: the image need not be here, and what
        the registry says of it is all that is known. Local images are of the engine's platform.

        Raises:
            UsageError: `reference` is none.
        """
        name = reference or f"python:{versions[0]}-slim"
        oci_reference.require_reference(name)
        tag, _, digest = name.partition("@")
        if not digest and self._pull:
            digest = pulls.digest(self._connect, self._called(name), platform, _LITTLE_PATIENCE)
        return BaseImage(tag, versions[0], "user" if reference else "registry", digest or None)

    def _chosen(self, reference: str, versions: Sequence[str]) -> BaseImage:
        oci_reference.require_reference(reference)
        image = self._here(reference) or self._pulled(reference, _PATIENCE)
        if image is None:
            raise NoEngineError(
                f"The base image {reference} is not here and could not be pulled: "
                f"{self._refusals[reference]}.",
                hint=f"docker pull {reference}",
            )
        python = self._python(image)
        if python not in versions:
            raise UsageError(
                f"The base image {reference} has Python {python}; the model needs one of "
                f"{', '.join(versions)}.",
                hint=f"Choose a base image with Python {versions[0]}.",
            )
        name, _, digest = reference.partition("@")
        digest = digest or _digest(image, reference) or ""
        image_id = None if digest else image.id
        return BaseImage(name, python, "user", digest or None, image_id=image_id)

    def _here(self, reference: str) -> Any | None:
        try:
            return self._client.images.get(self._called(reference))
        except ImageNotFound:
            return None

    def _pulled(self, reference: str, patience: float) -> Any | None:
        if not self._pull:
            self._refusals[reference] = "the network is not used"
        if reference not in self._refusals:
            self._refusals[reference] = pulls.pull(self._connect, self._called(reference), patience)
        return None if self._refusals[reference] else self._here(reference)

    def _python(self, image: Any) -> str:
        """Its version ("3.11"), as official images tell it, or else asked of its interpreter."""
        for variable in image.attrs["Config"]["Env"] or ():
            if match := re.fullmatch(r"PYTHON_VERSION=(3\.\d+)\..*", variable):
                return match[1]
        question = "import sys; print('%d.%d' % sys.version_info[:2])"
        try:
            answer = self._client.containers.run(
                image.id,
                ["-c", question],
                entrypoint="python",
                network_disabled=True,
                cap_drop=["ALL"],
                read_only=True,
                remove=True,
            )
        except (APIError, ContainerError) as error:
            raise UsageError(
                f"The base image has no `python` that runs: {pulls.reason(error)}.",
                hint="Give one with Python 3 on its PATH.",
            ) from error
        return str(answer.decode(errors="replace").strip())


def available() -> list[str]:
    """The base images that are here: official slim ones, and those of `modelpack base build`.

    Raises:
        NoEngineError: no engine answers.
    """
    client = daemon.connect()
    try:
        tags = [tag for image in client.images.list() for tag in image.tags]
    finally:
        client.close()
    pattern = rf"(python|{re.escape(REPOSITORY)}):3\.\d+-slim"
    return sorted(tag for tag in tags if re.fullmatch(pattern, tag))


def _digest(image: Any, reference: str) -> str | None:
    """What the registry calls this image by content; None if it came from no registry. Podman
    has a digest for every image, also for those that no registry knows.
    """
    repository = familiar_name(reference)
    if repository.startswith("localhost/") or repository == REPOSITORY:
        return None
    for known in image.attrs.get("RepoDigests") or ():
        name, _, digest = known.partition("@")
        if familiar_name(name) == repository:
            return str(digest)
    return None
