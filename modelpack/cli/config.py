"""`modelpack.toml` and requirement files.

tag = "svc:1"
    python = "3.11"
    requirement = ["pandas<2"]

A key is the long name of an option. Paths are relative to the file. `trust` is not an option there:
the user decides what to trust, not a file that came with the model. A build cache is trusted, too,
because its layers become those of the image.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from modelpack.errors import UsageError
from modelpack.files import read_regular

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME = "modelpack.toml"
NEVER = frozenset({"trust", "cache-from", "cache-to"})
MAX_BYTES = 2**20
"""The maximum size of a file of options or requirements."""


def read(model: Path, options: Iterable[click.Option]) -> dict[str, Any]:
    """Read the defaults of a command's parameters, by the names of click.

    Raises:
        UsageError: The file is not TOML, or contains an unknown option or a value of a wrong type.
    """
    path = model.parent / FILE_NAME
    try:
        document = tomllib.loads(read_regular(path, MAX_BYTES).decode("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise UsageError(f"{path} cannot be read: {reason}.", hint="Write it as TOML.") from error
    known = {_long_name(option): option for option in options}
    unknown = sorted(set(document) - (set(known) - NEVER))
    if unknown:
        raise UsageError(
            f"{path} contains {', '.join(unknown)}, which is not a valid option there.",
            hint=f"Choose from: {', '.join(sorted(set(known) - NEVER))}.",
        )
    return {
        str(known[key].name): _resolved(known[key], _typed(known[key], value, path), path.parent)
        for key, value in document.items()
    }


def _long_name(option: click.Option) -> str:
    return max(option.opts, key=len).lstrip("-")


def _typed(option: click.Option, value: Any, path: Path) -> Any:
    """Return the value if it has the option's type. One string is also a list of one.

    Click would convert any value to a string: the number 3.10 to "3.1".
    """
    if option.is_flag:
        kind, fits = "true or false", isinstance(value, bool)
    elif isinstance(option.type, click.types.IntParamType):
        kind, fits = "an integer", type(value) is int
    elif option.multiple:
        kind, value = "a list of strings", [value] if isinstance(value, str) else value
        fits = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
    else:
        kind, fits = "a string in quotes", isinstance(value, str)
    if not fits:
        raise UsageError(
            f"{path} sets {_long_name(option)} to {value!r}, which is not {kind}.",
            hint="`modelpack package --help` explains the options.",
        )
    return value


def _resolved(option: click.Option, value: Any, folder: Path) -> Any:
    if not isinstance(option.type, click.Path):
        return value
    return [str(folder / path) for path in value] if option.multiple else str(folder / value)


def requirements(path: Path) -> list[str]:
    """Return the lines of a requirements file, without comments and blank lines.

    Raises:
        UsageError: The file cannot be read.
    """
    try:
        text = read_regular(path, MAX_BYTES).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"The requirements file {path} cannot be read: {error}.",
            hint="Give a text file with one requirement per line.",
        ) from error
    stripped = (re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip() for line in text.splitlines())
    return [line for line in stripped if line]
