"""What is compared of an image: its configuration, its layers, and where these differ its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from modelpack import oci
from modelpack.comparison import Built, Part, Side
from modelpack.errors import UsageError
from modelpack.oci import filesystem
from modelpack.oci.tar import WHITEOUT

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
    """The sides with their files of `/`, where both are images of other layers. Of files that are
    the same by what is below them, those of both may be left out.
    """
    given = [image for image in images if image]
    if len(given) < len(images) or _same(given):
        return list(sides)
    try:
        return [_read(side, files) for side, files in zip(sides, _listings(given), strict=True)]
    except UsageError as error:
        return [_unread(side, error.message) for side in sides]


def _same(images: Sequence[oci.Image]) -> bool:
    return len({tuple(layer.diff_id for layer in image.layers) for image in images}) == 1


Listings = list[tuple[str, tuple[filesystem.Entry, ...]]]
"""Each with its `diff_id`, from the bottom up."""


def _listings(images: Sequence[oci.Image]) -> list[Listings]:
    """What is in the layers. Those that both stand on take reading all of an image, and tell
    nothing where what lies on them has the same paths: as where only the model is another one.
    """
    pairs = zip(*(image.layers for image in images), strict=False)
    common = sum(1 for _ in takewhile(lambda pair: pair[0].diff_id == pair[1].diff_id, pairs))
    tops = [_listed(image.layers[common:]) for image in images]
    if _paths(tops[0]) == _paths(tops[1]) and not any(map(_has_marks, tops)):
        return tops
    below = _listed(images[0].layers[:common])
    return [[*below, *top] for top in tops]


def _listed(layers: Sequence[oci.Layer]) -> Listings:
    return [(layer.diff_id, filesystem.listing(layer)) for layer in layers]


def _paths(listings: Listings) -> set[str]:
    return {entry.path for _, entries in listings for entry in entries}


def _has_marks(listings: Listings) -> bool:
    """Whether something that is below is removed."""
    return any(WHITEOUT in path for path in _paths(listings))


def _read(side: Side, listings: Listings) -> Side:
    assert side.image is not None  # noqa: S101 - else nothing of it is read
    known = dict(listings)
    parts = tuple(_sized(part, known.get(part.diff_id)) for part in side.image.layers)
    files = filesystem.merged(entries for _, entries in listings)
    return replace(side, image=replace(side.image, layers=parts, files=files))


def _unread(side: Side, why: str) -> Side:
    return replace(side, image=side.image and replace(side.image, unread=why))


def _sized(part: Part, entries: Sequence[filesystem.Entry] | None) -> Part:
    """With its size as a tar, where nothing tells the one that is kept."""
    if part.size is not None or entries is None:
        return part
    blocks = sum(1 + -(-entry.size // _BLOCK) for entry in entries)
    return replace(part, size=(blocks + 2) * _BLOCK)
