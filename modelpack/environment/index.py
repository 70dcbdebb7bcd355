"""The package index and credentials of this user.

The settings of pip and uv apply in their documented order, so a build finds what pip finds. The
exceptions are find-links and constraint: they name files of this machine, which other machines do
not have.
"""

from __future__ import annotations

import os
import re
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from modelpack.errors import UsageError
from modelpack.files import require_regular
from modelpack.types import IndexSettings

from . import pip_config, uv_config

_UNSUPPORTED = {
    "client_cert": "The client certificate set by {} is ignored: modelpack does not support client"
    " certificates for the index.",
    "no_index": "The setting no-index in {} is ignored: use --offline WHEELHOUSE instead.",
}
"""Setting -> its warning. The placeholder is the source of the setting."""

_MAX_CA_BUNDLE_BYTES = 2**26


@dataclass(frozen=True)
class Source:
    """A source of settings. `get` takes names of fields of IndexSettings; lists contain spaces."""

    name: str
    get: Callable[[str], str | None]


def index_settings(
    *, index_url: str | None = None, ca_cert: str | None = None, wheelhouse: Path | None = None
) -> IndexSettings:
    """Return the index settings of this user.

    Each setting comes from the first of: the arguments, variables of uv, variables of pip, files of
    pip (site, user, global), files of uv (user, system). The CA bundle may also come from
    SSL_CERT_FILE or REQUESTS_CA_BUNDLE. The netrc file is $NETRC or ~/.netrc. With a `wheelhouse`,
    all others are ignored. An `index_url` of None means the public index.

    Raises:
        UsageError: A URL is not http or https, a file cannot be read, or is not a CA bundle.
    """
    if wheelhouse is not None:
        return IndexSettings(wheelhouse=str(wheelhouse.absolute()))
    sources = _sources({"index_url": index_url, "ca_bundle": ca_cert})
    with_credentials = credential_lookup(_first(sources, "keyring")[0])
    return IndexSettings(
        index_url=next(map(with_credentials, _urls(sources, "index_url")), None),
        extra_index_urls=tuple(map(with_credentials, _urls(sources, "extra_index_urls"))),
        trusted_hosts=tuple(_first(sources, "trusted_hosts")[0].split()),
        ca_bundle=_ca_bundle(*_first(sources, "ca_bundle")),
        netrc=_netrc(),
        proxy=_first(sources, "proxy")[0] or None,
    )


def unsupported_settings() -> list[str]:
    """Return a warning for each setting of pip and uv that modelpack does not support."""
    sources = _sources({})
    warnings = ((_first(sources, setting)[1], text) for setting, text in _UNSUPPORTED.items())
    return [text.format(source) for source, text in warnings if source]


def _sources(arguments: Mapping[str, str | None]) -> tuple[Source, ...]:
    """Return the sources in order of precedence."""
    return (
        Source("the command line", arguments.get),
        Source("uv's variables", uv_config.from_variables().get),
        Source("pip's variables", pip_config.from_variables().get),
        Source("pip's configuration", pip_config.from_files().get),
        Source("uv's configuration", uv_config.from_files().get),
        Source("SSL_CERT_FILE", {"ca_bundle": os.environ.get("SSL_CERT_FILE")}.get),
        Source("REQUESTS_CA_BUNDLE", {"ca_bundle": os.environ.get("REQUESTS_CA_BUNDLE")}.get),
    )


def redacted(text: str) -> str:
    """Replace the credentials of all URLs in a text by ***."""
    return re.sub(r"://[^/\s]*@", "://***@", text)


def _first(sources: tuple[Source, ...], setting: str) -> tuple[str, str]:
    """Return the value of a setting and the name of its source. Both are "" if it is not set."""
    values = ((source.get(setting), source.name) for source in sources)
    return next(((value, name) for value, name in values if value), ("", ""))


def _urls(sources: tuple[Source, ...], setting: str) -> Iterator[str]:
    value, source = _first(sources, setting)
    for url in value.split():
        if not _is_http(url):
            raise UsageError(
                f"The package index {redacted(url)!r}, set by {source}, is not an http or https"
                " URL, and builds cannot read files of this machine.",
                hint="Give the URL of an index: --index-url URL",
            )
        yield url


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets without an IPv6 address
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _ca_bundle(path: str, source: str) -> str | None:
    if not path:
        return None
    try:
        require_regular(Path(path), _MAX_CA_BUNDLE_BYTES)
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise UsageError(
            f"The CA bundle {path!r}, set by {source}, cannot be read as PEM certificates:"
            f" {getattr(error, 'strerror', None) or error}.",
            hint="Give a PEM file with the trusted certificates: --ca-cert FILE",
        ) from error
    return str(Path(path).absolute())


def _netrc() -> str | None:
    path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    return str(path.absolute()) if path.is_file() else None


# Source: https://docs.astral.sh/uv/reference/cli/#uv-pip-compile--keyring-provider
_PROVIDERS = frozenset({"subprocess", "import", "auto"})
_TIMEOUT = 60  # seconds; the keyring may prompt the user


def credential_lookup(provider: str) -> Callable[[str], str]:
    """Return a function that adds the password from the keyring to a URL with a user name.

    `provider`: the setting of pip or uv. The function returns the URL unchanged if the keyring is
    not used or has no password.
    """
    return _with_password if provider in _PROVIDERS else lambda url: url


def _with_password(url: str) -> str:
    parts = urlsplit(url)
    if not parts.username or parts.password:
        return url
    host = parts.netloc.rpartition("@")[2]
    user = unquote(parts.username)
    plain = url.replace(f"{parts.netloc}", host, 1)
    password = _get(plain, user) or _get(host, user)
    secret = f"{parts.username}:{quote(password, safe='')}"
    return url.replace(parts.netloc, f"{secret}@{host}", 1) if password else url


def _get(service: str, user: str) -> str:
    try:
        done = subprocess.run(
            ["keyring", "get", service, user],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip("\n")
