"""The table of engines, and how one is selected."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from threading import Thread

from modelpack.engines.build_cache import BuildCache
from modelpack.engines.protocol import (
    BatchStreams,
    CachingBuilder,
    DebianPackages,
    Engine,
    IndexStore,
    OnStep,
    OverridableBase,
    StepEvent,
)
from modelpack.errors import NoEngineError, UsageError

__all__ = [
    "ENGINES",
    "BatchStreams",
    "BuildCache",
    "CachingBuilder",
    "DebianPackages",
    "Engine",
    "IndexStore",
    "OnStep",
    "OverridableBase",
    "StepEvent",
    "preload",
    "select_engine",
]

# "auto" selects the first that works. Each module has a function `create_engine`, and is imported
# when its engine is selected.
ENGINES = {
    "docker": "modelpack.engines.docker.engine",
    "podman": "modelpack.engines.podman.engine",
    "oci": "modelpack.engines.daemonless.engine",
    "process": "modelpack.engines.local.engine",
}
EXPLICIT_ONLY = {"oci"}
"""Engines that "auto" never selects: a container tests an image better, and a local process is
faster."""
IMAGE_ENGINES = "with images"
"""As "auto", but only engines that build images."""


def preload(name: str = "auto") -> None:
    """Import in the background what `select_engine(name)` will need. Docker's SDK takes 80 ms."""
    module = ENGINES.get(name) or next(iter(ENGINES.values()))
    Thread(target=import_module, args=(module,), daemon=True).start()


def select_engine(name: str = "auto") -> Engine:
    """Select an engine by its name.

    `name` is a key of `ENGINES`, or "auto" or `IMAGE_ENGINES` for the first that works.

    Raises:
        UsageError: No engine has this name.
        NoEngineError: The engine does not work on this machine.
    """
    if name in {"auto", IMAGE_ENGINES}:
        excluded = EXPLICIT_ONLY | ({"process"} if name == IMAGE_ENGINES else set())
        return _first_working([each for each in ENGINES if each not in excluded])
    if name not in ENGINES:
        raise UsageError(
            f"There is no engine {name!r}.", hint=f"Choose auto, {', '.join(ENGINES)}."
        )
    return _create(name)


def _first_working(names: Sequence[str]) -> Engine:
    reasons = []
    for name in names:
        try:
            return _create(name)
        except NoEngineError as error:
            reasons.append(error.message)
    raise NoEngineError(
        " ".join(reasons), hint="Install Docker or Podman: apt-get install docker.io docker-buildx"
    )


def _create(name: str) -> Engine:
    engine: Engine = import_module(ENGINES[name]).create_engine()
    return engine
