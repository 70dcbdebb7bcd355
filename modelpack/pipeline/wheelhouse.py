"""The wheelhouse a build needs: completeness checks and temporary downloads."""

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
from modelpack.types import Bundle, IndexSettings

if TYPE_CHECKING:
    from .stages import Pipeline


@contextmanager
def build_index(run: Pipeline, bundle: Bundle) -> Iterator[IndexSettings]:
    """What the engine builds with: the index, or for one that has no way to ask it a folder with
    the wheels.

    Raises:
        ModelpackError: they cannot be had, or the engine cannot build the bundle.
    """
    if not run.engine.wants_wheels(bundle):
        yield run.index
        return
    with processes.temporary_directory(".wheels-", files.cache_directory("wheels")) as folder:
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
