"""One side of a comparison: all that is known of a model, a bundle or an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelpack.oci.filesystem import Entry
from modelpack.types import Code, Environment, ModelSpec


@dataclass(frozen=True)
class Base:
    """What an image is built on. Empty where nothing tells."""

    reference: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Part:
    """A layer. `size`: in bytes, as it is kept or without compression; None: not known."""

    diff_id: str
    created_by: str = ""
    size: int | None = None


@dataclass(frozen=True)
class Built:
    """An image. `config`: its OCI configuration. `files`: those of `/`, by their paths; None where
    they were not read, `unread` says why. `compressed`: what the sizes of the layers are.
    """

    config: Mapping[str, Any]
    layers: tuple[Part, ...]
    files: Mapping[str, Entry] | None = None
    unread: str = ""
    compressed: bool = False


@dataclass(frozen=True)
class Side:
    """`environment`: None of a model file, which has none yet. `image`: None of what is none."""

    name: str
    kind: str
    model: ModelSpec
    environment: Environment | None = None
    base: Base = Base()
    code: Code = field(default_factory=Code)
    image: Built | None = None
