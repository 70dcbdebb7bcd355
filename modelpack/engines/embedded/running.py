"""Where an image of the embedded engine is tried: in Docker or Podman, else behind walls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Protocol

from modelpack import oci
from modelpack.engines.docker import DockerEngine
from modelpack.engines.embedded import rooms
from modelpack.engines.protocol import Files, OnAnswer
from modelpack.errors import NoEngineError
from modelpack.oci import archive
from modelpack.types import Service

_ENGINES = (
    "modelpack.engines.docker.DockerEngine",
    "modelpack.engines.podman.PodmanEngine",
)


class Room(Protocol):
    """What runs one image; the members are those of `Engine`, without their target."""

    def ask(self, document: bytes) -> AbstractContextManager[OnAnswer]: ...
    def predict(self, arguments: Sequence[str], files: Files) -> int: ...
    def run(self) -> AbstractContextManager[Service]: ...


class Loaded:
    """A `Room`: an image that another engine has been given."""

    def __init__(self, engine: DockerEngine, id_: str) -> None:
        self._engine = engine
        self._id = id_

    def ask(self, document: bytes) -> AbstractContextManager[OnAnswer]:
        return self._engine.ask(self._id, document)

    def predict(self, arguments: Sequence[str], files: Files) -> int:
        return self._engine.predict(self._id, arguments, files)

    def run(self) -> AbstractContextManager[Service]:
        return self._engine.run(self._id)


@contextmanager
def made(image: oci.Image, laid_out: Callable[[], AbstractContextManager[Path]]) -> Iterator[Room]:
    """Where `image`, which is for this machine, can be run; nothing of it is left afterwards.
    `laid_out`: gives a layout of it.

    Raises:
        NoEngineError: it cannot be run here.
    """
    engine = _engine()
    if engine is None:
        with rooms.made(image) as room:
            yield room
        return
    with laid_out() as folder:
        loaded = engine.load(archive.packed(folder))
    try:
        yield Loaded(engine, loaded.id)
    finally:
        engine.discard(loaded)


def _engine() -> DockerEngine | None:
    for path in _ENGINES:
        module, _, kind = path.rpartition(".")
        with suppress(NoEngineError):
            engine: DockerEngine = getattr(import_module(module), kind)()
            return engine
    return None
