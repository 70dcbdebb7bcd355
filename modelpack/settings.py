"""Options read from files: `modelpack.toml` beside the model, and requirement files.

    tag = "svc:1"
    python = "3.11"
    requirement = ["pandas<2"]

A key is the long name of an option. Paths are relative to the file. `trust` is not read from it:
what may be trusted is said by the person who packages, never by what came with the model.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from modelpack.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME = "modelpack.toml"
NEVER = frozenset({"trust"})


def read(model: Path, options: Iterable[click.Option]) -> dict[str, Any]:
    """Defaults for a command's parameters, by click's names.

    Raises:
        UsageError: the file is no TOML, or names what is no option.
    """
    path = model.parent / FILE_NAME
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}.", hint="It must be TOML.") from error
    known = {_long_name(option): option for option in options}
    unknown = sorted(set(document) - (set(known) - NEVER))
    if unknown:
        raise UsageError(
            f"{path} names {', '.join(unknown)}, which is no option that can stand there.",
            hint=f"Options are: {', '.join(sorted(set(known) - NEVER))}.",
        )
    return {
        str(known[key].name): _resolved(known[key], value, path.parent)
        for key, value in document.items()
    }


def _long_name(option: click.Option) -> str:
    return max(option.opts, key=len).lstrip("-")


def _resolved(option: click.Option, value: Any, folder: Path) -> Any:
    if isinstance(option.type, click.Path):
        return str(folder / str(value))
    return value


def requirements(path: Path) -> list[str]:
    """The lines of a requirements file, without comments and blank lines.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"The requirements file {path} cannot be read: {error}.",
            hint="Name a text file with one requirement a line.",
        ) from error
    stripped = (re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip() for line in text.splitlines())
    return [line for line in stripped if line]
