"""Wheelhouses in the flow: made of a lock, and looked into before a build without a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from modelpack import files, processes
from modelpack.bundle import manifest
from modelpack.engines import DebianPackages, Engine, OnStep, StepEvent
from modelpack.environment import wheelhouse as house
from modelpack.types import Bundle, Environment, IndexSettings, ModelSpec

if TYPE_CHECKING:
    from .run import Run


def download(run: Run, model: ModelSpec, folder: Path) -> Environment:
    """The environment of a model, and in `folder` all that `offline` takes to build with it.

    Raises:
        ModelpackError: it cannot be locked, had or written.
    """
    resolved, base = run.resolve(model)
    stages = manifest.debian_packages(model, resolved)
    step = run.observer.step
    with run.stage("download") as summary:
        house.fill(folder, resolved, base, run.index, lambda name, _: step(StepEvent(name, "done")))
        packages = DebianPackages(base, resolved.platform, stages)
        run.engine.fetch_debian(packages, folder / house.DEBIAN, run.index, step)
        house.write_manifest(folder)
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        summary.append(f"{len(sizes)} files, {sum(sizes) / 1e6:.0f} MB")
    if stages and run.engine.name == "process":
        names = ", ".join(name for stage in stages.values() for name in stage)
        run.observer.notice(f"Without Docker, no Debian packages were fetched: {names}.")
    return resolved


@contextmanager
def for_engine(run: Run, bundle: Bundle) -> Iterator[IndexSettings]:
    """What the engine builds with: the index, or for one that has no way to ask it a folder with
    the wheels.

    Raises:
        ModelpackError: they cannot be had, or the engine cannot build the bundle.
    """
    if not run.engine.wants_wheels(bundle):
        yield run.index
        return
    with processes.scratch_folder(".wheels-", files.folder("wheels")) as folder:
        told = partial(_fetched, run.observer.step)
        house.collect_wheels(folder, bundle.environment, run.index, told)
        stages = manifest.debian_packages(bundle.model, bundle.environment)
        if stages and not run.options.offline:
            base, platform = manifest.base_of(bundle), bundle.environment.platform
            packages = DebianPackages(base, platform, stages)
            run.engine.fetch_debian(packages, folder / house.DEBIAN, run.index, run.observer.step)
        yield replace(run.index, wheelhouse=str(folder))


def _fetched(step: OnStep, name: str, _: int) -> None:
    step(StepEvent(name, "done"))


def require_complete(folder: Path, bundle: Bundle, engine: Engine) -> None:
    """Raises:
    ModelpackError: the wheelhouse lacks something that building the bundle takes.
    """
    locked = bundle.environment
    house.require_fit(folder, locked.python, locked.platform)
    house.require_files(folder, locked)
    if engine.name != "process":
        house.require_debian(folder, manifest.debian_packages(bundle.model, locked))
