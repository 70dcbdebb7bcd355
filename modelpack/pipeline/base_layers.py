"""Layers of a new base image, read while an image is built on it.

The scan of the image compares with them. A build uses one processor when it copies and exports
layers, whereas the smoke test uses all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress

from modelpack import oci
from modelpack.engines import Engine, StepEvent
from modelpack.errors import ModelpackError
from modelpack.oci import filesystem

_ENGINES = {"docker"}
"""Engines that read a base image without the other layers."""

_COPY = "COPY --from=environment"
"""In the name of the step after which a build uses one processor."""


@contextmanager
def read_in_parallel(engine: Engine, reference: str) -> Iterator[Callable[[StepEvent], None]]:
    """Cache the listings of the layers of a base image until the context ends.

    Yield a function that gets the steps of the build, and starts to read when there is time.
    Errors are left to the scan.
    """
    if engine.images is None or engine.name not in _ENGINES:
        yield lambda _: None
        return
    reading: list[Future[None]] = []
    with ExitStack() as stack:
        pool, image = stack.enter_context(ThreadPoolExecutor(1)), None
        with suppress(ModelpackError):
            image = stack.enter_context(engine.images.open_image(reference))

        def start() -> None:
            if image and not reading:
                reading.append(pool.submit(_read, image))

        yield lambda step: start() if _COPY in step.name else None
        start()
        for each in reading:
            each.result()


def _read(image: oci.Image) -> None:
    with suppress(ModelpackError):
        for layer in image.layers:
            filesystem.layer_listing(layer)
