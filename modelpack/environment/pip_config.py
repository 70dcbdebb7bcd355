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
"""Field of IndexSettings, or another setting -> option of pip."""


def from_variables() -> Mapping[str, str | None]:
    return {
        field: os.environ.get(f"PIP_{option.upper().replace('-', '_')}")
        for field, option in NAMES.items()
    }


def from_files() -> Mapping[str, str | None]:
    """Return the options of `pip install`: [install] precedes [global], later files earlier ones.

    Raises:
        UsageError: A file cannot be read, or is not an INI file.
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
        """Normalise an option: --extra-index-url, extra_index_url and extra-index-url are equal."""
        return optionstr.lower().replace("_", "-").removeprefix("--")


def _files() -> Iterator[Path]:
    """Yield the configuration files of pip on Linux. Later ones take precedence."""
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
            f"The configuration file {str(path)!r} of pip cannot be read: {error}.",
            hint="Correct it, or ignore pip's files with PIP_CONFIG_FILE=/dev/null",
        ) from error
