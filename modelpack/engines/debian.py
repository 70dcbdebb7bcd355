"""Debian packages of a base image with all that they depend on, for a wheelhouse."""

from __future__ import annotations

import shutil
from pathlib import Path

from modelpack import reaper
from modelpack.engines import credentials
from modelpack.engines.hosts import Host
from modelpack.engines.protocol import DebianPackages, OnStep
from modelpack.spec import IndexSettings

_FETCH = """\
FROM {base} AS {stage}
USER 0
RUN --mount=type=secret,id=ca,mode=0444 \\
    ca="$(test ! -s /run/secrets/ca || echo -o=Acquire::https::CaInfo=/run/secrets/ca)" \\
    && mkdir -p /debian/{stage}/partial && apt-get ${{ca:+"$ca"}} update \\
    && apt-get ${{ca:+"$ca"}} install -y --no-install-recommends --download-only \\
        -o=Dir::Cache::archives=/debian/{stage} {names} \\
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
    with reaper.scratch_folder(".debian-", folder.parent) as scratch:
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
        _FETCH.format(base=reference, stage=stage, names=" ".join(names))
        for stage, names in stages.items()
    )
    copies = "".join(f"COPY --from={stage} /debian/ /\n" for stage in stages)
    return f"{fetched}FROM scratch\n{copies}"
