"""An image as the rules see it: its configuration, its files, and what is in those that matter."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from modelpack import oci
from modelpack.errors import UsageError
from modelpack.hardening import evidence, secrets
from modelpack.hardening import evidence as hardening_evidence
from modelpack.hardening.evidence import Evidence
from modelpack.hardening.secrets import KnownSecret
from modelpack.oci import filesystem
from modelpack.oci.filesystem import Entry
from modelpack.types import Violation

MARK = "LABEL dev.modelpack.version="
"""The instruction with which the Dockerfile begins to build on its base."""

Listing = Sequence[Entry]


@dataclass(frozen=True)
class Layer:
    """A layer above those of the base. `evidence`: what was found in its files."""

    entries: Listing
    evidence: Evidence


@dataclass(frozen=True)
class Subject:
    """`config`: the image's configuration document. `files`: path -> entry of `/`; `base`: the same
    of the base image by itself. `layers`: those above the base, bottom to top. `leaks`: where the
    secrets of the build were found.
    """

    config: Mapping[str, Any]
    files: Mapping[str, Entry]
    base: Mapping[str, Entry] = field(default_factory=dict)
    layers: tuple[Layer, ...] = ()
    leaks: tuple[Violation, ...] = ()

    @property
    def run(self) -> Mapping[str, Any]:
        """The part of the configuration that says how the image is run."""
        part: Mapping[str, Any] = self.config.get("config") or {}
        return part

    @property
    def labels(self) -> Mapping[str, str]:
        return self.run.get("Labels") or {}

    @cached_property
    def ours(self) -> Mapping[str, Entry]:
        """What of `files` the base has not."""
        return {path: entry for path, entry in self.files.items() if self.base.get(path) != entry}

    @cached_property
    def history(self) -> tuple[str, ...]:
        """The instructions above the base."""
        told = [str(entry.get("created_by", "")) for entry in self.config.get("history") or ()]
        first = next((i for i, text in enumerate(told) if MARK in text), 0)
        return tuple(told[first:])

    def text(self, path: str) -> str:
        """The content of a file that was kept as evidence; "" where `/` has none of that name."""
        for layer in reversed(self.layers):
            if path in layer.evidence.texts and path in self.files:
                return layer.evidence.texts[path]
        return ""

    @cached_property
    def pins(self) -> Mapping[str, str]:
        """Distribution -> version, as the lock names them."""
        return hardening_evidence.pins(self.text(evidence.LOCK))

    @cached_property
    def recorded(self) -> Mapping[str, str]:
        """Path -> sha256 of all files that belong to a distribution in the environment."""
        return hardening_evidence.recorded_digests(self.files, self.text)

    def is_of_a_wheel(self, path: str) -> bool:
        """Whether a file is word for word one of a distribution, or byte code beside one."""
        source = hardening_evidence.source_of(path)
        entry = self.files.get(source)
        if entry is None or not entry.sha256:
            return False
        return self.recorded.get(source) == entry.sha256

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        """Raises UsageError: the image has no modelpack.json."""
        try:
            document: Mapping[str, Any] = json.loads(self.text(evidence.MANIFEST))
            document["model"]["file"]["path"]
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"The image was not created by modelpack: it has no readable /{evidence.MANIFEST}.",
                hint="Run: modelpack package MODEL -t NAME",
            ) from error
        return document


def read(image: oci.Image, given: Sequence[KnownSecret]) -> Subject:
    """Raises:
    UsageError: the image is damaged, or none that modelpack made.
    """
    count = _layers_of_base(image)
    listings = [filesystem.layer_listing(layer) for layer in image.layers]
    above = tuple(
        Layer(entries, evidence.collect(layer))
        for layer, entries in zip(image.layers[count:], listings[count:], strict=True)
    )
    subject = Subject(
        image.config,
        filesystem.merge_layers(listings),
        filesystem.merge_layers(listings[:count]),
        above,
        tuple(secrets.find_leaks(image.config, image.layers[count:], given)),
    )
    subject.manifest  # noqa: B018 - raises for what is no image of ours
    return subject


def _layers_of_base(image: oci.Image) -> int:
    """How many layers lie below what the Dockerfile does. Where the history does not tell, none:
    all files are then held to what is asked of our own.
    """
    history = image.config.get("history") or ()
    told = [MARK in str(entry.get("created_by", "")) for entry in history]
    above = history[told.index(True) :] if True in told else ()
    made = sum(not entry.get("empty_layer") for entry in above)
    return max(0, len(image.layers) - made) if above else 0
