"""`LocalEngine`: services as local processes (`--engine process`)."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from modelpack import oci
from modelpack.engines import interpreters
from modelpack.engines.local import processes
from modelpack.engines.local.processes import LocalService
from modelpack.engines.protocol import (
    PLATFORM_HINT,
    AnswerFuture,
    BatchStreams,
    DebianPackages,
    OnProgress,
    OnStep,
    StepEvent,
)
from modelpack.engines.sandbox import PREDICT_COMMAND
from modelpack.errors import NoEngineError, UsageError
from modelpack.oci.reference import ImageReference
from modelpack.types import BaseImage, Bundle, Image, IndexSettings

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class LocalEngine:
    """An `Engine` that makes no images. What it runs is a bundle's folder."""

    name = "process"

    def __init__(self) -> None:
        machine = platform.machine()
        self.platform = f"linux/{_ARCHITECTURES.get(machine, machine)}"

    def find_base(
        self,
        versions: Sequence[str],
        reference: str | None = None,
        *,
        platform: str | None = None,
        pull: bool = True,
    ) -> BaseImage:
        """The base that an image of the bundle would have. Only its Python version counts here."""
        if reference is not None:
            ImageReference.parse(reference)
        python = next(filter(interpreters.find, versions), None)
        foreign = platform not in {None, self.platform}
        if python is None and (foreign or (pull and interpreters.install(versions[0]))):
            python = versions[0]
        if python is None:
            raise NoEngineError(
                f"There is no CPython {' or '.join(versions)} on this machine.",
                hint=f"uv python install {versions[0]}",
            )
        if reference:
            return BaseImage(reference, python, "user")
        return BaseImage(f"python:{python}-slim", python, "registry")

    def require_runs(self, platform: str) -> None:
        if platform != self.platform:
            raise NoEngineError(
                f"This machine is {self.platform}, and runs no service of {platform}.",
                hint=PLATFORM_HINT.format(platform),
            )

    def fetch_debian(
        self, packages: DebianPackages, folder: Path, index: IndexSettings, on_step: OnStep
    ) -> None:
        """Makes nothing: a process has what this machine has."""

    def build(self, bundle: Bundle, index: IndexSettings, on_step: OnStep) -> None:
        """Makes the environment that `run` needs, once for each lock and interpreter."""
        self.require_runs(bundle.environment.platform)
        step, began = "environment", time.perf_counter()
        interpreter = _interpreter(bundle.environment.python)
        if interpreters.folder(bundle.environment.lock, interpreter).exists():
            on_step(StepEvent(step, "cached"))
            return
        on_step(StepEvent(step, "started"))
        interpreters.create_venv(bundle.environment, interpreter, index)
        on_step(StepEvent(step, "done", time.perf_counter() - began))

    def require_joins(self) -> None:
        raise NoEngineError(
            "A local process is of this machine's platform.",
            hint="An image for several platforms is made by --engine oci.",
        )

    def join(self, images: Sequence[Image]) -> Image:  # noqa: ARG002 - never
        self.require_joins()
        raise AssertionError

    def wants_wheels(self, bundle: Bundle) -> bool:  # noqa: ARG002 - never: uv gets them
        return False

    def ask(self, target: str, document: bytes) -> AbstractContextManager[AnswerFuture]:
        folder = Path(target)
        return processes.sandbox(folder, _environment(folder)).asked(document)

    def predict(self, target: str, arguments: Sequence[str], files: BatchStreams) -> int:
        folder = Path(target)
        process = processes.sandbox(folder, _environment(folder), (*PREDICT_COMMAND, *arguments))
        return process.pass_through(files.rows, files.answers, files.on_line)

    def tag(self, image: Image, reference: str) -> Image:
        """Raises:
        NoEngineError: always, as there are no images.
        """
        raise NoEngineError(
            f"No image {image.id} can be named {reference}: there is no container engine.",
            hint="Start Docker, or leave out -t.",
        )

    def push(self, reference: str, on_progress: OnProgress) -> str:  # noqa: ARG002
        """Raises:
        NoEngineError: always, as there are no images.
        """
        raise NoEngineError(
            f"There is no image {reference}: a local process makes none.", hint="Start Docker."
        )

    def discard(self, image: Image) -> None:
        """Does nothing, as there are no images."""

    def manifest(self, target: str) -> dict[str, Any]:
        return _manifest(Path(target))

    def contents(self, target: str) -> AbstractContextManager[oci.Image]:
        """Raises:
        UsageError: always, as there are no images.
        """
        raise UsageError(
            f"{target} is no image: a local process has none.", hint="Start Docker, or Podman."
        )

    def pulled(self, reference: str) -> AbstractContextManager[str]:
        """Raises:
        NoEngineError: always, as there are no images.
        """
        raise NoEngineError(
            f"{reference} cannot be run: that takes a container engine.",
            hint="Start Docker or Podman, or leave the test out: --no-smoke",
        )

    def run(self, target: str) -> AbstractContextManager[LocalService]:
        return processes.running(Path(target), _environment(Path(target)))

    def serve(self, target: str, port: int) -> int:
        """Runs a bundle's folder on 127.0.0.1:`port` until it ends or Ctrl-C; its exit code. The
        service gets the variables of this process that it reads.

        Raises:
            UsageError: the folder is no bundle, or the port is taken.
        """
        folder = Path(target)
        variables = processes.service_variables(os.environ)
        with processes.running(
            folder, _environment(folder), port=port, quiet=False, variables=variables
        ) as service:
            return service.wait()


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / "modelpack.json").read_bytes())
        manifest["environment"]["python"], (folder / "requirements.lock").stat()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{folder} is no bundle that can be run: {error}.",
            hint="Make one with: modelpack bundle MODEL -o DIR",
        ) from error
    return manifest


def _environment(folder: Path) -> Path:
    """The environment that `build` has made for the bundle in `folder`."""
    interpreter = _interpreter(_manifest(folder)["environment"]["python"])
    lock = (folder / "requirements.lock").read_text()
    environment = interpreters.folder(lock, interpreter)
    if not environment.exists():
        raise UsageError(f"The environment of {folder} is not made yet.", hint="Build it first.")
    return environment


def _interpreter(python: str) -> Path:
    interpreter = interpreters.find(python)
    if interpreter is None:
        raise NoEngineError(
            f"There is no CPython {python} on this machine.", hint=f"uv python install {python}"
        )
    return interpreter
