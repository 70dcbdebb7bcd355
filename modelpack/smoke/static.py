"""Checks of an image that cannot run here."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from packaging.utils import canonicalize_name

from modelpack import oci
from modelpack.assembly import elf
from modelpack.oci import filesystem, streams, tar
from modelpack.oci.streams import HashingReader
from modelpack.smoke.checks import lifecycle as rules
from modelpack.types import Check, Environment, Ruling, SmokeReport

NAME = "reading"
"""The engine in such a report."""

_DISTRIBUTION = re.compile(r"opt/venv/lib/[^/]+/site-packages/([^/]+)-([^/-]+)\.dist-info/METADATA")
_PROGRAMS = "opt/venv/"  # libraries of a base image fit each other
_MAX_PROBLEMS = 5  # listed per check


@dataclass
class _Programs:
    """Programs and shared libraries of an image.

    Attributes:
        foreign: Those for another processor.
        required: Library -> a program that requires it.
    """

    count: int = 0
    foreign: list[str] = field(default_factory=list)
    required: dict[str, str] = field(default_factory=dict)


def check_image(
    image: oci.Image,
    target: str,
    locked: Environment,
    rulings: Sequence[Ruling],
    on_check: Callable[[Check], None],
) -> SmokeReport:
    """Check an image against its lock and its platform.

    `target` is its name in the report. `on_check` is called with the result of each check.

    Raises:
        UsageError: The image is damaged.
    """
    began = time.monotonic()
    paths = filesystem.merge_layers(map(filesystem.layer_listing, image.layers))
    programs = _find_programs(image, locked.platform)
    checks = []
    for name, (problems, success) in {
        "processor": (
            programs.foreign,
            f"{programs.count} programs and libraries for {locked.platform}",
        ),
        "libraries": (list(_missing(programs, paths)), f"all {len(programs.required)} exist"),
        "versions": (list(_versions(paths, locked)), f"{len(locked.requirements)}, as locked"),
        "image": (list(rules.format_violations(rulings)), f"follows all {len(rulings)} rules"),
    }.items():
        detail = ", ".join(problems[:_MAX_PROBLEMS]) if problems else success
        checks.append(Check(name, not problems, round(time.monotonic() - began, 3), detail))
        on_check(checks[-1])
        began = time.monotonic()
    return SmokeReport(target, NAME, tuple(checks), rulings=tuple(rulings))


def _find_programs(image: oci.Image, platform: str) -> _Programs:
    programs = _Programs()
    for layer in image.layers:
        with layer.open() as stream:
            for entry, content in tar.members(HashingReader(stream, streams.LAYER)):
                head = content.read(elf.HEADER) if content else b""
                if content and elf.is_elf(head):
                    programs.count += 1
                    ours = entry.path.startswith(_PROGRAMS)
                    rest = content.read() if ours else b""
                    _add_program(programs, entry.path, head + rest, platform)
    return programs


def _add_program(programs: _Programs, path: str, content: bytes, platform: str) -> None:
    if elf.platform(content) != platform:
        programs.foreign.append(path)
    elif path.startswith(_PROGRAMS):
        try:
            programs.required |= dict.fromkeys(elf.parse(content).libraries, path)
        except ValueError as error:
            programs.foreign.append(f"{path}: {error}")


def _missing(programs: _Programs, paths: dict[str, filesystem.Entry]) -> Iterator[str]:
    existing = {path.rpartition("/")[2] for path in paths}
    for library in sorted(programs.required.keys() - existing):
        yield f"{library}, required by {programs.required[library]}, does not exist"


def _versions(paths: dict[str, filesystem.Entry], locked: Environment) -> Iterator[str]:
    matches = filter(None, map(_DISTRIBUTION.fullmatch, paths))
    installed = {canonicalize_name(match[1]): match[2] for match in matches}
    expected = {canonicalize_name(name): text for name, text in locked.requirements.items()}
    for name in sorted(installed.keys() | expected.keys()):
        if installed.get(name) != expected.get(name):
            actual = installed.get(name, "is missing")
            yield f"{name} {actual}, locked: {expected.get(name, 'none')}"
