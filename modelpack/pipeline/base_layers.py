"""Layers of a new base image, read while an image is built on it.

The scan of the image compares with them. A build often waits for the package index or uses one
processor, whereas the smoke test uses all.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress

from modelpack import oci
from modelpack.engines import Engine
from modelpack.errors import ModelpackError
from modelpack.oci import filesystem

_ENGINES = {"docker"}
"""Engines that read a base image without the other layers."""


@contextmanager
def read_in_parallel(engine: Engine, reference: str) -> Iterator[None]:
    """Cache the listings of the layers of a base image. Errors are left to the scan."""
    if engine.images is None or engine.name not in _ENGINES:
        yield
        return
    with ExitStack() as stack:
        pool, reading = stack.enter_context(ThreadPoolExecutor(1)), None
        with suppress(ModelpackError):
            image = stack.enter_context(engine.images.open_image(reference))
            reading = pool.submit(_read, image)
        yield
        if reading:
            reading.result()


def _read(image: oci.Image) -> None:
    with suppress(ModelpackError):
        for layer in image.layers:
            filesystem.layer_listing(layer)
