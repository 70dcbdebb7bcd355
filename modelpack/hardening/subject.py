"""The image as the rules see it: configuration, files, and evidence of their contents."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from modelpack import oci
from modelpack.errors import UsageError
from modelpack.hardening import evidence, secrets
from modelpack.hardening.evidence import Evidence
from modelpack.hardening.secrets import KnownSecret
from modelpack.oci import filesystem
from modelpack.oci.filesystem import Entry
from modelpack.types import Violation

MARK = "LABEL dev.modelpack.version="
"""The first instruction of the Dockerfile after those of the base image."""

Listing = Sequence[Entry]


@dataclass(frozen=True)
class Layer:
    """A layer above those of the base image."""

    entries: Listing
    evidence: Evidence


@dataclass(frozen=True)
class Subject:
    """An image.

    Attributes:
        files: Path -> entry of the file system.
        base: The same for the base image.
        layers: Those above the base image, from bottom to top.
        leaks: Secrets of the build in the image.
    """

    config: Mapping[str, Any]
    files: Mapping[str, Entry]
    base: Mapping[str, Entry] = field(default_factory=dict)
    layers: tuple[Layer, ...] = ()
    leaks: tuple[Violation, ...] = ()

    @property
    def run(self) -> Mapping[str, Any]:
        """The part of the configuration for running the image."""
        part: Mapping[str, Any] = self.config.get("config") or {}
        return part

    @property
    def labels(self) -> Mapping[str, str]:
        return self.run.get("Labels") or {}

    @cached_property
    def ours(self) -> Mapping[str, Entry]:
        """The `files` that are not in the base image, or have changed since."""
        return {path: entry for path, entry in self.files.items() if self.base.get(path) != entry}

    @cached_property
    def history(self) -> tuple[str, ...]:
        """The instructions above the base image."""
        texts = [str(entry.get("created_by", "")) for entry in self.config.get("history") or ()]
        first = next((i for i, text in enumerate(texts) if MARK in text), 0)
        return tuple(texts[first:])

    def text(self, path: str) -> str:
        """Return the content of a file in the evidence; "" if the image has no such file."""
        for layer in reversed(self.layers):
            if path in layer.evidence.texts and path in self.files:
                return layer.evidence.texts[path]
        return ""

    @cached_property
    def pins(self) -> Mapping[str, str]:
        """Distribution -> version in the lock."""
        return evidence.pins(self.text(evidence.LOCK))

    @cached_property
    def recorded(self) -> Mapping[str, str]:
        """Path -> SHA-256 of all files of distributions in the environment."""
        return evidence.recorded_digests(self.files, self.text)

    def is_from_wheel(self, path: str) -> bool:
        """Return whether a file is an unchanged file of a distribution, or byte code of one."""
        source = evidence.source_of(path)
        entry = self.files.get(source)
        if entry is None or not entry.sha256:
            return False
        return self.recorded.get(source) == entry.sha256

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        """The document modelpack.json. Raises UsageError if the image has no valid one."""
        try:
            document: Mapping[str, Any] = json.loads(self.text(evidence.MANIFEST))
            document["model"]["file"]["path"]
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"The image was not created by modelpack: it has no readable /{evidence.MANIFEST}.",
                hint="Run: modelpack package MODEL -t NAME",
            ) from error
        return document


def read_image(image: oci.Image, known: Sequence[KnownSecret], key: str) -> Subject:
    """Read an image, and search it for the secrets of its build, whose `cache_key` is `key`.

    Raises:
        UsageError: The image is damaged, or modelpack did not build it.
    """
    count = _count_base_layers(image)
    # First, so that a new layer is read once for its evidence and its listing.
    collected = [evidence.collect(layer) for layer in image.layers[count:]]
    listings = [filesystem.layer_listing(layer) for layer in image.layers]
    above = tuple(map(Layer, listings[count:], collected))
    subject = Subject(
        image.config,
        filesystem.merge_layers(listings),
        filesystem.merge_layers(listings[:count]),
        above,
        tuple(secrets.find_leaks(image.config, image.layers[count:], known, key)),
    )
    subject.manifest  # noqa: B018 - raises if modelpack did not build the image
    return subject


def _count_base_layers(image: oci.Image) -> int:
    """Return the number of layers below those of the Dockerfile.

    Without a history it is 0: the rules for files of modelpack then apply to all files.
    """
    history = image.config.get("history") or ()
    marks = [MARK in str(entry.get("created_by", "")) for entry in history]
    above = history[marks.index(True) :] if True in marks else ()
    added = sum(not entry.get("empty_layer") for entry in above)
    return max(0, len(image.layers) - added) if above else 0
