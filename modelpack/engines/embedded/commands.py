"""The commands that a Dockerfile of modelpack runs, and what is done here in their place.

`python -m modelpack.assembly.NAME` is run as it stands, by the interpreter of the base image or by
one that writes the same byte code; that pip fetches wheels has been done before the build.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelpack.engines.embedded.bases import Base
from modelpack.engines.embedded.context import Context
from modelpack.engines.embedded.copying import path
from modelpack.engines.embedded.dockerfile import Instruction, not_understood

_WHEELS = "wheels"
_MOUNT = re.compile(r"mount=type=bind,(?:(from|source)=)([^,]+),target=/([^,]+)")
_UNSEEN = re.compile(
    r"mount=type=(secret,id=(pip_conf|ca|netrc)(,mode=0444)?|cache,target=/root/\.cache/pip"
    r"|bind,from=wheelhouse,target=/wheelhouse|bind,source=requirements\.lock,target=/tmp/\S+)"
)


@dataclass(frozen=True)
class Tools:
    """`wheels`: the folder that holds what the lock names; None where that was not needed."""

    context: Context
    base: Base
    wheels: Path | None


@dataclass
class Work:
    """A stage under way. `root`: the folder with its files; `config`: its user and variables;
    `places`: path in the stage -> where that lies, other than below `root`.
    """

    root: Path
    config: dict[str, Any]
    tools: Tools
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
    """Raises:
    BuildFailedError: it runs what is not known.
    """
    return any(act is _fetched for act, _ in _acts(instruction))


def _acts(instruction: Instruction) -> list[tuple[Act, re.Match[str]]]:
    found = []
    for command in " ".join(instruction.text.split()).split(" && "):
        known = [
            (act, match) for pattern, act in _COMMANDS if (match := pattern.fullmatch(command))
        ]
        if not known:
            raise not_understood(instruction, "its command takes a container")
        found += known
    return found


def _mount(instruction: Instruction, work: Work) -> None:
    for flag in instruction.flags:
        match = _MOUNT.fullmatch(flag)
        if _UNSEEN.fullmatch(flag):
            continue
        if match is None or (match[1] == "from" and match[2] != "base"):
            raise not_understood(instruction, f"--{flag} is not known")
        if match[1] == "from":
            work.places[match[3]] = work.tools.base.root
        else:
            _show(instruction, work, match[2], match[3])


def _show(instruction: Instruction, work: Work, source: str, target: str) -> None:
    """Copies, as what is left out of the context may lie beside."""
    from modelpack.engines.embedded import copying, stages  # noqa: PLC0415 - as these use this

    copy = Instruction("COPY", (), f"{source} /{target}", instruction.line)
    stages.put(copying.copied(copy, work.tools.context, "/"), work.root)


def _fetched(work: Work, _: re.Match[str]) -> None:
    assert work.tools.wheels is not None  # noqa: S101 - OciEngine.wants_wheels has asked for them
    work.places[_WHEELS] = work.tools.wheels


def _removed(_: Work, __: re.Match[str]) -> None:
    """Nothing: it is not in the way here."""


def _assembled(work: Work, match: re.Match[str]) -> None:
    module, *names = match[1].split()
    arguments = [str(work.place(name)) for name in names]
    seen = [] if work.tools.wheels is None else [work.tools.wheels]
    folder = work.place(work.config.get("WorkingDir") or "/")
    work.tools.base.assemble(module, arguments, folder, work.root, seen)


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
