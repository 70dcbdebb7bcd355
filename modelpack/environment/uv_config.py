"""uv's variables and configuration files.

Source: https://docs.astral.sh/uv/reference/environment/ and https://docs.astral.sh/uv/reference/settings/
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from modelpack.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MACHINE = Path("/etc/uv/uv.toml")

Settings = dict[str, str | None]


def from_variables() -> Settings:
    get = os.environ.get
    named = [_url_of(index) for index in (get("UV_INDEX") or "").split()]
    return {
        "index_url": _url_of(get("UV_DEFAULT_INDEX") or "") or get("UV_INDEX_URL"),
        "extra_index_urls": " ".join([*named, get("UV_EXTRA_INDEX_URL") or ""]),
        "trusted_hosts": get("UV_INSECURE_HOST"),
        "keyring": get("UV_KEYRING_PROVIDER"),
        "client_cert": get("SSL_CLIENT_CERT"),
    }


def from_files() -> Settings:
    """Return the settings of uv.toml. Each setting of the user overrides that of the system.

    Raises:
        UsageError: A file cannot be read, or is not TOML.
    """
    settings: Settings = {}
    for path in _files():
        settings = {**_settings_of(_read(path)), **settings}
    return settings


def _files() -> Iterator[Path]:
    """Yield the configuration files of uv in order of precedence."""
    if os.environ.get("UV_NO_CONFIG"):
        return
    if named := os.environ.get("UV_CONFIG_FILE"):
        yield Path(named)
        return
    yield Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "uv" / "uv.toml"
    system = os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    yield from (Path(folder) / "uv" / "uv.toml" for folder in system.split(os.pathsep))
    yield MACHINE


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:  # both UnicodeDecodeError and TOMLDecodeError are one
        raise UsageError(
            f"uv's configuration file {str(path)!r} cannot be read: {error}.",
            hint="Mend it, or leave uv's files aside with UV_NO_CONFIG=1",
        ) from error
    return document


def _settings_of(document: Mapping[str, Any]) -> Settings:
    """Only what is there; [pip] goes before the top level, as in `uv pip`."""
    tables = {**document, **document.get("pip", {})}
    indexes = [index for index in document.get("index", []) if "url" in index]
    default = [_with_credentials(i) for i in indexes if i.get("default")]
    others = [_with_credentials(i) for i in indexes if not i.get("default")]
    settings = {
        "index_url": default[0] if default else tables.get("index-url"),
        "extra_index_urls": " ".join(others or tables.get("extra-index-url", [])),
        "trusted_hosts": " ".join(tables.get("allow-insecure-host", [])),
        "keyring": tables.get("keyring-provider"),
        "no_index": "true" if tables.get("no-index") else None,
        "proxy": document.get("https-proxy") or document.get("http-proxy"),
    }
    return {field: value for field, value in settings.items() if value}


def _url_of(index: str) -> str:
    name, url = re.fullmatch(r"(?:([\w.-]+)=)?(.*)", index, re.DOTALL).groups()  # type: ignore[union-attr]
    return _with_credentials({"name": name, "url": url})


def _with_credentials(index: Mapping[str, str | None]) -> str:
    """A named index may have its credentials in variables, as UV_INDEX_COMPANY_USERNAME."""
    url, key = index["url"] or "", re.sub(r"\W", "_", index.get("name") or "").upper()
    user, password = (os.environ.get(f"UV_INDEX_{key}_{part}") for part in ("USERNAME", "PASSWORD"))
    if not key or not (user or password) or "@" in urlsplit(url).netloc:
        return url
    secret = f"{quote(user or '', safe='')}:{quote(password or '', safe='')}"
    return url.replace("://", f"://{secret}@", 1)
