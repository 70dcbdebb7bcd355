"""Base images: selection, and Debian packages for a wheelhouse."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from docker.errors import APIError, ContainerError, ImageNotFound

from modelpack import processes
from modelpack.engines import index_secrets
from modelpack.engines.docker import connection, transfers
from modelpack.engines.docker.connection import EngineHost
from modelpack.engines.protocol import DebianPackages, OnStep
from modelpack.errors import NoEngineError, UsageError
from modelpack.oci.reference import (
    LOCAL_BASE_REPOSITORY,
    ImageReference,
    local_base_reference,
)
from modelpack.types import BaseImage, IndexSettings

# Seconds to wait for a word from the registry: few where there is something else to build on.
_PATIENCE = 15
_LITTLE_PATIENCE = 3


class BaseImages:
    """The base images of one engine. What could not be pulled once is not asked for again.

    `called`: what the engine calls the image of a reference. `pull`: whether what is not here may
    be pulled at all.
    """

    def __init__(
        self, host: EngineHost, called: Callable[[str], str], *, pull: bool = True
    ) -> None:
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
        local = next(
            (python for python in versions if self._here(local_base_reference(python))), None
        )
        official = f"python:{versions[0]}-slim"
        patience = _LITTLE_PATIENCE if local else _PATIENCE
        if image := self._here(official) or self._pulled(official, patience):
            return BaseImage(official, versions[0], "registry", _digest(image, official))
        if local:
            name = local_base_reference(local)
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
        ImageReference.parse(name)
        tag, _, digest = name.partition("@")
        if not digest and self._pull:
            digest = transfers.digest(self._connect, self._called(name), platform, _LITTLE_PATIENCE)
        return BaseImage(tag, versions[0], "user" if reference else "registry", digest or None)

    def _chosen(self, reference: str, versions: Sequence[str]) -> BaseImage:
        ImageReference.parse(reference)
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
            self._refusals[reference] = transfers.pull(
                self._connect, self._called(reference), patience
            )
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
                f"The base image has no `python` that runs: {transfers.reason(error)}.",
                hint="Give one with Python 3 on its PATH.",
            ) from error
        return str(answer.decode(errors="replace").strip())


def available() -> list[str]:
    """The base images that are here: official slim ones, and those of `modelpack base build`.

    Raises:
        NoEngineError: no engine answers.
    """
    client = connection.connect()
    try:
        tags = [tag for image in client.images.list() for tag in image.tags]
    finally:
        client.close()
    pattern = rf"(python|{re.escape(LOCAL_BASE_REPOSITORY)}):3\.\d+-slim"
    return sorted(tag for tag in tags if re.fullmatch(pattern, tag))


def _digest(image: Any, reference: str) -> str | None:
    """What the registry calls this image by content; None if it came from no registry. Podman
    has a digest for every image, also for those that no registry knows.
    """
    name = ImageReference.parse(reference).familiar_name
    if name.startswith("localhost/") or name == LOCAL_BASE_REPOSITORY:
        return None
    for text in image.attrs.get("RepoDigests") or ():
        with suppress(UsageError):  # "<none>@<none>"
            known = ImageReference.parse(text)
            if known.familiar_name == name:
                return known.digest
    return None


# The machine that builds asks for what the base image, of whatever platform, has not got.
_BASES = """\
FROM {base} AS base
FROM --platform=$BUILDPLATFORM {base} AS builder
USER 0
ARG TARGETARCH
"""
_FETCH = """\
FROM builder AS {stage}
RUN --mount=type=bind,from=base,target=/base \\
    --mount=type=secret,id=ca,mode=0444 \\
    set -- -o=APT::Architecture="$TARGETARCH" -o=APT::Architectures="$TARGETARCH" \\
        -o=Dir::State::status=/base/var/lib/dpkg/status -o=Dir::Cache::archives=/debian/{stage} \\
    && if test -s /run/secrets/ca; then \\
        set -- "$@" -o=Acquire::https::CaInfo=/run/secrets/ca; \\
    fi \\
    && mkdir -p /debian/{stage}/partial && apt-get "$@" update \\
    && apt-get "$@" install -y --no-install-recommends --download-only {names} \\
    && rm -rf /debian/{stage}/partial /debian/{stage}/lock
"""


def fetch(
    packages: DebianPackages,
    folder: Path,
    index: IndexSettings,
    on_step: OnStep,
    host: EngineHost,
) -> None:
    """Puts into `folder`/STAGE/ what installing the packages of each stage on the base takes.

    Raises:
        BuildFailedError: the mirrors cannot be reached, or have no such package.
    """
    shutil.rmtree(folder, ignore_errors=True)
    if not packages.stages:
        return
    with processes.temporary_directory(".debian-", folder.parent) as scratch:
        context = scratch / "context"
        context.mkdir()
        (context / "Dockerfile").write_text(_dockerfile(packages))
        options, environ = index_secrets.for_build(index, host.environ)
        options += [
            f"--platform={packages.platform}",
            f"--output=type=local,dest={scratch / 'made'}",
        ]
        # Else the packages of last year would come out of the cache.
        host.builder.run(context, on_step, environ=environ, options=[*options, "--no-cache"])
        (scratch / "made").rename(folder)


def _dockerfile(packages: DebianPackages) -> str:
    base, stages = packages.base, packages.stages
    reference = f"{base.reference}@{base.digest}" if base.digest else base.reference
    fetched = "".join(
        _FETCH.format(stage=stage, names=" ".join(names)) for stage, names in stages.items()
    )
    copies = "".join(f"COPY --from={stage} /debian/ /\n" for stage in stages)
    return f"{_BASES.format(base=reference)}{fetched}FROM scratch\n{copies}"
