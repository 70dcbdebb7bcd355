"""Builds with BuildKit."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelpack.engines import build_errors
from modelpack.engines.build_progress import Progress
from modelpack.engines.protocol import OnStep
from modelpack.errors import BuildFailedError, NoEngineError

_LOST_LAYER = "layer does not exist"
"""Message of Docker if the cache of builds refers to a layer that was removed with an image."""

LOCAL_OPTIONS: tuple[str, ...] = ("--load",)


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
    command = ["docker", "buildx", "inspect", "default"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    listed = re.findall(r"^Platforms:\s*(.+)$", done.stdout, re.MULTILINE)
    return frozenset(name.strip(" *") for line in listed for name in line.split(","))


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
