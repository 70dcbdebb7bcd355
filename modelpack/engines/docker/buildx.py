"""Builds with BuildKit."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelpack import processes
from modelpack.engines import build_errors
from modelpack.engines.build_progress import Progress
from modelpack.engines.protocol import OnStep
from modelpack.errors import BuildFailedError, NoEngineError


def build(
    context: Path,
    on_step: OnStep,
    *,
    environ: Mapping[str, str],
    options: Sequence[str] = (),
) -> str:
    """Builds the folder `context` into a local image; returns its id.

    `environ`: of the docker command; it says which engine. `options`: more of the command's own.

    Raises:
        NoEngineError: there is no `docker buildx` of version 0.13 or later.
        BuildFailedError: with the step that failed and the end of its output.
    """
    with processes.temporary_directory() as scratch:
        iidfile = scratch / "iid"
        options = ["--load", f"--iidfile={iidfile}", *options]
        run(context, on_step, environ=environ, options=options)
        return iidfile.read_text().strip()


def run(
    context: Path, on_step: OnStep, *, environ: Mapping[str, str], options: Sequence[str]
) -> None:
    """As `build`, but `options` say what becomes of the result."""
    command = ["docker", "buildx", "build", "--progress=rawjson", *options, str(context)]
    _run(command, environ, Progress(on_step))


def platforms(environ: Mapping[str, str]) -> frozenset[str]:
    """The platforms that the engine runs build steps of, by itself or by emulation."""
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
    # Leaving the block waits for the command, which has then been told to give up the build.
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
        f"Images are built by `docker buildx` 0.13 or later, which is not here: {why}.",
        hint="Install Docker's buildx plugin; on Debian and Ubuntu: apt-get install docker-buildx",
    )
