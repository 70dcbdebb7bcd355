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
    verdict,
    without,
)

_MOST_FILES = 1_000  # listed by name; all are counted
_WORDS = {
    "added": "added",
    "removed": "removed",
    "changed": "changed",
    "metadata": "of other mode or owner",
    "times": "of another time",
}
_SETTINGS = ("User", "Entrypoint", "Cmd", "WorkingDir", "ExposedPorts", "Volumes", "StopSignal",
             "Healthcheck")  # fmt: skip


def compare(old: Side, new: Side) -> ImageSection:
    if old.image is None or new.image is None:
        which = without(old.image, new.image)
        why = f"{which} {'are no images' if ' ' in which else 'is no image'}"
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
        return f"all {counted(layers.same, 'layer')} and the configuration the same"
    told = [f"{layers.added} of {counted(layers.added + layers.same, 'layer')} new"]
    if layers.added and layers.pull_bytes is not None:
        how = "" if layers.compressed else " uncompressed"
        told[0] += f", {size(layers.pull_bytes)}{how} to pull"
    other = {change.what for change in changes} - {"layer", "file", "files"}
    told += [f"{what}s" for what in sorted(other)]
    return "; ".join(told)


def _counts(files: Files) -> str:
    told = [f"{count:,} {_WORDS[name]}" for name, count in vars(files).items() if count]
    return ", ".join(told)


def size(count: int) -> str:
    """Bytes in words: "5.4 kB"."""
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
    old, new = old or None, new or None  # some engines write what is empty, others nothing
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
    """By `diff_id`: whoever has OLD pulls those that are new."""
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
    """How many differ, and those, the largest first; of files that differ by time alone no more
    than their number.
    """
    if old.files is None or new.files is None:
        return None, ()
    found = [
        (change, max(entry.size for entry in (was, now) if entry))
        for change, was, now in _each_file(old.files, new.files)
    ]
    notes = [change.note for change, _ in found]
    kinds = [change.kind for change, _ in found]
    times, metadata = notes.count("time"), notes.count("mode or owner")
    files = Files(
        added=kinds.count("added"),
        removed=kinds.count("removed"),
        changed=kinds.count("changed") - times - metadata,
        metadata=metadata,
        times=times,
    )
    listed = sorted(found, key=lambda pair: (-pair[1], pair[0].name))
    shown = [change for change, _ in listed if change.note != "time"][:_MOST_FILES]
    counts = [Change("changed", "files", new=_counts(files))] if found else []
    return files, (*counts, *shown)


def _each_file(
    old: Mapping[str, Entry], new: Mapping[str, Entry]
) -> Iterator[tuple[Change, Entry | None, Entry | None]]:
    """Directories count by mode and owner alone: their times change with what is in them."""
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
    """In which way two entries differ, as a note; None where it is no difference of files."""
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
    """Without its files, which take reading the layers."""
    parts = (
        LayerSummary(layer.diff_id, layer.created_by, layer.blob.size if layer.blob else None)
        for layer in image.layers
    )
    kept = [layer.blob.media_type for layer in image.layers if layer.blob]
    compressed = bool(kept) and all("gzip" in kind or "zstd" in kind for kind in kept)
    return ImageSummary(image.config, tuple(parts), compressed=compressed)


def add_file_listings(sides: Sequence[Side], images: Sequence[oci.Image | None]) -> list[Side]:
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
    return [(layer.diff_id, filesystem.layer_listing(layer)) for layer in layers]


def _paths(listings: Listings) -> set[str]:
    return {entry.path for _, entries in listings for entry in entries}


def _has_marks(listings: Listings) -> bool:
    """Whether something that is below is removed."""
    return any(WHITEOUT in path for path in _paths(listings))


def _read(side: Side, listings: Listings) -> Side:
    assert side.image is not None  # noqa: S101 - else nothing of it is read
    known = dict(listings)
    parts = tuple(_sized(part, known.get(part.diff_id)) for part in side.image.layers)
    files = filesystem.merge_layers(entries for _, entries in listings)
    return replace(side, image=replace(side.image, layers=parts, files=files))


def _unread(side: Side, why: str) -> Side:
    return replace(side, image=side.image and replace(side.image, unread=why))


def _sized(part: LayerSummary, entries: Sequence[filesystem.Entry] | None) -> LayerSummary:
    """With its size as a tar, where nothing tells the one that is kept."""
    if part.size is not None or entries is None:
        return part
    blocks = sum(1 + -(-entry.size // _BLOCK) for entry in entries)
    return replace(part, size=(blocks + 2) * _BLOCK)
