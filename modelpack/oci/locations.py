"""`oci:DIR`, `oci-archive:FILE`, `docker-archive:FILE` or a registry.

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

Reader = Callable[[Path, str, "str | None"], Image]

LOCATION_READERS: dict[str, Reader] = {
    "oci": layout.image,
    "oci-archive": archive.image,
    "docker-archive": archive.image,
}


def is_location(text: str) -> bool:
    """Whether `text` is the place of an image on disk, and not the name of an image."""
    kind, _, rest = text.partition(":")
    return kind in LOCATION_READERS and rest != ""


@contextmanager
def open_image(
    place: str, platform: str | None = None, *, plain_http: bool = False
) -> Iterator[Image]:
    """The image at a place, to be used while the block runs. `platform`: "linux/arm64", of those
    that the place has one for; else the only one. `plain_http`: ask a registry without TLS, which
    is done anyway where it is on this machine.

    Raises:
        UsageError: there is none, or it is damaged.
        BuildFailedError: the registry fails.
    """
    if is_location(place):
        kind, _, rest = place.partition(":")
        path, name = _path_and_name(rest)
        yield LOCATION_READERS[kind](path, name, platform)
    else:
        from modelpack.oci.registry import client  # noqa: PLC0415 - brings requests, 60 ms

        with client.image(place, platform, plain_http=plain_http) as image:
            yield image


def _path_and_name(text: str) -> tuple[Path, str]:
    """Split at the first colon behind something that is there."""
    ends = [match.start() for match in re.finditer(":", text)]
    for end in [len(text), *ends]:
        if Path(text[:end]).exists():
            return Path(text[:end]), text[end + 1 :]
    raise UsageError(f"There is no {text[:300]!r} here.", hint="Look at its spelling.")
