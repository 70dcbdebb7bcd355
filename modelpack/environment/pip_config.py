"""pip's variables and configuration files.

Source: https://pip.pypa.io/en/stable/topics/configuration/
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from configparser import Error, RawConfigParser
from pathlib import Path

from modelpack.errors import UsageError

MACHINE = Path("/etc/pip.conf")

NAMES = {
    "index_url": "index-url",
    "extra_index_urls": "extra-index-url",
    "trusted_hosts": "trusted-host",
    "ca_bundle": "cert",
    "proxy": "proxy",
    "keyring": "keyring-provider",
    "client_cert": "client-cert",
    "no_index": "no-index",
}
"""Our name of a setting -> pip's option."""


def from_variables() -> Mapping[str, str | None]:
    return {
        field: os.environ.get(f"PIP_{option.upper().replace('-', '_')}")
        for field, option in NAMES.items()
    }


def from_files() -> Mapping[str, str | None]:
    """The options of `pip install`: its own section goes before [global], later files before
    earlier ones.

    Raises:
        UsageError: a file cannot be read or is not of the INI form.
    """
    parser = _Parser()
    for path in _files():
        _read(parser, path)
    return {
        field: parser.get("install", option, fallback=parser.get("global", option, fallback=None))
        for field, option in NAMES.items()
    }


class _Parser(RawConfigParser):
    def optionxform(self, optionstr: str) -> str:
        """As pip has it: --extra-index-url, extra_index_url and extra-index-url are one."""
        return optionstr.lower().replace("_", "-").removeprefix("--")


def _files() -> Iterator[Path]:
    """Where pip looks on Linux, in the order of precedence, the last the strongest."""
    named = os.environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    config = os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    yield from (Path(folder) / "pip" / "pip.conf" for folder in config.split(os.pathsep)[::-1])
    yield MACHINE
    if not (named and Path(named).exists()):
        yield Path.home() / ".pip" / "pip.conf"
        yield Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "pip/pip.conf"
    yield Path(sys.prefix) / "pip.conf"
    if named:
        yield Path(named)


def _read(parser: RawConfigParser, path: Path) -> None:
    try:
        parser.read_string(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError, Error) as error:
        raise UsageError(
            f"pip's configuration file {str(path)!r} cannot be read: {error}.",
            hint="Mend it, or leave pip's files aside with PIP_CONFIG_FILE=/dev/null",
        ) from error
