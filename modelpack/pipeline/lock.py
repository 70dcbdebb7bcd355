"""`lock` and `lock --download`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modelpack import files
from modelpack.bundle import manifest
from modelpack.engines import DebianPackages, StepEvent
from modelpack.environment import wheelhouse as house
from modelpack.errors import UsageError
from modelpack.types import Environment, ModelSpec

from .compiled import prepare
from .stages import Pipeline


def lock(
    run: Pipeline, paths: Sequence[str | Path], output: Path | None, download: Path | None
) -> Environment:
    """Lock the environment of a model.

    The lock is written to the file `output`, a wheelhouse to the folder `download`, if given.

    Raises:
        ModelpackError: As `package`.
        UsageError: `output` cannot be written, or a download is requested offline.
    """
    if download and run.options.offline:
        raise UsageError("A wheelhouse cannot be downloaded offline.", hint="Leave out --offline.")
    with prepare(run, paths) as (run, model, _):  # noqa: PLR1704 - the run of what follows
        resolved = download_wheelhouse(run, model, download) if download else run.resolve(model)[0]
    if output:
        _write(output, resolved.lock)
    return resolved


def _write(path: Path, text: str) -> None:
    try:
        with files.atomic_writer(path) as stream:
            stream.write(text.encode())
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}.", hint="Choose another file with -o."
        ) from error


def download_wheelhouse(run: Pipeline, model: ModelSpec, folder: Path) -> Environment:
    """Lock the environment of a model, and fill `folder` with all that an offline build needs.

    Raises:
        ModelpackError: The environment cannot be locked, downloaded or written.
    """
    resolved, base = run.resolve(model)
    stages = manifest.debian_packages(model, resolved)
    step = run.observer.step
    with run.stage("download") as summary:
        house.fill(folder, resolved, base, run.index, lambda name, _: step(StepEvent(name, "done")))
        packages, debian = DebianPackages(base, resolved.platform, stages), folder / house.DEBIAN
        run.engine.builder.download_debian_packages(packages, debian, run.index, step)
        house.write_manifest(folder)
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        summary.append(f"{len(sizes)} files, {sum(sizes) / 1e6:.0f} MB")
    if stages and run.engine.images is None:
        names = ", ".join(name for stage in stages.values() for name in stage)
        run.observer.notice(f"Without Docker, no Debian packages were fetched: {names}.")
    return resolved
