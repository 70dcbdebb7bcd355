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
"""What stands in a report for the engine."""

_DISTRIBUTION = re.compile(r"opt/venv/lib/[^/]+/site-packages/([^/]+)-([^/-]+)\.dist-info/METADATA")
_PROGRAMS = "opt/venv/"  # what is ours; a base image is of one piece
_NAMED = 5  # at most


@dataclass
class _Seen:
    """`foreign`: programs and libraries for another processor. `taken`: library -> who takes it."""

    count: int = 0
    foreign: list[str] = field(default_factory=list)
    taken: dict[str, str] = field(default_factory=dict)


def check_image(
    image: oci.Image,
    target: str,
    locked: Environment,
    rulings: Sequence[Ruling],
    on_check: Callable[[Check], None],
) -> SmokeReport:
    """Holds an image to its lock and its platform; `rulings`: what the rules say of it.

    Raises:
        UsageError: the image is damaged.
    """
    began = time.monotonic()
    paths = filesystem.merge_layers(map(filesystem.layer_listing, image.layers))
    seen = _programs(image, locked.platform)
    checks = []
    for name, (problems, told) in {
        "processor": (seen.foreign, f"{seen.count} programs and libraries for {locked.platform}"),
        "libraries": (list(_missing(seen, paths)), f"all of {len(seen.taken)} are there"),
        "versions": (list(_versions(paths, locked)), f"{len(locked.requirements)}, as locked"),
        "image": (list(rules.format_violations(rulings)), f"{len(rulings)} rules hold"),
    }.items():
        detail = ", ".join(problems[:_NAMED]) if problems else told
        checks.append(Check(name, not problems, round(time.monotonic() - began, 3), detail))
        on_check(checks[-1])
        began = time.monotonic()
    return SmokeReport(target, NAME, tuple(checks), rulings=tuple(rulings))


def _programs(image: oci.Image, platform: str) -> _Seen:
    seen = _Seen()
    for layer in image.layers:
        with layer.open() as stream:
            for entry, content in tar.members(HashingReader(stream, streams.LAYER)):
                head = content.read(elf.HEADER) if content else b""
                if content and elf.is_elf(head):
                    seen.count += 1
                    ours = entry.path.startswith(_PROGRAMS)
                    _look(seen, entry.path, head + (content.read() if ours else b""), platform)
    return seen


def _look(seen: _Seen, path: str, content: bytes, platform: str) -> None:
    if elf.platform(content) != platform:
        seen.foreign.append(path)
    elif path.startswith(_PROGRAMS):
        try:
            seen.taken |= dict.fromkeys(elf.parse(content).libraries, path)
        except ValueError as error:
            seen.foreign.append(f"{path}: {error}")


def _missing(seen: _Seen, paths: dict[str, filesystem.Entry]) -> Iterator[str]:
    there = {path.rpartition("/")[2] for path in paths}
    for library in sorted(seen.taken.keys() - there):
        yield f"{library}, which {seen.taken[library]} takes, is not there"


def _versions(paths: dict[str, filesystem.Entry], locked: Environment) -> Iterator[str]:
    matches = filter(None, map(_DISTRIBUTION.fullmatch, paths))
    installed = {canonicalize_name(match[1]): match[2] for match in matches}
    expected = {canonicalize_name(name): text for name, text in locked.requirements.items()}
    for name in sorted(installed.keys() | expected.keys()):
        if installed.get(name) != expected.get(name):
            actual = installed.get(name, "is missing")
            yield f"{name} {actual}, locked: {expected.get(name, 'none')}"
