"""Configuration, layers and files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

from modelpack import oci
from modelpack.errors import UsageError
from modelpack.oci import filesystem
from modelpack.oci.filesystem import Entry
from modelpack.oci.tar import WHITEOUT

from .report import (
    Change,
    Files,
    ImageSection,
    ImageSummary,
    Layers,
    LayerSummary,
    Side,
    counted,
    missing_sides,
    verdict,
)

_MAX_FILES = 1_000  # listed by name; all of them are counted
_WORDS = {
    "added": "added",
    "removed": "removed",
    "changed": "changed",
    "metadata": "with a different mode or owner",
    "times": "with a different time",
}
_SETTINGS = ("User", "Entrypoint", "Cmd", "WorkingDir", "ExposedPorts", "Volumes", "StopSignal",
             "Healthcheck")  # fmt: skip


def compare(old: Side, new: Side) -> ImageSection:
    if old.image is None or new.image is None:
        which = missing_sides(old.image, new.image)
        why = f"{which} {'are not images' if ' ' in which else 'is not an image'}"
        return ImageSection("unknown", "not compared", unknown=(why,))
    layers = _layers(old.image.layers, new.image)
    files, named = _files(old.image, new.image)
    changes = (
        *_config(old.image.config, new.image.config),
        *_layer_changes(old.image.layers, new.image.layers),
        *named,
    )
    unread = tuple(dict.fromkeys(filter(None, (old.image.unread, new.image.unread))))
    return ImageSection(
        verdict(changes, unread), _summary(layers, changes), changes, unread, layers, files
    )


def _summary(layers: Layers, changes: Sequence[Change]) -> str:
    if not changes:
        return f"all {counted(layers.same, 'layer')} and the configuration are the same"
    new = f"{layers.added} of {counted(layers.added + layers.same, 'layer')} new"
    if layers.added and layers.pull_bytes is not None:
        how = "" if layers.compressed else " uncompressed"
        new += f", {size(layers.pull_bytes)}{how} to pull"
    other = {change.what for change in changes} - {"layer", "file", "files"}
    return "; ".join([new, *(f"{what}s" for what in sorted(other))])


def _counts(files: Files) -> str:
    return ", ".join(f"{n:,} {_WORDS[name]}" for name, n in vars(files).items() if n)


def size(count: int) -> str:
    """Return a size as text, such as "5.4 kB"."""
    if count < 1_000:
        return counted(count, "byte")
    power = min(3, (len(str(count)) - 1) // 3)
    return f"{count / 1_000**power:.1f} {('kB', 'MB', 'GB')[power - 1]}"


# --- configuration -------------------------------------------------------------------------------


def _config(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in ("os", "architecture", "variant"):
        yield from _one("platform", name, old.get(name), new.get(name))
    before, after = (side.get("config") or {} for side in (old, new))
    for name in _SETTINGS:
        yield from _one("setting", name, before.get(name), after.get(name))
    yield from _each("variable", *(_variables(side.get("Env")) for side in (before, after)))
    yield from _each("label", *(side.get("Labels") or {} for side in (before, after)))


def _variables(listed: Any) -> dict[str, str]:
    pairs = (str(entry).partition("=") for entry in listed or ())
    return {name: value for name, _, value in pairs}


def _each(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted(old | new):  # type: ignore[operator]
        yield from _one(what, name, old.get(name), new.get(name))


def _one(what: str, name: str, old: Any, new: Any) -> Iterator[Change]:
    old, new = old or None, new or None  # some engines write empty values, others none
    if old == new:
        return
    kind = "added" if old is None else "removed" if new is None else "changed"
    yield Change(kind, what, name, _text(old), _text(new))  # type: ignore[arg-type]


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


# --- layers --------------------------------------------------------------------------------------


def _layers(old: Sequence[LayerSummary], new: ImageSummary) -> Layers:
    known = {layer.diff_id for layer in old}
    added = [layer for layer in new.layers if layer.diff_id not in known]
    kept = {layer.diff_id for layer in new.layers}
    removed = sum(layer.diff_id not in kept for layer in old)
    return Layers(
        same=len(new.layers) - len(added),
        added=len(added),
        removed=removed,
        pull_bytes=_total(added),
        compressed=new.compressed,
    )


def _total(layers: Sequence[LayerSummary]) -> int | None:
    sizes = [layer.size for layer in layers]
    return None if None in sizes else sum(filter(None, sizes))


def _layer_changes(old: Sequence[LayerSummary], new: Sequence[LayerSummary]) -> Iterator[Change]:
    """Yield layers with new digests, which users of OLD have to pull, and removed ones."""
    before, after = ({layer.diff_id for layer in side} for side in (old, new))
    for layer in new:
        if layer.diff_id not in before:
            note = "" if layer.size is None else size(layer.size)
            yield Change("added", "layer", layer.created_by, None, layer.diff_id, note=note)
    for layer in old:
        if layer.diff_id not in after:
            yield Change("removed", "layer", layer.created_by, layer.diff_id, None)


# --- files ---------------------------------------------------------------------------------------


def _files(old: ImageSummary, new: ImageSummary) -> tuple[Files | None, tuple[Change, ...]]:
    """Return the numbers of differing files, and the files, largest first.

    Files that differ only in their time are counted and not listed.
    """
    if old.files is None or new.files is None:
        return None, ()
    differing = [
        (change, max(entry.size for entry in (was, now) if entry))
        for change, was, now in _each_file(old.files, new.files)
    ]
    notes = [change.note for change, _ in differing]
    kinds = [change.kind for change, _ in differing]
    times, metadata = notes.count("time"), notes.count("mode or owner")
    files = Files(
        added=kinds.count("added"),
        removed=kinds.count("removed"),
        changed=kinds.count("changed") - times - metadata,
        metadata=metadata,
        times=times,
    )
    ordered = sorted(differing, key=lambda pair: (-pair[1], pair[0].name))
    shown = [change for change, _ in ordered if change.note != "time"][:_MAX_FILES]
    counts = [Change("changed", "files", new=_counts(files))] if differing else []
    return files, (*counts, *shown)


def _each_file(
    old: Mapping[str, Entry], new: Mapping[str, Entry]
) -> Iterator[tuple[Change, Entry | None, Entry | None]]:
    """Yield differing files. Times of directories are ignored, as they depend on their files."""
    for path in old.keys() | new.keys():
        was, now = old.get(path), new.get(path)
        if was == now:
            continue
        if was is None or now is None:
            kind = "added" if was is None else "removed"
            yield Change(kind, "file", path, _entry_text(was), _entry_text(now)), was, now  # type: ignore[arg-type]
        elif note := _how(was, now):
            yield (
                Change("changed", "file", path, _entry_text(was), _entry_text(now), note=note[0]),
                was,
                now,
            )


def _how(was: Entry, now: Entry) -> tuple[str] | None:
    """Return a note on how two entries differ; None if they do not differ."""
    if (was.kind, was.sha256, was.target) != (now.kind, now.sha256, now.target):
        return ("",)
    if was != replace(now, mtime=was.mtime):
        return ("mode or owner",)
    return None if was.kind == "directory" else ("time",)


def _entry_text(entry: Entry | None) -> str | None:
    if entry is None:
        return None
    what = size(entry.size) if entry.kind == "file" else entry.kind
    return f"{what}, {entry.mode:04o} {entry.uid}:{entry.gid}"


_BLOCK = 512  # of a tar: https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html


def describe_image(image: oci.Image) -> ImageSummary:
    """Return a summary of an image, without its files."""
    parts = (
        LayerSummary(layer.diff_id, layer.created_by, layer.blob.size if layer.blob else None)
        for layer in image.layers
    )
    kept = [layer.blob.media_type for layer in image.layers if layer.blob]
    compressed = bool(kept) and all("gzip" in kind or "zstd" in kind for kind in kept)
    return ImageSummary(image.config, tuple(parts), compressed=compressed)


def add_file_listings(sides: Sequence[Side], images: Sequence[oci.Image | None]) -> list[Side]:
    """Return the sides with their files if both are images with different layers.

    Files of common layers may be left out.
    """
    existing = [image for image in images if image]
    if len(existing) < len(images) or _have_same_layers(existing):
        return list(sides)
    try:
        return [
            _with_files(side, files) for side, files in zip(sides, _listings(existing), strict=True)
        ]
    except UsageError as error:
        return [_with_error(side, error.message) for side in sides]


def _have_same_layers(images: Sequence[oci.Image]) -> bool:
    return len({tuple(layer.diff_id for layer in image.layers) for image in images}) == 1


Listings = list[tuple[str, tuple[filesystem.Entry, ...]]]
"""Pairs of `diff_id` and entries, from bottom to top."""


def _listings(images: Sequence[oci.Image]) -> list[Listings]:
    """Return the entries of the layers of each image.

    Common layers are read only if the layers above them have different paths. Usually only the
    model differs, and they are not needed.
    """
    pairs = zip(*(image.layers for image in images), strict=False)
    common = sum(1 for _ in takewhile(lambda pair: pair[0].diff_id == pair[1].diff_id, pairs))
    tops = [_layer_listings(image.layers[common:]) for image in images]
    if _paths(tops[0]) == _paths(tops[1]) and not any(map(_has_marks, tops)):
        return tops
    below = _layer_listings(images[0].layers[:common])
    return [[*below, *top] for top in tops]


def _layer_listings(layers: Sequence[oci.Layer]) -> Listings:
    return [(layer.diff_id, filesystem.layer_listing(layer)) for layer in layers]


def _paths(listings: Listings) -> set[str]:
    return {entry.path for _, entries in listings for entry in entries}


def _has_marks(listings: Listings) -> bool:
    """Return whether layers remove files of lower ones."""
    return any(WHITEOUT in path for path in _paths(listings))


def _with_files(side: Side, listings: Listings) -> Side:
    assert side.image is not None  # noqa: S101 - only images have listings
    known = dict(listings)
    parts = tuple(_with_size(part, known.get(part.diff_id)) for part in side.image.layers)
    files = filesystem.merge_layers(entries for _, entries in listings)
    return replace(side, image=replace(side.image, layers=parts, files=files))


def _with_error(side: Side, why: str) -> Side:
    return replace(side, image=side.image and replace(side.image, unread=why))


def _with_size(part: LayerSummary, entries: Sequence[filesystem.Entry] | None) -> LayerSummary:
    """Return the layer with the size of its tar if its stored size is not known."""
    if part.size is not None or entries is None:
        return part
    blocks = sum(1 + -(-entry.size // _BLOCK) for entry in entries)
    return replace(part, size=(blocks + 2) * _BLOCK)
