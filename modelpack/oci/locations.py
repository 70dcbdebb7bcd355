"""Locations of images: `oci:DIR`, `oci-archive:FILE`, `docker-archive:FILE` or a registry.

Source: containers-transports(5).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from modelpack.errors import UsageError
from modelpack.oci import archive, layout
from modelpack.oci.image import Image

Reader = Callable[[Path, str, str | None], Image]

LOCATION_READERS: dict[str, Reader] = {
    "oci": layout.read_image,
    "oci-archive": archive.read_image,
    "docker-archive": archive.read_image,
}


def is_location(text: str) -> bool:
    """Return whether `text` is the location of an image on disk, and not an image reference."""
    kind, _, rest = text.partition(":")
    return kind in LOCATION_READERS and rest != ""


@contextmanager
def open_image(
    location: str, platform: str | None = None, *, plain_http: bool = False
) -> Iterator[Image]:
    """Open the image at a location.

    `platform` ("linux/arm64") selects from images for several. `plain_http` allows a registry
    without TLS, as is allowed anyway on this machine.

    Raises:
        UsageError: There is no such image, or it is damaged.
        BuildFailedError: The registry fails.
    """
    if is_location(location):
        kind, _, rest = location.partition(":")
        path, name = _path_and_name(rest)
        yield LOCATION_READERS[kind](path, name, platform)
    else:
        from modelpack.oci.registry import client  # noqa: PLC0415 - brings requests, 60 ms

        with client.image(location, platform, plain_http=plain_http) as image:
            yield image


def _path_and_name(text: str) -> tuple[Path, str]:
    """Split at the first colon after an existing path."""
    ends = [match.start() for match in re.finditer(":", text)]
    for end in [len(text), *ends]:
        if Path(text[:end]).exists():
            return Path(text[:end]), text[end + 1 :]
    raise UsageError(f"File not found: {text[:300]!r}.", hint="Check the path.")
