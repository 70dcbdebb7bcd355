"""From a Dockerfile to an image: the base's layers, then one for each COPY of its last stage."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from modelpack import dockerfile
from modelpack.assembly.files import MTIME
from modelpack.dockerfile import Instruction, Stage, not_understood
from modelpack.engines.embedded import blobs, copying, extraction, metadata
from modelpack.engines.embedded.bases import Base
from modelpack.engines.embedded.blobs import Kept
from modelpack.engines.embedded.commands import Tools
from modelpack.engines.embedded.items import Item
from modelpack.engines.embedded.stages import Stages
from modelpack.engines.protocol import OnStep, StepEvent


@dataclass(frozen=True)
class Assembled:
    """`config`: the document of the image's configuration. `layers`: bottom to top."""

    config: Mapping[str, Any]
    layers: tuple[Kept, ...]


def assemble(stages: Sequence[Stage], tools: Tools, scratch: Path, on_step: OnStep) -> Assembled:
    """Makes what is not in the cache already. `scratch`: an empty folder to work in.

    Raises:
        BuildFailedError: the Dockerfile has something that takes a container.
        UsageError: a layer of the base is damaged.
    """
    base = tools.base.image
    is_kept = dockerfile.chain(stages, stages[-1])[0].base != "scratch"
    below = [blobs.of_base(layer) for layer in base.layers if is_kept]
    config = metadata.inherited(base.config.get("config") or {} if is_kept else {})
    history = [dict(entry) for entry in base.config.get("history") or [] if is_kept]
    made = Stages(stages, tools, scratch)
    ours: list[Kept] = []
    for step in dockerfile.steps(stages, stages[-1]):
        if step.name == "COPY":
            workdir = config.get("WorkingDir") or "/"
            ours.append(_layer(step, made, workdir, tools, on_step))
        elif not metadata.apply(config, step):
            raise not_understood(step, "it makes a layer of what a container does")
        history.append(_told(step))
    return Assembled(_document(base.config, config, history, [*below, *ours]), (*below, *ours))


def wants_wheels(stages: Sequence[Stage], tools: Tools) -> bool:
    """Whether a layer has to be made that takes the wheels of the lock.

    Raises:
        BuildFailedError: the Dockerfile has something that takes a container.
    """
    made = Stages(stages, tools, Path())
    copies = [step for step in dockerfile.steps(stages, stages[-1]) if step.name == "COPY"]
    return any(made.takes_wheels(step) and blobs.find(made.key(step)) is None for step in copies)


def _layer(step: Instruction, made: Stages, workdir: str, tools: Tools, on_step: OnStep) -> Kept:
    key = made.key(step)
    kept = blobs.find(key)
    if kept is not None:
        on_step(StepEvent(str(step), "cached"))
        return kept
    on_step(StepEvent(str(step), "started"))
    began = time.perf_counter()
    items = copying.copied(step, made.source(step), workdir)
    everything = [*_folders_above(items, tools.base.root), *_own_links(items, tools.base)]
    kept = blobs.make(key, (item.member() for item in everything))
    on_step(StepEvent(str(step), "done", time.perf_counter() - began))
    return kept


def _own_links(items: Sequence[Item], base: Base) -> Iterator[Item]:
    """Links that were taken from the unpacked base say again what they say in the image."""
    for item in items:
        is_link = item.source is not None and item.source.is_symlink()
        yield replace(item, target=base.links.get(item.path)) if is_link else item


def _folders_above(items: Sequence[Item], root: Path) -> Iterator[Item]:
    """The folders that they are in, and that the base has not."""
    there = {item.path for item in items}
    above = {str(parent) for item in items for parent in Path(item.path).parents} - {"."}
    for path in sorted(above - there):
        if not extraction.resolve(root, path).is_dir():
            yield Item(path, None, 0o755, MTIME)


def _document(
    base: Mapping[str, Any],
    config: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    layers: Sequence[Kept],
) -> dict[str, Any]:
    kept = ("architecture", "os", "variant", "os.version", "os.features")
    return {
        **{name: base[name] for name in kept if name in base},
        "created": _now(),
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": history,
    }


def _told(step: Instruction) -> dict[str, Any]:
    entry = {"created": _now(), "created_by": str(step), "comment": "modelpack"}
    return entry if step.name == "COPY" else {**entry, "empty_layer": True}


def _now() -> str:
    """Source: https://reproducible-builds.org/docs/source-date-epoch/"""
    seconds = os.environ.get("SOURCE_DATE_EPOCH", "")
    moment = int(seconds) if seconds.isdigit() else MTIME
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
