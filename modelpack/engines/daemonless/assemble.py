"""Base layers plus one layer per COPY."""

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
from modelpack.dockerfile import Instruction, Stage, unsupported_instruction
from modelpack.engines.daemonless import config as daemonless_config
from modelpack.engines.daemonless import copy, layer_cache, rootfs
from modelpack.engines.daemonless.base_images import UnpackedBase
from modelpack.engines.daemonless.copy import CopiedFile
from modelpack.engines.daemonless.layer_cache import CachedLayer
from modelpack.engines.daemonless.stages import BuildContext, StageBuilder
from modelpack.engines.protocol import OnStep, StepEvent


@dataclass(frozen=True)
class AssembledImage:
    """`config`: the document of the image's configuration. `layers`: bottom to top."""

    config: Mapping[str, Any]
    layers: tuple[CachedLayer, ...]


def assemble(
    stages: Sequence[Stage], tools: BuildContext, scratch: Path, on_step: OnStep
) -> AssembledImage:
    """Makes what is not in the cache already. `scratch`: an empty folder to work in.

    Raises:
        BuildFailedError: the Dockerfile has something that takes a container.
        UsageError: a layer of the base is damaged.
    """
    base = tools.base.image
    is_kept = dockerfile.chain(stages, stages[-1])[0].base != "scratch"
    below = [layer_cache.from_base_layer(layer) for layer in base.layers if is_kept]
    config = daemonless_config.inherit_config(base.config.get("config") or {} if is_kept else {})
    history = [dict(entry) for entry in base.config.get("history") or [] if is_kept]
    made = StageBuilder(stages, tools, scratch)
    ours: list[CachedLayer] = []
    for step in dockerfile.steps(stages, stages[-1]):
        if step.name == "COPY":
            workdir = config.get("WorkingDir") or "/"
            ours.append(_layer(step, made, workdir, tools, on_step))
        elif not daemonless_config.apply_instruction(config, step):
            raise unsupported_instruction(step, "it makes a layer of what a container does")
        history.append(_history_entry(step))
    return AssembledImage(_document(base.config, config, history, [*below, *ours]), (*below, *ours))


def wants_wheels(stages: Sequence[Stage], tools: BuildContext) -> bool:
    """Whether a layer has to be made that takes the wheels of the lock.

    Raises:
        BuildFailedError: the Dockerfile has something that takes a container.
    """
    made = StageBuilder(stages, tools, Path())
    copies = [step for step in dockerfile.steps(stages, stages[-1]) if step.name == "COPY"]
    return any(
        made.takes_wheels(step) and layer_cache.find(made.key(step)) is None for step in copies
    )


def _layer(
    step: Instruction, made: StageBuilder, workdir: str, tools: BuildContext, on_step: OnStep
) -> CachedLayer:
    key = made.key(step)
    kept = layer_cache.find(key)
    if kept is not None:
        on_step(StepEvent(str(step), "cached"))
        return kept
    on_step(StepEvent(str(step), "started"))
    began = time.perf_counter()
    items = copy.copied_items(step, made.source(step), workdir)
    everything = [*_folders_above(items, tools.base.root), *_own_links(items, tools.base)]
    kept = layer_cache.compress_layer(key, (item.member() for item in everything))
    on_step(StepEvent(str(step), "done", time.perf_counter() - began))
    return kept


def _own_links(items: Sequence[CopiedFile], base: UnpackedBase) -> Iterator[CopiedFile]:
    """Links that were taken from the unpacked base say again what they say in the image."""
    for item in items:
        is_link = item.source is not None and item.source.is_symlink()
        yield replace(item, target=base.links.get(item.path)) if is_link else item


def _folders_above(items: Sequence[CopiedFile], root: Path) -> Iterator[CopiedFile]:
    """The folders that they are in, and that the base has not."""
    there = {item.path for item in items}
    above = {str(parent) for item in items for parent in Path(item.path).parents} - {"."}
    for path in sorted(above - there):
        if not rootfs.resolve(root, path).is_dir():
            yield CopiedFile(path, None, 0o755, MTIME)


def _document(
    base: Mapping[str, Any],
    config: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    layers: Sequence[CachedLayer],
) -> dict[str, Any]:
    kept = ("architecture", "os", "variant", "os.version", "os.features")
    return {
        **{name: base[name] for name in kept if name in base},
        "created": _now(),
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": history,
    }


def _history_entry(step: Instruction) -> dict[str, Any]:
    entry = {"created": _now(), "created_by": str(step), "comment": "modelpack"}
    return entry if step.name == "COPY" else {**entry, "empty_layer": True}


def _now() -> str:
    """Source: https://reproducible-builds.org/docs/source-date-epoch/"""
    seconds = os.environ.get("SOURCE_DATE_EPOCH", "")
    moment = int(seconds) if seconds.isdigit() else MTIME
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
