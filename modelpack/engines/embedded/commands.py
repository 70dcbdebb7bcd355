"""The commands that a Dockerfile of modelpack runs, and what is done here in their place.

`python -m modelpack.assembly.NAME` is run as it stands, by the interpreter of the base image or by
one that writes the same byte code; that pip fetches wheels has been done before the build.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from modelpack.dockerfile import Instruction, not_understood
from modelpack.engines.embedded.bases import Base
from modelpack.engines.embedded.context import Context
from modelpack.engines.embedded.copying import path
from modelpack.errors import BuildFailedError

_WHEELS = "wheels"
_MOUNT = re.compile(r"mount=type=bind,source=([^,]+),target=/([^,]+)")
_MOUNT_OF = re.compile(r"mount=type=bind,from=([a-z]+)(?:,source=/([^,]+))?,target=/([^,]+)")
_UNSEEN = re.compile(
    r"mount=type=(secret,id=(pip_conf|ca|netrc)(,mode=0444)?|cache,target=/root/\.cache/pip"
    r"|bind,from=wheelhouse,target=/wheelhouse|bind,source=requirements\.lock,target=/tmp/\S+)"
)


@dataclass(frozen=True)
class Tools:
    """`wheels`: the folder with what is not in the bundle: wheels/*.whl as the lock names them, and
    debian/STAGE/*.deb; None where that was not needed.
    """

    context: Context
    base: Base
    wheels: Path | None


@dataclass
class Work:
    """A stage under way. `root`: the folder with its files; `config`: its user and variables;
    `folder`: gives that of another stage; `places`: path in the stage -> where that lies, other
    than below `root`.
    """

    root: Path
    config: dict[str, Any]
    tools: Tools
    folder: Callable[[str], Path]
    places: dict[str, Path] = field(default_factory=dict)

    def place(self, name: str) -> Path:
        return self.places.get(path(name, "/"), self.root / path(name, "/"))


Act = Callable[[Work, re.Match[str]], None]


def follow(instruction: Instruction, work: Work) -> None:
    """Does what the RUN instruction is for.

    Raises:
        BuildFailedError: it runs anything else, or that failed.
    """
    _mount(instruction, work)
    for act, match in _acts(instruction):
        act(work, match)


def takes_wheels(instruction: Instruction) -> bool:
    """Whether it takes what is not in the bundle: wheels, or Debian packages.

    Raises:
        BuildFailedError: it runs what is not known.
    """
    acts = [act for act, _ in _acts(instruction)]
    return _fetched in acts or _DEBIAN.fullmatch(_text(instruction)) is not None


def packages(instruction: Instruction, tools: Tools) -> Path | None:
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
            raise not_understood(instruction, "its command takes a container")
        found += known
    return found


def _text(instruction: Instruction) -> str:
    return " ".join(instruction.text.split())


def _mount(instruction: Instruction, work: Work) -> None:
    for flag in instruction.flags:
        if _UNSEEN.fullmatch(flag):
            continue
        if match := _MOUNT_OF.fullmatch(flag):
            source = work.tools.base.root if match[1] == "base" else work.folder(match[1])
            work.places[match[3]] = source / (match[2] or "")
        elif match := _MOUNT.fullmatch(flag):
            _show(instruction, work, match[1], match[2])
        else:
            raise not_understood(instruction, f"--{flag} is not known")


def _show(instruction: Instruction, work: Work, source: str, target: str) -> None:
    """Copies, as what is left out of the context may lie beside."""
    from modelpack.engines.embedded import copying, stages  # noqa: PLC0415 - as these use this

    copy = Instruction("COPY", (), f"{source} /{target}", instruction.line)
    stages.put(copying.copied(copy, work.tools.context, "/"), work.root)


def _fetched(work: Work, _: re.Match[str]) -> None:
    assert work.tools.wheels is not None  # noqa: S101 - OciEngine.wants_wheels has asked for them
    work.places[_WHEELS] = work.tools.wheels / _WHEELS


def _unpacked(instruction: Instruction, work: Work, match: re.Match[str]) -> None:
    folder = packages(instruction, work.tools)
    if folder is None:
        raise BuildFailedError(
            f"The image takes Debian packages, {match[2].strip()}, and they are not given.",
            hint="Give them in a wheelhouse (modelpack lock MODEL --download DIR, where Docker is;"
            " then --offline DIR), or use --engine docker or podman.",
        )
    arguments = [str(work.place("/debian")), str(work.tools.base.root), str(folder)]
    _assemble(work, "debian", arguments, [folder])


def _removed(_: Work, __: re.Match[str]) -> None:
    """Nothing: it is not in the way here."""


def _assembled(work: Work, match: re.Match[str]) -> None:
    module, *names = match[1].split()
    _assemble(work, module, [str(work.place(name)) for name in names], [*work.places.values()])


def _assemble(work: Work, module: str, arguments: list[str], seen: Sequence[Path]) -> None:
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
