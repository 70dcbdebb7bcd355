"""Base images: selection, and Debian packages for a wheelhouse."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
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
from modelpack.oci.reference import LOCAL_BASE_REPOSITORY, ImageReference, local_base_reference
from modelpack.types import BaseImage, IndexSettings

# Seconds to wait for each response of a registry. They are few if a local base image exists.
_TIMEOUT = 15
_SHORT_TIMEOUT = 3


class BaseImageSelector:
    """The base images of one engine. A failed pull is not tried again."""

    def __init__(self, host: EngineHost) -> None:
        self._host = host
        self._pull_errors: dict[str, str] = {}

    def find(self, pythons: Sequence[str], reference: str | None, *, pull: bool) -> BaseImage:
        """Find a base image for the platform of the engine.

        Without `reference`, this is the official slim image of the first version, local or pulled.
        Otherwise it is the first image of `modelpack base build` for any of the versions.

        Raises:
            UsageError: `reference` is invalid, or the image has none of the versions.
            NoEngineError: No image is available.
        """
        if reference is not None:
            return self._requested(reference, pythons, pull=pull)
        local = next(
            (python for python in pythons if self._local(local_base_reference(python))), None
        )
        official = f"python:{pythons[0]}-slim"
        timeout = _SHORT_TIMEOUT if local else _TIMEOUT
        image, error = self._local_or_pulled(official, timeout, pull=pull)
        if image:
            return BaseImage(official, pythons[0], "registry", _digest(image, official))
        if local:
            name = local_base_reference(local)
            return BaseImage(name, local, "local", image_id=self._host.client.images.get(name).id)
        raise NoEngineError(
            f"No base image for Python {pythons[0]}: {official} is not available locally and could"
            f" not be pulled ({error}), and no local base image exists.",
            hint=f"modelpack base build --python {pythons[0]}",
        )

    def find_foreign(
        self, pythons: Sequence[str], reference: str | None, platform: str, *, pull: bool
    ) -> BaseImage:
        """Find a base image for another platform, which need not be available locally.

        Its Python version is not checked. Local images are for the platform of the engine.

        Raises:
            UsageError: `reference` is invalid.
        """
        name = reference or f"python:{pythons[0]}-slim"
        ImageReference.parse(name)
        tag, _, digest = name.partition("@")
        if not digest and pull:
            host = self._host
            image = host.engine_name(name)
            digest = transfers.digest(host.connect, image, platform, _SHORT_TIMEOUT)
        return BaseImage(tag, pythons[0], "user" if reference else "registry", digest or None)

    def _requested(self, reference: str, pythons: Sequence[str], *, pull: bool) -> BaseImage:
        ImageReference.parse(reference)
        image, error = self._local_or_pulled(reference, _TIMEOUT, pull=pull)
        if image is None:
            raise NoEngineError(
                f"The base image {reference} is not available locally and could not be pulled:"
                f" {error}.",
                hint="Check the name and the registry, or leave out --base-image."
                if pull
                else f"Run: {self._host.command} pull {reference}",
            )
        python = self._python(image)
        if python not in pythons:
            raise UsageError(
                f"The base image {reference} has Python {python}; the model needs one of "
                f"{', '.join(pythons)}.",
                hint=f"Choose a base image with Python {pythons[0]}.",
            )
        name, _, digest = reference.partition("@")
        digest = digest or _digest(image, reference) or ""
        image_id = None if digest else image.id
        return BaseImage(name, python, "user", digest or None, image_id=image_id)

    def _local(self, reference: str) -> Any | None:
        try:
            return self._host.client.images.get(self._host.engine_name(reference))
        except ImageNotFound:
            return None

    def _local_or_pulled(
        self, reference: str, timeout: float, *, pull: bool
    ) -> tuple[Any | None, str]:
        """Return the image, or None and why it could not be pulled."""
        if image := self._local(reference):
            return image, ""
        if not pull:
            return None, "the network is not used"
        if reference not in self._pull_errors:
            host = self._host
            image = host.engine_name(reference)
            self._pull_errors[reference] = transfers.pull(host.connect, image, timeout)
        error = self._pull_errors[reference]
        return None if error else self._local(reference), error

    def _python(self, image: Any) -> str:
        """Return the Python version of an image, "3.11": from a variable, else by running it."""
        for variable in image.attrs["Config"]["Env"] or ():
            if match := re.fullmatch(r"PYTHON_VERSION=(3\.\d+)\..*", variable):
                return match[1]
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        try:
            output = self._host.client.containers.run(
                image.id,
                ["-c", code],
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
        return str(output.decode(errors="replace").strip())


def available() -> list[str]:
    """List the local base images: official slim ones, and those of `modelpack base build`.

    Raises:
        NoEngineError: No daemon answers.
    """
    client = connection.connect()
    try:
        tags = [tag for image in client.images.list() for tag in image.tags]
    finally:
        client.close()
    pattern = rf"(python|{re.escape(LOCAL_BASE_REPOSITORY)}):3\.\d+-slim"
    return sorted(tag for tag in tags if re.fullmatch(pattern, tag))


def _digest(image: Any, reference: str) -> str | None:
    """Return the digest of an image in its registry, or None if it came from no registry.

    Podman has a digest for every image.
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


# The builder runs apt-get for the base image, which may be for another platform.
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


def download_debian_packages(
    packages: DebianPackages,
    directory: Path,
    index: IndexSettings,
    on_step: OnStep,
    host: EngineHost,
) -> None:
    """Download the packages of each stage, and what the base image lacks for them.

    Raises:
        BuildFailedError: The mirrors cannot be reached, or have no such package.
    """
    shutil.rmtree(directory, ignore_errors=True)
    if not packages.stages:
        return
    with processes.temporary_directory(".debian-", directory.parent) as scratch:
        context, output = scratch / "context", scratch / "output"
        context.mkdir()
        (context / "Dockerfile").write_text(_dockerfile(packages))
        options, environ = index_secrets.for_build(index, host.environ)
        options += [f"--platform={packages.platform}", f"--output=type=local,dest={output}"]
        options.append("--no-cache")  # a cached step would yield outdated packages
        host.build_tool.run(context, on_step, environ=environ, options=options)
        output.rename(directory)


def _dockerfile(packages: DebianPackages) -> str:
    base, stages = packages.base, packages.stages
    reference = f"{base.reference}@{base.digest}" if base.digest else base.reference
    downloads = "".join(
        _FETCH.format(stage=stage, names=" ".join(names)) for stage, names in stages.items()
    )
    copies = "".join(f"COPY --from={stage} /debian/ /\n" for stage in stages)
    return f"{_BASES.format(base=reference)}{downloads}FROM scratch\n{copies}"
