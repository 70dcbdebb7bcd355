"""Executes the stages of a build plan."""

from __future__ import annotations

import hashlib
import stat
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from modelpack.dockerfile import BASE, absolute_path
from modelpack.engines.daemonless import config as daemonless_config
from modelpack.engines.daemonless.base_images import UnpackedBase
from modelpack.engines.daemonless.copy import Context, copied_items, copy_items
from modelpack.engines.daemonless.plan import (
    Assemble,
    BuildPlan,
    Command,
    Configure,
    Copy,
    FetchWheels,
    Run,
    Step,
    UnpackDebian,
)
from modelpack.errors import BuildFailedError

_WHEELS = "wheels"


@dataclass(frozen=True)
class BuildContext:
    """The input of a build.

    Attributes:
        wheels: Directory with `wheels/*.whl` of the lock file and `debian/STAGE/*.deb`; None if the
            build needs neither.
    """

    files: Context
    base: UnpackedBase
    wheels: Path | None

    def debian_packages(self, stage: str) -> Path | None:
        """Return the directory of the downloaded packages, which may be empty."""
        directory = self.wheels and self.wheels / "debian" / stage
        return directory if directory and directory.is_dir() else None


class StageBuilder:
    """Builds each stage once, when something is copied from it, below the directory `scratch`."""

    def __init__(self, plan: BuildPlan, context: BuildContext, scratch: Path) -> None:
        self._plan = plan
        self._context = context
        self._scratch = scratch
        self._keys: dict[str, str] = {}
        self._built: dict[str, Context] = {}

    def source(self, copy: Copy) -> Context:
        """Return the directory that contains the sources of a COPY."""
        return self._stage_files(copy.stage) if copy.stage else self._context.files

    def key(self, copy: Copy) -> str:
        """Return a digest of everything that determines the result of a COPY.

        Layers are cached by it, so its text is part of the format of the cache.
        """
        if copy.stage:
            return _digest([str(copy.instruction), self._stage_key(copy.stage)])
        return _digest([str(copy.instruction), *self._contents(copy.sources)])

    def _stage_key(self, name: str) -> str:
        if name not in self._keys:
            parts = [self._context.base.identity]
            for step in self._plan.stages[name]:
                parts += self._step_key(step)
            self._keys[name] = _digest(parts)
        return self._keys[name]

    def _step_key(self, step: Step) -> list[str]:
        if isinstance(step, Copy):
            return [self.key(step)]
        if isinstance(step, Configure):
            return [str(step.instruction)]
        read = [mount.source for mount in step.mounts if not mount.stage]
        unpacked = [command for command in step.commands if isinstance(command, UnpackDebian)]
        return [
            str(step.instruction),
            *self._contents(read, with_times=False),
            *(text for command in unpacked for text in self._packages(command)),
            *map(self._stage_key, step.stages),
        ]

    def _packages(self, command: UnpackDebian) -> list[str]:
        directory = self._context.debian_packages(command.stage)
        paths = sorted(directory.glob("*.deb")) if directory else []
        return [_description(path.name, path, with_time=False) for path in paths]

    def _contents(self, sources: Iterable[str], *, with_times: bool = True) -> list[str]:
        """Describe the files of the build context. Mounted ones are not copied with their times."""
        items = [item for source in sources for item in self._context.files.files(source)]
        return [_description(name, path, with_time=with_times) for name, path in items]

    def _stage_files(self, name: str) -> Context:
        if name not in self._built:
            root = Path(tempfile.mkdtemp(dir=self._scratch))
            self._build(name, root)
            self._built[name] = Context(root)
        return self._built[name]

    def _build(self, name: str, root: Path) -> None:
        config: daemonless_config.Config = {}
        for step in self._plan.stages[name]:
            workdir = daemonless_config.workdir(config)
            if isinstance(step, Configure):
                daemonless_config.apply_instruction(config, step.instruction)
            elif isinstance(step, Copy):
                copy_items(copied_items(step, self.source(step), workdir), root)
            else:
                self._run(step, _StageFiles(root, absolute_path("", workdir)))

    def _run(self, run: Run, files: _StageFiles) -> None:
        for mount in run.mounts:
            target = absolute_path(mount.target, "/")
            if mount.stage == BASE:
                files.mounted[target] = self._context.base.root
            elif mount.stage:
                files.mounted[target] = self._stage_files(mount.stage).path(mount.source)
            else:  # copied, as .dockerignore may exclude neighbours
                copy = Copy(run.instruction, (mount.source,), mount.target)
                copy_items(copied_items(copy, self._context.files, "/"), files.root)
        for command in run.commands:
            self._execute(command, files)

    def _execute(self, command: Command, files: _StageFiles) -> None:
        if isinstance(command, FetchWheels):
            assert self._context.wheels is not None  # noqa: S101 - see DaemonlessBuilder.needs_wheels
            files.mounted[_WHEELS] = self._context.wheels / _WHEELS
        elif isinstance(command, Assemble):
            paths = [files.path(name) for name in command.paths]
            self._assemble(command.module, paths, files, [*files.mounted.values()])
        else:
            self._unpack(command, files)

    def _unpack(self, command: UnpackDebian, files: _StageFiles) -> None:
        directory = self._context.debian_packages(command.stage)
        if directory is None:
            raise BuildFailedError(
                f"These Debian packages of the image are missing: {' '.join(command.names)}.",
                hint="Run modelpack lock MODEL --download DIR on a machine with Docker, then build"
                " with --offline DIR; or build with --engine docker or podman.",
            )
        paths = [files.path("/debian"), self._context.base.root, directory]
        self._assemble("debian", paths, files, [directory])

    def _assemble(
        self, module: str, paths: Sequence[Path], files: _StageFiles, readable: Sequence[Path]
    ) -> None:
        workdir = files.root / files.workdir
        self._context.base.assemble(module, [*map(str, paths)], workdir, files.root, readable)


@dataclass(frozen=True)
class _StageFiles:
    """The files of a stage. `mounted`: path in it -> path on this machine, if not below `root`."""

    root: Path
    workdir: str
    mounted: dict[str, Path] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        relative = absolute_path(name, "/")
        return self.mounted.get(relative, self.root / relative)


def _description(name: str, path: Path, *, with_time: bool) -> str:
    status = path.lstat()
    time = str(int(status.st_mtime)) if with_time else ""
    if path.is_symlink():
        content = str(path.readlink())
    elif path.is_dir():
        content = ""
    else:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    return "\0".join([name, oct(stat.S_IMODE(status.st_mode)), time, content])


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
