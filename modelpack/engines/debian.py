"""Debian packages of a base image with all that they depend on, for a wheelhouse."""

from __future__ import annotations

import shutil
from pathlib import Path

from modelpack import processes
from modelpack.engines import credentials
from modelpack.engines.hosts import Host
from modelpack.engines.protocol import DebianPackages, OnStep
from modelpack.types import IndexSettings

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
    host: Host,
) -> None:
    """Puts into `folder`/STAGE/ what installing the packages of each stage on the base takes.

    Raises:
        BuildFailedError: the mirrors cannot be reached, or have no such package.
    """
    shutil.rmtree(folder, ignore_errors=True)
    if not packages.stages:
        return
    with processes.scratch_folder(".debian-", folder.parent) as scratch:
        context = scratch / "context"
        context.mkdir()
        (context / "Dockerfile").write_text(_dockerfile(packages))
        options, environ = credentials.for_build(index, host.environ)
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
