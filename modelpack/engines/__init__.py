"""Engines turn a bundle into an image and run images, or bundles, as a service."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from threading import Thread

from modelpack.engines.protocol import BatchStreams, DebianPackages, Engine, OnStep, StepEvent
from modelpack.errors import NoEngineError, UsageError

__all__ = [
    "ENGINES",
    "BatchStreams",
    "DebianPackages",
    "Engine",
    "OnStep",
    "StepEvent",
    "preload",
    "select_engine",
]

# "auto" is the first that works. An engine is imported when it is selected.
ENGINES = {
    "docker": "modelpack.engines.docker.engine.DockerEngine",
    "podman": "modelpack.engines.podman.engine.PodmanEngine",
    "oci": "modelpack.engines.daemonless.engine.DaemonlessEngine",
    "process": "modelpack.engines.local.engine.LocalEngine",
}
EXPLICIT_ONLY = {"oci"}
"""Not meant by "auto": what runs containers says more of an image, and what makes no image needs
none."""
IMAGE_ENGINES = "with images"
"""As "auto", without what makes none."""


def preload(name: str = "auto") -> None:
    """Imports in the background what `select(name)` will need: Docker's SDK takes 80 ms."""
    path = ENGINES.get(name) or next(iter(ENGINES.values()))
    Thread(target=import_module, args=(path.rpartition(".")[0],), daemon=True).start()


def select_engine(name: str = "auto") -> Engine:
    """The engine called `name`; for "auto" the first one that works here, of all or only of those
    `WITH_IMAGES`.

    Raises:
        UsageError: there is no engine of that name.
        NoEngineError: it does not work here.
    """
    if name in {"auto", IMAGE_ENGINES}:
        without = EXPLICIT_ONLY | ({"process"} if name == IMAGE_ENGINES else set())
        return _first([each for each in ENGINES if each not in without])
    if name not in ENGINES:
        raise UsageError(
            f"There is no engine {name!r}.", hint=f"Choose auto, {', '.join(ENGINES)}."
        )
    return _make(name)


def _first(names: Sequence[str]) -> Engine:
    reasons = []
    for name in names:
        try:
            return _make(name)
        except NoEngineError as error:
            reasons.append(error.message)
    raise NoEngineError(
        " ".join(reasons), hint="Install Docker or Podman: apt-get install docker.io docker-buildx"
    )


def _make(name: str) -> Engine:
    module, _, kind = ENGINES[name].rpartition(".")
    engine: Engine = getattr(import_module(module), kind)()
    return engine
