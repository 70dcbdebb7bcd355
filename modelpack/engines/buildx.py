"""Builds with BuildKit, through the `docker buildx` command: the SDK speaks no BuildKit."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelpack.engines.progress import Progress
from modelpack.engines.protocol import OnStep
from modelpack.errors import BuildFailedError, NoEngineError

_SHOWN_LINES = 15

# What the output of a failed step tells of its cause, most telling first: pip, for one, ends each
# failure of the network with "No matching distribution found".
_CAUSES = (
    (
        r"certificate.verify.failed|SSLError|SSLCertVerificationError",
        "The package index has a certificate that is not trusted in the build: give the bundle of "
        "your certificate authority by --ca-cert FILE.",
    ),
    (
        r"DO NOT MATCH THE HASHES",
        "A package is not the one that was locked. If the index was changed on purpose, make the "
        "bundle again; else find out who changed the package.",
    ),
    (r"no space left on device", "Make room for the engine: docker system df, docker system prune"),
    (
        r"name resolution|Name or service not known|Connection refused|unreachable|timed out"
        r"|Could not resolve|NewConnectionError",
        "The build cannot reach the package index: check the network and proxy settings, or name "
        "an index that can be reached by --index-url URL.",
    ),
    (
        r"No matching distribution found",
        "The package index that the build used has not what was locked: check --index-url, or "
        "make the bundle again.",
    ),
)


def build(
    context: Path,
    reference: str,
    on_step: OnStep,
    *,
    environ: Mapping[str, str],
    options: Sequence[str] = (),
) -> str:
    """Builds the folder `context` into the local image `reference`; returns the image's id.

    `environ`: of the docker command; it says which engine. `options`: more of the command's own.

    Raises:
        NoEngineError: there is no `docker buildx` of version 0.13 or later.
        BuildFailedError: with the step that failed and the end of its output.
    """
    with tempfile.TemporaryDirectory(prefix="modelpack-") as scratch:
        iidfile = Path(scratch, "iid")
        command = ["docker", "buildx", "build", "--progress=rawjson", "--load"]
        command += [f"--iidfile={iidfile}", f"--tag={reference}", *options, str(context)]
        _run(command, environ, Progress(on_step))
        return iidfile.read_text().strip()


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
    hints = [hint for cause, hint in _CAUSES if re.search(cause, text + progress.error, re.I)]
    where = f" in the step {progress.failed_step}" if progress.failed_step else ""
    what = f": {progress.error}." if progress.error else "."
    last = "\n".join(output[-_SHOWN_LINES:])
    return BuildFailedError(
        f"The image could not be built: it failed{where}{what}\n{last}".rstrip(),
        hint=hints[0] if hints else "",
    )


def _no_buildx(why: str) -> NoEngineError:
    return NoEngineError(
        f"Images are built by `docker buildx` 0.13 or later, which is not here: {why}.",
        hint="Install Docker's buildx plugin; on Debian and Ubuntu: apt-get install docker-buildx",
    )
