"""Builds with BuildKit."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelpack.engines import build_errors
from modelpack.engines.build_cache import FROM, TO, BuildCache, CacheLocation
from modelpack.engines.build_progress import Progress
from modelpack.engines.protocol import OnStep
from modelpack.errors import BuildFailedError, NoEngineError, UsageError

_LOST_LAYER = "layer does not exist"
"""Message of Docker if the cache of builds refers to a layer that was removed with an image."""

# BuildKit's own provenance contains times. modelpack attaches provenance without them.
LOCAL_OPTIONS: tuple[str, ...] = ("--load", "--provenance=false")
ID_OPTION = "--metadata-file"
DATES_FILES = False
DEFAULT_BUILDER = "default"
"""The builder of the Docker daemon, which alone has the images of the daemon."""

_BUILDER = "BUILDX_BUILDER"
_TYPES = {FROM: {"registry", "local"}, TO: {"inline"}}
"""Types of caches that the Docker daemon imports and exports without the containerd image store."""
_ACTIONS_TOKEN = "ACTIONS_RUNTIME_TOKEN"  # noqa: S105 - the name of a variable


def run(
    context: Path, on_step: OnStep, *, environ: Mapping[str, str], options: Sequence[str]
) -> None:
    """Build as `BuildTool.run` does.

    Raises:
        NoEngineError: `docker buildx` 0.13 or later is not installed.
        BuildFailedError: A step failed; the message contains the end of its output.
    """
    command = ["docker", "buildx", "build", "--progress=rawjson", *options]
    try:
        _run([*command, str(context)], environ, Progress(on_step))
    except BuildFailedError as error:
        if _LOST_LAYER not in error.message:
            raise
        _run([*command, "--no-cache", str(context)], environ, Progress(on_step))


def platforms(environ: Mapping[str, str]) -> frozenset[str]:
    """Return the platforms whose steps BuildKit runs, natively or by emulation."""
    output = _output(["docker", "buildx", "inspect", DEFAULT_BUILDER], environ)
    listed = re.findall(r"^Platforms:\s*(.+)$", output, re.MULTILINE)
    return frozenset(name.strip(" *") for line in listed for name in line.split(","))


def read_id(path: Path, environ: Mapping[str, str]) -> str:
    """Return the engine's id of a new image from the metadata of its build.

    With the containerd image store, it is the digest of the manifest. Without it, it is the digest
    of the configuration, which the metadata of other builders than the default one lists apart.
    """
    metadata: dict[str, str] = json.loads(path.read_text("utf-8"))
    is_default = environ.get(_BUILDER) == DEFAULT_BUILDER
    return metadata["containerimage.digest" if is_default else "containerimage.config.digest"]


def cache_options(
    cache: BuildCache, environ: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """Return options and variables as `BuildTool.cache_options` does.

    The builder of the Docker daemon is used if it has the types of caches, and otherwise the one
    that the user selected with `docker buildx use` or BUILDX_BUILDER.
    """
    locations = list(cache.locations())
    for location in locations:
        _require_token(location)
    options = [f"{location.option}={location.value}" for location in locations]
    unsupported = [each for each in locations if each.type not in _TYPES[each.option]]
    if not unsupported or _has_containerd_store(environ):
        return options, {}
    # The user's own view: DOCKER_HOST of `environ` would hide the builder of a context.
    selected = _output(["docker", "buildx", "inspect"], os.environ)
    name, driver = (_field(field, selected) for field in ("Name", "Driver"))
    if not name or driver in {"", "docker"}:
        raise NoEngineError(
            f"The Docker engine cannot use {unsupported[0]}: without the containerd image store, it"
            " imports caches of the types registry and local, and exports inline.",
            hint="Create another builder with: docker buildx create --use (or enable the containerd"
            " image store of Docker, or use: --cache-to type=inline)",
        )
    return options, {_BUILDER: name}


def _require_token(location: CacheLocation) -> None:
    """Raise UsageError for a cache of GitHub that buildx would leave out without a message."""
    has_token = location.attributes.get("token") or os.environ.get(_ACTIONS_TOKEN)
    if location.type == "gha" and not has_token:
        raise UsageError(
            f"{location} needs the token in {_ACTIONS_TOKEN}, which is not set.",
            hint="In a job of GitHub, add a step: uses: crazy-max/ghaction-github-runtime@v3",
        )


def _has_containerd_store(environ: Mapping[str, str]) -> bool:
    command = ["docker", "info", "--format={{json .DriverStatus}}"]
    return "io.containerd.snapshotter" in _output(command, environ)


def _field(name: str, output: str) -> str:
    """Return the first value of a field of `docker buildx inspect`, or ""."""
    found = re.search(rf"^{name}:\s*(\S+)", output, re.MULTILINE)
    return found[1] if found else ""


def _output(command: Sequence[str], environ: Mapping[str, str]) -> str:
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    return done.stdout


def _run(command: Sequence[str], environ: Mapping[str, str], progress: Progress) -> None:
    try:
        process = subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except FileNotFoundError:
        raise _no_buildx("the `docker` command is not installed") from None
    # The end of the block waits for the command, which cancels the build on SIGTERM.
    with process:
        try:
            progress.read(process.stderr or ())
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise _failure(progress)


def _failure(progress: Progress) -> BuildFailedError | NoEngineError:
    output = progress.output
    text = "\n".join(output)
    if re.search(
        r"is not a docker command|unknown flag|invalid progress mode|unknown command", text
    ):
        return _no_buildx(output[0])
    return build_errors.build_failure(progress.failed_step, progress.error, output)


def _no_buildx(why: str) -> NoEngineError:
    return NoEngineError(
        f"Images are built by `docker buildx` 0.13 or later, which is not available: {why}.",
        hint="Install Docker's buildx plugin; on Debian and Ubuntu: apt-get install docker-buildx",
    )
