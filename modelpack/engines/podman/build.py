"""Builds with Buildah.

Source: buildah's imagebuildah/stage_executor.go. A step begins by "[2/5] STEP 4/7: RUN ..." (no
brackets where there is one stage), "--> Using cache ..." says that it is not run, and whatever else
comes is the output of the command in it.
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
from modelpack.engines.build_progress import printable, title
from modelpack.engines.protocol import OnStep, StepEvent, StepState
from modelpack.engines.sandbox import die_with_parent

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
_PATIENCE = 60.0  # seconds: large folders are copied in less
_NAP = 0.2
_EPOCH = "--build-arg=SOURCE_DATE_EPOCH="
_EMULATORS = Path("/proc/sys/fs/binfmt_misc")
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


class Progress:
    """The steps of one build: told to `on_step` as they change, and what the failed one said.

    One step runs at a time, but stages take turns, and another may begin before a failure is told.
    """

    def __init__(self, on_step: OnStep) -> None:
        self._on_step = on_step
        self._began = 0.0
        self._step = ""
        self._said: dict[str, deque[str]] = {"": deque(maxlen=_KEPT_LINES)}
        self.failed_step = ""
        self.error = ""

    def read(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._see(line.rstrip("\n"))

    @property
    def output(self) -> list[str]:
        """The newest lines that the failed step wrote; those of the last one if none is named."""
        return list(self._said[self.failed_step or self._step])

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
            self._said[self._step].extend(printable(line))

    def _begin(self, step: str) -> None:
        self._step, self._began = step, time.perf_counter()
        self._said[step] = deque(maxlen=_KEPT_LINES)
        self._on_step(StepEvent(step, "started"))

    def _end(self, state: StepState) -> None:
        """Of the step that runs, if one does."""
        if self._began:
            self._on_step(StepEvent(self._step, state, time.perf_counter() - self._began))
        self._began = 0.0

    def _fail(self, command: str, why: str) -> None:
        named = [step for step in self._said if command and step.endswith(title(command))]
        self.failed_step = named[-1] if named else self._step
        self.error = " ".join(printable(why))
        self._on_step(StepEvent(self.failed_step, "failed"))


LOCAL_OPTIONS: tuple[str, ...] = ()


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
        start_new_session=True,  # a Ctrl-C at the terminal is for modelpack to handle
        preexec_fn=_heed_only_hangups,  # noqa: PLW1509 - nothing in it takes a lock
    ) as process:
        try:
            progress.read(process.stdout or ())
        except BaseException:
            _give_up(process)
            raise
    if process.returncode:
        raise build_errors.build_failure(progress.failed_step, progress.error, progress.output)


def _heed_only_hangups() -> None:
    """In the new process, also for when modelpack is gone."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    die_with_parent(signal.SIGHUP)


def _give_up(process: subprocess.Popen[str]) -> None:
    """At SIGINT and SIGTERM Podman ends, and leaves what it builds in and the command that runs
    there. SIGHUP is heard while a command runs, which is then ended, so that the build fails and
    cleans up; between commands it would end Podman as well, if it were not ignored there.
    """
    deadline = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        process.send_signal(signal.SIGHUP)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_NAP)
    process.terminate()


def platforms(environ: Mapping[str, str]) -> frozenset[str]:  # noqa: ARG001 - as of each builder
    """Those of the machine's own processor and of the emulators that the kernel knows."""
    known = {
        f"linux/{name}"
        for name, machine in _MACHINES.items()
        if machine == os.uname().machine or (_EMULATORS / f"qemu-{machine}").exists()
    }
    return frozenset(known)


def _times(options: Iterable[str]) -> list[str]:
    """What BuildKit understands by an argument of this name, Podman 5 does by an option: the time
    of the image and of the files that the build adds.
    """
    return [option.replace(_EPOCH, "--timestamp=") for option in options if _EPOCH in option]
