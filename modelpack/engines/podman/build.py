"""Builds with Buildah.

See imagebuildah/stage_executor.go of Buildah. A step starts with "[2/5] STEP 4/7: RUN ...", without
brackets if there is one stage. "--> Using cache ..." means that it does not run. Other lines are
the output of its command.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from modelpack.engines import build_errors
from modelpack.engines.build_cache import BuildCache
from modelpack.engines.build_progress import printable, title
from modelpack.engines.protocol import OnStep, StepEvent, StepState
from modelpack.engines.sandbox import die_with_parent
from modelpack.errors import UsageError

_STEP = re.compile(r"(\[\d+/\d+\] )?STEP \d+(?:/\d+)?: (.*)")
_CACHED = "--> Using cache"
_END = re.compile(r"(\[\d+/\d+\] )?COMMIT\b|--> [0-9a-f]{12}$")
_WARNING = re.compile(r'time="[^"]*" level=(warning|info)')
# 'Error: building at STEP "RUN ...": while running runtime: exit status 1'
_ERROR = re.compile(r'Error: (?:building at STEP "(.*)": )?(?:while running runtime: )?(.*)')
_KEPT_LINES = 200
# Docker's format, because OCI's has no HEALTHCHECK. No label of Buildah's version, because the id
# of an image must not depend on it.
_BUILD = ("podman", "build", "--format=docker", "--identity-label=false")
_CANCEL_SECONDS = 60.0  # copies of large directories take less
_NAP = 0.2
_EPOCH = "--build-arg=SOURCE_DATE_EPOCH="
_CACHE_KEYS = {"type", "ref", "mode"}
_EMULATORS = Path("/proc/sys/fs/binfmt_misc")
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


class Progress:
    """The steps of one build, reported to `on_step`, and the output of the one that failed.

    Steps of several stages alternate. Another step may start before a failure is reported.
    """

    def __init__(self, on_step: OnStep) -> None:
        self._on_step = on_step
        self._began = 0.0
        self._step = ""
        self._output: dict[str, deque[str]] = {"": deque(maxlen=_KEPT_LINES)}
        self.failed_step = ""
        self.error = ""

    def read(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._see(line.rstrip("\n"))

    @property
    def output(self) -> list[str]:
        """The last lines of the failed step, or of the last step if none is named."""
        return list(self._output[self.failed_step or self._step])

    def _see(self, line: str) -> None:
        if step := _STEP.match(line):
            self._end("done")
            self._begin(f"{step[1] or ''}{title(step[2])}")
        elif line.startswith(_CACHED):
            self._end("cached")
        elif _END.match(line):
            self._end("done")
        elif error := _ERROR.match(line):
            self._fail(error[1] or "", error[2])
        elif not _WARNING.match(line):
            self._output[self._step].extend(printable(line))

    def _begin(self, step: str) -> None:
        self._step, self._began = step, time.perf_counter()
        self._output[step] = deque(maxlen=_KEPT_LINES)
        self._on_step(StepEvent(step, "started"))

    def _end(self, state: StepState) -> None:
        """Report the end of the current step, if any."""
        if self._began:
            self._on_step(StepEvent(self._step, state, time.perf_counter() - self._began))
        self._began = 0.0

    def _fail(self, command: str, why: str) -> None:
        named = [step for step in self._output if command and step.endswith(title(command))]
        self.failed_step = named[-1] if named else self._step
        self.error = " ".join(printable(why))
        self._on_step(StepEvent(self.failed_step, "failed"))


LOCAL_OPTIONS: tuple[str, ...] = ()
ID_OPTION = "--iidfile"
# With --timestamp. So layers equal those of other engines only if the image has the date of files.
DATES_FILES = True


def run(
    context: Path, on_step: OnStep, *, environ: Mapping[str, str], options: Sequence[str]
) -> None:
    """Build as `BuildTool.run` does."""
    command = [*_BUILD, *_times(options), *options, str(context)]
    progress = Progress(on_step)
    with subprocess.Popen(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # modelpack handles Ctrl-C
        preexec_fn=_receive_only_hangups,  # noqa: PLW1509 - nothing in it takes a lock
    ) as process:
        try:
            progress.read(process.stdout or ())
        except BaseException:
            _cancel(process)
            raise
    if process.returncode:
        raise build_errors.build_failure(progress.failed_step, progress.error, progress.output)


def _receive_only_hangups() -> None:
    """Ignore SIGHUP in the new process, and receive it when modelpack ends."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    die_with_parent(signal.SIGHUP)


def _cancel(process: subprocess.Popen[str]) -> None:
    """Cancel a build so that nothing is left.

    Podman ends at SIGINT and SIGTERM, but leaves its build container and the command in it. A
    running command ends at SIGHUP, so the build fails and cleans up. Podman itself ignores SIGHUP.
    """
    deadline = time.monotonic() + _CANCEL_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        process.send_signal(signal.SIGHUP)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_NAP)
    process.terminate()


def read_id(path: Path, environ: Mapping[str, str]) -> str:  # noqa: ARG001 - as in `BuildTool`
    return path.read_text("utf-8").strip()


def cache_options(
    cache: BuildCache,
    environ: Mapping[str, str],  # noqa: ARG001 - as in `BuildTool`
) -> tuple[list[str], dict[str, str]]:
    """Return options as `BuildTool.cache_options` does.

    Podman stores each step as an image of a repository, so the reference has no tag. It always
    exports all steps, as buildx does with mode=max.
    """
    options = []
    for location in cache.locations():
        ref = location.attributes.get("ref", "")
        if location.type != "registry" or not ref or location.attributes.keys() - _CACHE_KEYS:
            raise UsageError(
                f"Podman cannot use {location}: it has caches in registries only.",
                hint=f"Write it as: {location.option} type=registry,ref=registry.example/cache",
            )
        name = re.sub(r"(@[^/]*|:[^/:@]*)$", "", ref)
        if name != ref:
            raise UsageError(
                f"Podman cannot use {location}: its caches have neither a tag nor a digest.",
                hint=f"Leave the tag out: {location.option} type=registry,ref={name}",
            )
        options.append(f"{location.option}={ref}")
    return options, {}


def platforms(environ: Mapping[str, str]) -> frozenset[str]:  # noqa: ARG001 - as in `BuildTool`
    """Return the platforms of the processor and of the emulators that the kernel knows."""
    known = {
        f"linux/{name}"
        for name, machine in _MACHINES.items()
        if machine == os.uname().machine or (_EMULATORS / f"qemu-{machine}").exists()
    }
    return frozenset(known)


def _times(options: Iterable[str]) -> list[str]:
    """Translate BuildKit's argument for the time of image and files to the option of Podman 5."""
    return [option.replace(_EPOCH, "--timestamp=") for option in options if _EPOCH in option]
