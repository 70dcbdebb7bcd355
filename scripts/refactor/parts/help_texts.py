"""`--help` of every command, at 80 columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from checkout import Checkout

from .settings import Settings

_COMMANDS = re.compile(r"^Commands:\n((?: .*\n?)+)", re.MULTILINE)
_NAME = re.compile(r"^  (\S+)", re.MULTILINE)


def record(checkout: Checkout, _: Settings, output: Path) -> None:
    for command, text in _texts(checkout, ()):
        name = "-".join(("modelpack", *command))
        (output / f"{name}.txt").write_text(text)


def _texts(checkout: Checkout, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield a command with its help, then the commands that this help lists."""
    text = checkout.require(*above, "--help")
    yield above, text
    listed = _COMMANDS.search(text)
    for name in _NAME.findall(listed[1]) if listed else ():
        yield from _texts(checkout, (*above, name))
