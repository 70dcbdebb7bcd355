"""The wheelhouse a build needs: completeness checks and temporary downloads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from modelpack import cache, processes
from modelpack.bundle import manifest
from modelpack.engines import DebianPackages, Engine, OnStep, StepEvent
from modelpack.environment import wheelhouse as house
from modelpack.types import Bundle, IndexSettings


@contextmanager
def build_index(
    engine: Engine, bundle: Bundle, index: IndexSettings, on_step: OnStep, *, offline: bool = False
) -> Iterator[IndexSettings]:
    """Yield the index that the engine builds with.

    An engine that cannot query an index gets a temporary folder with the wheels.

    `index` is that of the user. `offline`: download no Debian packages.

    Raises:
        ModelpackError: A download fails, or the engine cannot build the bundle.
    """
    if not engine.builder.needs_wheels(bundle):
        yield index
        return
    with processes.temporary_directory(".wheels-", cache.directory("wheels")) as folder:
        on_file = partial(_report_done, on_step)
        house.collect_wheels(folder, bundle.environment, index, on_file)
        stages = manifest.debian_packages(bundle.model, bundle.environment)
        if stages and not offline:
            base, platform = manifest.base_image(bundle), bundle.environment.platform
            packages = DebianPackages(base, platform, stages)
            engine.builder.download_debian_packages(packages, folder / house.DEBIAN, index, on_step)
        yield replace(index, wheelhouse=str(folder))


def _report_done(step: OnStep, name: str, _: int) -> None:
    step(StepEvent(name, "done"))


def require_complete(folder: Path, bundle: Bundle, engine: Engine) -> None:
    """Raise a ModelpackError unless a wheelhouse has all that the build of the bundle needs."""
    locked = bundle.environment
    house.require_fit(folder, locked.python, locked.platform)
    house.require_files(folder, locked)
    if engine.images:
        house.require_debian(folder, manifest.debian_packages(bundle.model, locked))
