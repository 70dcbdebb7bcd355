"""What is compared of an image: its configuration, its layers, and where these differ its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from modelpack import oci
from modelpack.comparison import Built, Part, Side
from modelpack.errors import UsageError
from modelpack.oci import tree

_BLOCK = 512  # of a tar: https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html


def built(image: oci.Image) -> Built:
    """Without its files, which take reading the layers."""
    parts = (
        Part(layer.diff_id, layer.created_by, layer.blob.size if layer.blob else None)
        for layer in image.layers
    )
    kept = [layer.blob.media_type for layer in image.layers if layer.blob]
    compressed = bool(kept) and all("gzip" in kind or "zstd" in kind for kind in kept)
    return Built(image.config, tuple(parts), compressed=compressed)


def with_files(sides: Sequence[Side], images: Sequence[oci.Image | None]) -> list[Side]:
    """The sides with their files of `/`, where both are images of other layers."""
    parts = [side.image.layers if side.image else () for side in sides]
    if None in images or parts[0] == parts[1]:
        return list(sides)
    return [_read(side, image) for side, image in zip(sides, images, strict=True)]


def _read(side: Side, image: oci.Image | None) -> Side:
    if image is None or side.image is None:
        return side
    try:
        listings = [tree.listing(layer) for layer in image.layers]
    except UsageError as error:
        return replace(side, image=replace(side.image, unread=f"{side.name}: {error.message}"))
    sized = tuple(map(_sized, side.image.layers, listings))
    return replace(side, image=replace(side.image, layers=sized, files=tree.merged(listings)))


def _sized(part: Part, entries: Sequence[tree.Entry]) -> Part:
    """With its size as a tar, where nothing tells the one that is kept."""
    if part.size is not None:
        return part
    blocks = sum(1 + -(-entry.size // _BLOCK) for entry in entries)
    return replace(part, size=(blocks + 2) * _BLOCK)
