"""Runs bundles as local processes (`--engine process`)."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

from modelpack import cache
from modelpack.engines import interpreters
from modelpack.engines.local import processes
from modelpack.engines.local.processes import LocalService
from modelpack.engines.local.stderr import copy_stderr
from modelpack.engines.protocol import (
    PLATFORM_HINT,
    AnswerFuture,
    BatchStreams,
    DebianPackages,
    Engine,
    OnStep,
    StepEvent,
)
from modelpack.engines.sandbox import PREDICT_COMMAND
from modelpack.errors import NoEngineError, UsageError
from modelpack.oci.reference import ImageReference
from modelpack.types import BaseImage, Bundle, IndexSettings

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_PLATFORM = f"linux/{_ARCHITECTURES.get(platform.machine(), platform.machine())}"


def create_engine() -> Engine:
    """Create an engine that builds no images, and runs the directories of bundles."""
    return Engine("process", _PLATFORM, LocalBuilder(), LocalRunner())


class LocalBuilder:
    """A `Builder` of local environments."""

    def find_base_image(
        self,
        pythons: Sequence[str],
        reference: str | None = None,
        *,
        platform: str | None = None,
        pull: bool = True,
    ) -> BaseImage:
        """Name the base image that an image of the bundle would have. It need not exist."""
        if reference is not None:
            ImageReference.parse(reference)
        python = next(filter(interpreters.find, pythons), None)
        foreign = platform not in {None, _PLATFORM}
        if python is None and (foreign or (pull and interpreters.install(pythons[0]))):
            python = pythons[0]
        if python is None:
            raise _no_interpreter(" or ".join(pythons), pythons[0])
        if reference:
            return BaseImage(reference, python, "user")
        return BaseImage(f"python:{python}-slim", python, "registry")

    def needs_wheels(self, bundle: Bundle) -> bool:  # noqa: ARG002 - uv downloads them
        return False

    def download_debian_packages(
        self, packages: DebianPackages, directory: Path, index: IndexSettings, on_step: OnStep
    ) -> None:
        """Download nothing: a process uses the libraries of this machine."""

    def build(self, bundle: Bundle, index: IndexSettings, on_step: OnStep) -> None:
        """Create the environment of a bundle, once for each lock and interpreter."""
        _require_platform(bundle.environment.platform)
        step, began = "environment", time.perf_counter()
        interpreter = _interpreter(bundle.environment.python)
        if cache.hold(interpreters.venv_directory(bundle.environment.lock, interpreter)):
            on_step(StepEvent(step, "cached"))
            return
        on_step(StepEvent(step, "started"))
        interpreters.create_venv(bundle.environment, interpreter, index)
        on_step(StepEvent(step, "done", time.perf_counter() - began))


class ServedResult(NamedTuple):
    """How a service ended.

    Attributes:
        code: Its exit code; None if it was stopped because its model fails on its own example.
        log: The last part of what it wrote to standard error.
    """

    code: int | None
    log: str


class LocalRunner:
    """A `Runner` of bundles."""

    def require_platform(self, platform: str) -> None:
        _require_platform(platform)

    def query_model(
        self, target: str, request: bytes, more_seconds: float = 0.0
    ) -> AbstractContextManager[AnswerFuture]:
        bundle = Path(target)
        return processes.sandbox(bundle, venv_path(bundle)).query(request, more_seconds)

    def predict(self, target: str, arguments: Sequence[str], streams: BatchStreams) -> int:
        bundle, command = Path(target), (*PREDICT_COMMAND, *arguments)
        process = processes.sandbox(bundle, venv_path(bundle), command)
        return process.stream(streams)

    def run(
        self, target: str, port: int = 0, variables: Mapping[str, str] | None = None
    ) -> AbstractContextManager[LocalService]:
        bundle = Path(target)
        return processes.run_service(bundle, venv_path(bundle), port=port, variables=variables)

    def serve(self, target: str, port: int) -> ServedResult:
        """Serve a bundle on 127.0.0.1:`port` until it ends or Ctrl-C.

        The service gets those variables of this process that it reads.

        Raises:
            UsageError: The directory is not a bundle, or the port is in use.
        """
        bundle = Path(target)
        variables = processes.service_variables(os.environ)
        with copy_stderr() as stderr:
            with processes.run_service(
                bundle,
                venv_path(bundle),
                port=port,
                stderr=stderr.descriptor,
                variables=variables,
            ) as service:
                code = service.wait()
            return ServedResult(code, stderr.last())


def _require_platform(platform: str) -> None:
    if platform != _PLATFORM:
        raise NoEngineError(
            f"This machine is {_PLATFORM}, and cannot run services for {platform}.",
            hint=PLATFORM_HINT.format(platform),
        )


def _manifest(bundle: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((bundle / "modelpack.json").read_bytes())
        manifest["environment"]["python"], (bundle / "requirements.lock").stat()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{bundle} is not a bundle that can be run: {error}.",
            hint="Run: modelpack bundle MODEL -o DIR",
        ) from error
    return manifest


def venv_path(bundle: Path) -> Path:
    """Return the path of the environment that `LocalBuilder.build` created for a bundle.

    It stays in the cache until this process ends.

    Raises:
        UsageError: The directory is not a bundle, or was not built.
    """
    interpreter = _interpreter(_manifest(bundle)["environment"]["python"])
    lock = (bundle / "requirements.lock").read_text()
    environment = interpreters.venv_directory(lock, interpreter)
    if not cache.hold(environment):
        raise UsageError(
            f"The environment of {bundle} does not exist yet.", hint="Build the bundle first."
        )
    return environment


def _interpreter(python: str) -> Path:
    interpreter = interpreters.find(python)
    if interpreter is None:
        raise _no_interpreter(python, python)
    return interpreter


def _no_interpreter(versions: str, version: str) -> NoEngineError:
    return NoEngineError(
        f"There is no CPython {versions} on this machine.", hint=f"uv python install {version}"
    )
