"""An image: what its configuration says, and its layers.

Source: github.com/opencontainers/image-spec, config.md, layer.md and descriptor.md (version 1.1).
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

Opener = Callable[[], AbstractContextManager[IO[bytes]]]

DIGEST = re.compile("sha256:[0-9a-f]{64}")
"""The only algorithm that is read: no registry and no engine writes another one."""


def in_file(path: Path) -> Opener:
    """Opens the file each time."""

    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with path.open("rb") as stream:
            yield stream

    return opened


@dataclass(frozen=True)
class Blob:
    """A layer as it is kept where the image lies: most often compressed. `size`: in bytes."""

    digest: str
    size: int
    media_type: str
    open: Opener


def of_bytes(data: bytes, media_type: str) -> Blob:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return Blob(digest, len(data), media_type, partial(io.BytesIO, data))


@dataclass(frozen=True)
class Layer:
    """`diff_id`: "sha256:..." of the tar that `open` gives, as a stream to be read once, from which
    the layer is unpacked. Nobody has compared them before `tree.listing` does.
    """

    diff_id: str
    open: Opener
    created_by: str = ""
    blob: Blob | None = None


@dataclass(frozen=True)
class Image:
    """`config`: the whole configuration document. `layers`: bottom to top, without empty ones.
    `digest`: of its manifest, where it has one.
    """

    config: Mapping[str, Any]
    layers: tuple[Layer, ...]
    digest: str | None = None
