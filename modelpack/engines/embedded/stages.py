"""The stages of a Dockerfile, made without containers: each a folder of what it adds to its base.

What a stage copies is copied. What it runs is one of a few commands that modelpack itself writes
(`commands.py`), which are followed here in another way; any other is refused.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from modelpack import dockerfile
from modelpack.dockerfile import Instruction, Stage, not_understood
from modelpack.engines.embedded import commands, copying, metadata
from modelpack.engines.embedded.commands import Tools, Work
from modelpack.engines.embedded.context import Context
from modelpack.engines.embedded.items import Item

_NEEDLESS = {"ARG TARGETARCH"}  # for commands that are followed in another way


class Stages:
    """Made when something is copied from them, each once, below the folder `scratch`."""

    def __init__(self, stages: Sequence[Stage], tools: Tools, scratch: Path) -> None:
        self._stages = {stage.name or str(at): stage for at, stage in enumerate(stages)}
        self._tools = tools
        self._scratch = scratch
        self._keys: dict[str, str] = {}
        self._made: dict[str, Context] = {}

    def source(self, instruction: Instruction) -> Context:
        """Where the files lie that a COPY is of."""
        name = instruction.flag("from")
        return self._tools.context if name is None else self._folder(instruction, name.lower())

    def key(self, instruction: Instruction) -> str:
        """A digest of all that the outcome of a COPY depends on, known before it is made."""
        name = instruction.flag("from")
        if name is not None:
            return _digest([str(instruction), self._key(instruction, name.lower())])
        *sources, _ = instruction.array() or instruction.text.split()
        return _digest([str(instruction), *self._contents(sources)])

    def takes_wheels(self, instruction: Instruction) -> bool:
        """Whether making what is copied takes the wheels of the lock.

        Raises:
            BuildFailedError: making it would take a container.
        """
        name = instruction.flag("from")
        return name is not None and self._takes(instruction, name.lower())

    def _takes(self, instruction: Instruction, name: str) -> bool:
        steps = self._steps(self._stage(instruction, name))
        takes = [commands.takes_wheels(step) for step in steps if step.name == "RUN"]
        takes += [self._takes(step, other) for step in steps for other in _mounted_stages(step)]
        return any(takes)  # each has been looked at

    def _stage(self, instruction: Instruction, name: str) -> Stage:
        if name not in self._stages:
            raise not_understood(instruction, f"there is no stage {name!r}")
        return self._stages[name]

    def _key(self, instruction: Instruction, name: str) -> str:
        if name not in self._keys:
            stage = self._stage(instruction, name)
            parts = [self._tools.base.identity]
            for step in self._steps(stage):
                parts.append(self.key(step) if step.name == "COPY" else str(step))
                parts += self._contents(_mounted(step), timeless=True)
                parts += _packages(step, self._tools)
                parts += [self._key(step, other) for other in _mounted_stages(step)]
            self._keys[name] = _digest(parts)
        return self._keys[name]

    def _of_stage(self, name: str) -> Path:
        return self._folder(Instruction("RUN", (), f"--from={name}", 0), name).folder

    def _steps(self, stage: Stage) -> list[Instruction]:
        return dockerfile.steps([*self._stages.values()], stage)

    def _contents(self, sources: Iterable[str], *, timeless: bool = False) -> list[str]:
        """`timeless`: of what is read only, and not copied with its times."""
        found = [item for source in sources for item in self._tools.context.files(source)]
        return [_described(name, path, timeless=timeless) for name, path in found]

    def _folder(self, instruction: Instruction, name: str) -> Context:
        if name not in self._made:
            root = Path(tempfile.mkdtemp(dir=self._scratch))
            self._make(self._stage(instruction, name), root)
            self._made[name] = Context(root)
        return self._made[name]

    def _make(self, stage: Stage, root: Path) -> None:
        work = Work(root, {}, self._tools, self._of_stage)
        for instruction in self._steps(stage):
            if instruction.name == "COPY":
                workdir = work.config.get("WorkingDir") or "/"
                put(copying.copied(instruction, self.source(instruction), workdir), root)
            elif instruction.name == "RUN":
                commands.follow(instruction, work)
            elif str(instruction) not in _NEEDLESS and not metadata.apply(work.config, instruction):
                raise not_understood(instruction, "it is not known")


def put(items: Iterable[Item], root: Path) -> None:
    """Copies them below `root`, with their modes and times."""
    folders: list[Item] = []
    for item in items:
        target = root / item.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if item.source is None or item.is_folder:
            target.mkdir(exist_ok=True)
            folders.append(item)
        else:
            shutil.copyfile(item.source, target, follow_symlinks=False)
            _set(target, item)
    for item in reversed(folders):  # after what is in them
        _set(root / item.path, item)


def _set(target: Path, item: Item) -> None:
    if not target.is_symlink():
        target.chmod(item.mode)
    os.utime(target, (item.mtime, item.mtime), follow_symlinks=False)


def _mounted(instruction: Instruction) -> list[str]:
    """The files of the context that a RUN sees."""
    mounts = [flag for flag in instruction.flags if flag.startswith("mount=type=bind,")]
    return [
        match[1]
        for mount in mounts
        if "from=" not in mount and (match := re.search(r"source=([^,]+)", mount))
    ]


def _mounted_stages(instruction: Instruction) -> list[str]:
    """Those that a RUN sees the files of, beside the base image and what was fetched before."""
    found = re.findall(r"from=([a-z-]+)", " ".join(instruction.flags))
    return [name for name in found if name not in {"base", "wheelhouse"}]


def _packages(instruction: Instruction, tools: Tools) -> list[str]:
    """The Debian packages that a RUN unpacks."""
    folder = commands.packages(instruction, tools) if instruction.name == "RUN" else None
    found = sorted(folder.glob("*.deb")) if folder else []
    return [_described(path.name, path, timeless=True) for path in found]


def _described(name: str, path: Path, *, timeless: bool) -> str:
    found = path.lstat()
    time = "" if timeless else str(int(found.st_mtime))
    facts = [name, oct(stat.S_IMODE(found.st_mode)), time]
    if path.is_symlink():
        content = str(path.readlink())
    elif path.is_dir():
        content = ""
    else:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    return "\0".join([*facts, content])


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
