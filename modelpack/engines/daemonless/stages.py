"""Executes stages: COPY, and the RUN commands of a build plan.

What a stage copies is copied. What it runs is one of a few commands that modelpack itself writes
(`commands.py`), which are followed here in another way; any other is refused.
"""

from __future__ import annotations

import hashlib
import re
import stat
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from modelpack import dockerfile
from modelpack.dockerfile import Instruction, Stage, unsupported_instruction
from modelpack.engines.daemonless import config as daemonless_config
from modelpack.engines.daemonless import copy as daemonless_copy
from modelpack.engines.daemonless.base_images import UnpackedBase
from modelpack.engines.daemonless.copy import Context, copy_items, path
from modelpack.errors import BuildFailedError

_NEEDLESS = {"ARG TARGETARCH"}  # for commands that are followed in another way


class StageBuilder:
    """Made when something is copied from them, each once, below the folder `scratch`."""

    def __init__(self, stages: Sequence[Stage], tools: BuildContext, scratch: Path) -> None:
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
        takes = [needs_wheels(step) for step in steps if step.name == "RUN"]
        takes += [self._takes(step, other) for step in steps for other in _mounted_stages(step)]
        return any(takes)  # each has been looked at

    def _stage(self, instruction: Instruction, name: str) -> Stage:
        if name not in self._stages:
            raise unsupported_instruction(instruction, f"there is no stage {name!r}")
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
        work = StageBuild(root, {}, self._tools, self._of_stage)
        for instruction in self._steps(stage):
            if instruction.name == "COPY":
                workdir = work.config.get("WorkingDir") or "/"
                copy_items(
                    daemonless_copy.copied_items(instruction, self.source(instruction), workdir),
                    root,
                )
            elif instruction.name == "RUN":
                run_instruction(instruction, work)
            elif str(instruction) not in _NEEDLESS and not daemonless_config.apply_instruction(
                work.config, instruction
            ):
                raise unsupported_instruction(instruction, "it is not known")


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


def _packages(instruction: Instruction, tools: BuildContext) -> list[str]:
    """The Debian packages that a RUN unpacks."""
    folder = packages(instruction, tools) if instruction.name == "RUN" else None
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


# `python -m modelpack.assembly.NAME` is run as it stands, by the interpreter of the base image or
# by one that writes the same byte code; that pip fetches wheels has been done before the build.
_WHEELS = "wheels"
_MOUNT = re.compile(r"mount=type=bind,source=([^,]+),target=/([^,]+)")
_MOUNT_OF = re.compile(r"mount=type=bind,from=([a-z]+)(?:,source=/([^,]+))?,target=/([^,]+)")
_UNSEEN = re.compile(
    r"mount=type=(secret,id=(pip_conf|ca|netrc)(,mode=0444)?|cache,target=/root/\.cache/pip"
    r"|bind,from=wheelhouse,target=/wheelhouse|bind,source=requirements\.lock,target=/tmp/\S+)"
)


@dataclass(frozen=True)
class BuildContext:
    """`wheels`: the folder with what is not in the bundle: wheels/*.whl as the lock names them, and
    debian/STAGE/*.deb; None where that was not needed.
    """

    context: Context
    base: UnpackedBase
    wheels: Path | None


@dataclass
class StageBuild:
    """A stage under way. `root`: the folder with its files; `config`: its user and variables;
    `folder`: gives that of another stage; `places`: path in the stage -> where that lies, other
    than below `root`.
    """

    root: Path
    config: dict[str, Any]
    tools: BuildContext
    folder: Callable[[str], Path]
    places: dict[str, Path] = field(default_factory=dict)

    def place(self, name: str) -> Path:
        return self.places.get(path(name, "/"), self.root / path(name, "/"))


Act = Callable[[StageBuild, re.Match[str]], None]


def run_instruction(instruction: Instruction, work: StageBuild) -> None:
    """Does what the RUN instruction is for.

    Raises:
        BuildFailedError: it runs anything else, or that failed.
    """
    _mount(instruction, work)
    for act, match in _acts(instruction):
        act(work, match)


def needs_wheels(instruction: Instruction) -> bool:
    """Whether it takes what is not in the bundle: wheels, or Debian packages.

    Raises:
        BuildFailedError: it runs what is not known.
    """
    acts = [act for act, _ in _acts(instruction)]
    return _fetched in acts or _DEBIAN.fullmatch(_text(instruction)) is not None


def packages(instruction: Instruction, tools: BuildContext) -> Path | None:
    """The folder of the Debian packages that it unpacks, where it does and they are here."""
    match = _DEBIAN.fullmatch(_text(instruction))
    folder = match and tools.wheels and tools.wheels / "debian" / match[1]
    return folder if folder and folder.is_dir() else None


def _acts(instruction: Instruction) -> list[tuple[Act, re.Match[str]]]:
    if debian := _DEBIAN.fullmatch(_text(instruction)):
        return [(partial(_unpacked, instruction), debian)]
    found: list[tuple[Act, re.Match[str]]] = []
    for command in _text(instruction).split(" && "):
        known = [
            (act, match) for pattern, act in _COMMANDS if (match := pattern.fullmatch(command))
        ]
        if not known:
            raise unsupported_instruction(instruction, "its command takes a container")
        found += known
    return found


def _text(instruction: Instruction) -> str:
    return " ".join(instruction.text.split())


def _mount(instruction: Instruction, work: StageBuild) -> None:
    for flag in instruction.flags:
        if _UNSEEN.fullmatch(flag):
            continue
        if match := _MOUNT_OF.fullmatch(flag):
            source = work.tools.base.root if match[1] == "base" else work.folder(match[1])
            work.places[match[3]] = source / (match[2] or "")
        elif match := _MOUNT.fullmatch(flag):
            _show(instruction, work, match[1], match[2])
        else:
            raise unsupported_instruction(instruction, f"--{flag} is not known")


def _show(instruction: Instruction, work: StageBuild, source: str, target: str) -> None:
    """Copies, as what is left out of the context may lie beside."""
    command = Instruction("COPY", (), f"{source} /{target}", instruction.line)
    items = daemonless_copy.copied_items(command, work.tools.context, "/")
    copy_items(items, work.root)


def _fetched(work: StageBuild, _: re.Match[str]) -> None:
    assert work.tools.wheels is not None  # noqa: S101 - DaemonlessEngine.wants_wheels has asked for them
    work.places[_WHEELS] = work.tools.wheels / _WHEELS


def _unpacked(instruction: Instruction, work: StageBuild, match: re.Match[str]) -> None:
    folder = packages(instruction, work.tools)
    if folder is None:
        raise BuildFailedError(
            f"The image takes Debian packages, {match[2].strip()}, and they are not given.",
            hint="Give them in a wheelhouse (modelpack lock MODEL --download DIR, where Docker is;"
            " then --offline DIR), or use --engine docker or podman.",
        )
    arguments = [str(work.place("/debian")), str(work.tools.base.root), str(folder)]
    _assemble(work, "debian", arguments, [folder])


def _removed(_: StageBuild, __: re.Match[str]) -> None:
    """Nothing: it is not in the way here."""


def _assembled(work: StageBuild, match: re.Match[str]) -> None:
    module, *names = match[1].split()
    _assemble(work, module, [str(work.place(name)) for name in names], [*work.places.values()])


def _assemble(work: StageBuild, module: str, arguments: list[str], seen: Sequence[Path]) -> None:
    folder = work.place(work.config.get("WorkingDir") or "/")
    work.tools.base.assemble(module, arguments, folder, work.root, seen)


_DEBIAN = re.compile(
    r'debs=/wheelhouse/debian/(image); if ! test -d "\$debs"; then .*'
    r"--download-only ([\w.+: -]+); fi"
    r' && python -m modelpack\.assembly\.debian /debian /base "\$debs" && rm -rf /debs \S+'
)
_COMMANDS: tuple[tuple[re.Pattern[str], Act], ...] = (
    (re.compile(r"python -m modelpack\.assembly\.([a-z]+(?: /[\w/.-]*)+)"), _assembled),
    (
        re.compile(
            r"python -m pip download --requirement /tmp/requirements\.lock --require-hashes"
            r" --only-binary :all: --no-deps --dest /wheels"
            r"(?: --python-version [\d.]+ --implementation cp)?"
            r" \$\(test ! -s /run/secrets/ca \|\| echo --cert /run/secrets/ca\)"
        ),
        _fetched,
    ),
    (re.compile(r"rm -r /wheels"), _removed),
)
