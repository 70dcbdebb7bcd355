"""Base layers plus one layer per COPY."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from modelpack.assembly.files import MTIME
from modelpack.dockerfile import EPOCH
from modelpack.engines.daemonless import config as daemonless_config
from modelpack.engines.daemonless import layer_cache, rootfs
from modelpack.engines.daemonless.base_images import UnpackedBase
from modelpack.engines.daemonless.copy import CopiedFile, copied_items
from modelpack.engines.daemonless.layer_cache import CachedLayer
from modelpack.engines.daemonless.plan import BuildPlan, Configure, Copy
from modelpack.engines.daemonless.stages import BuildContext, StageBuilder
from modelpack.engines.protocol import OnStep, StepEvent


@dataclass(frozen=True)
class AssembledImage:
    """An image before it is stored. Its `layers` are ordered from bottom to top."""

    config: Mapping[str, Any]
    layers: tuple[CachedLayer, ...]


def assemble(
    plan: BuildPlan, context: BuildContext, scratch: Path, on_step: OnStep
) -> AssembledImage:
    """Build the layers that the cache does not contain, with temporary files in `scratch`.

    Raises:
        BuildFailedError: An instruction or a file is not supported.
        UsageError: A layer of the base is damaged.
    """
    base = context.base.image
    created = _created(plan)
    below = [layer_cache.from_base_layer(layer) for layer in base.layers if plan.is_on_base]
    inherited = base.config.get("config") or {} if plan.is_on_base else {}
    config = daemonless_config.inherit_config(inherited)
    history = [dict(entry) for entry in base.config.get("history") or [] if plan.is_on_base]
    copies: list[tuple[Copy, str]] = []
    for step in plan.image:
        if isinstance(step, Copy):
            copies.append((step, daemonless_config.workdir(config)))
        else:
            daemonless_config.apply_instruction(config, step.instruction)
        history.append(_history_entry(step, created))
    builder = StageBuilder(plan, context, scratch)
    ours = [_layer(copy, builder, workdir, context, on_step) for copy, workdir in copies]
    layers = (*below, *ours)
    parts = {"created": created, "config": config, "history": history}
    return AssembledImage(_document(base.config, parts, layers), layers)


def needs_wheels(plan: BuildPlan, context: BuildContext) -> bool:
    """Return whether a layer that the cache does not contain needs wheels or Debian packages."""
    builder = StageBuilder(plan, context, Path())
    copies = [step for step in plan.image if isinstance(step, Copy)]
    return any(
        plan.needs_wheels(copy) and not layer_cache.find(builder.key(copy)) for copy in copies
    )


def _layer(
    copy: Copy, builder: StageBuilder, workdir: str, context: BuildContext, on_step: OnStep
) -> CachedLayer:
    key, name = builder.key(copy), str(copy.instruction)
    cached = layer_cache.find(key)
    if cached is not None:
        on_step(StepEvent(name, "cached"))
        return cached
    on_step(StepEvent(name, "started"))
    began = time.perf_counter()
    items = copied_items(copy, builder.source(copy), workdir)
    members = [*_missing_parents(items, context.base.root), *_own_links(items, context.base)]
    layer = layer_cache.compress_layer(key, (item.member() for item in members))
    on_step(StepEvent(name, "done", time.perf_counter() - began))
    return layer


def _own_links(items: Sequence[CopiedFile], base: UnpackedBase) -> Iterator[CopiedFile]:
    """Restore the targets of links that were made relative when the base was unpacked."""
    for item in items:
        is_link = item.source is not None and item.source.is_symlink()
        yield replace(item, target=base.links.get(item.path)) if is_link else item


def _missing_parents(items: Sequence[CopiedFile], root: Path) -> Iterator[CopiedFile]:
    """Yield the parent directories that are neither copied nor in the base image."""
    paths = {item.path for item in items}
    parents = {str(parent) for item in items for parent in Path(item.path).parents} - {"."}
    for path in sorted(parents - paths):
        if not rootfs.resolve(root, path).is_dir():
            yield CopiedFile(path, None, 0o755, MTIME)


def _document(
    base: Mapping[str, Any], parts: Mapping[str, Any], layers: Sequence[CachedLayer]
) -> dict[str, Any]:
    names = ("architecture", "os", "variant", "os.version", "os.features")
    return {
        **{name: base[name] for name in names if name in base},
        **parts,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
    }


def _history_entry(step: Copy | Configure, created: str) -> dict[str, Any]:
    entry = {"created": created, "created_by": str(step.instruction), "comment": "modelpack"}
    return entry if isinstance(step, Copy) else {**entry, "empty_layer": True}


def _created(plan: BuildPlan) -> str:
    """Return the date of the image: that of SOURCE_DATE_EPOCH, or else of the Dockerfile."""
    seconds = os.environ.get(EPOCH, "")
    time_ = int(seconds) if seconds.isdigit() else plan.time
    return datetime.fromtimestamp(time_, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
