"""The package index and credentials of this user.

What works for the user's pip must work for the build, so their settings are honoured, each in its
documented place and order. Two are not: find-links and constraint name folders and files of this
machine, which a build elsewhere would not have.
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
    "client_cert": "The client certificate set by {} is not used: neither the lock nor the build"
    " shows one to the index.",
    "no_index": "That no index is to be asked, as set by {}, does not count here: give the folder"
    " of wheels by --offline WHEELHOUSE.",
}
"""Setting -> what to say of it and of who set it."""

_MAX_CA_BUNDLE_BYTES = 2**26  # of a CA bundle


@dataclass(frozen=True)
class Source:
    """Where settings come from, by the names of IndexSettings' fields; lists hold spaces."""

    name: str
    get: Callable[[str], str | None]


def index_settings(
    *, index_url: str | None = None, ca_cert: str | None = None, wheelhouse: Path | None = None
) -> IndexSettings:
    """The index of this user: for each setting the first of the arguments, uv's variables, pip's
    variables, pip's files (site over user over global) and uv's files (user over system) that has
    it. The CA bundle may also come from SSL_CERT_FILE or REQUESTS_CA_BUNDLE, the netrc file is
    $NETRC or ~/.netrc. An `index_url` of None means the public index. With a `wheelhouse`, none of
    them counts.

    Raises:
        UsageError: a URL is not of http or https, a file cannot be read, or is no CA bundle.
    """
    if wheelhouse is not None:
        return IndexSettings(wheelhouse=str(wheelhouse.absolute()))
    sources = _sources({"index_url": index_url, "ca_bundle": ca_cert})
    ask = credential_lookup(_first(sources, "keyring")[0])
    return IndexSettings(
        index_url=next(map(ask, _urls(sources, "index_url")), None),
        extra_index_urls=tuple(map(ask, _urls(sources, "extra_index_urls"))),
        trusted_hosts=tuple(_first(sources, "trusted_hosts")[0].split()),
        ca_bundle=_ca_bundle(*_first(sources, "ca_bundle")),
        netrc=_netrc(),
        proxy=_first(sources, "proxy")[0] or None,
    )


def unsupported_settings() -> list[str]:
    """What this user's pip and uv are set to and modelpack does not do, one sentence each."""
    sources = _sources({})
    found = ((_first(sources, setting)[1], what) for setting, what in _UNSUPPORTED.items())
    return [what.format(source) for source, what in found if source]


def _sources(arguments: Mapping[str, str | None]) -> tuple[Source, ...]:
    """The strongest first."""
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
    """The text with the credentials of every URL in it replaced by ***."""
    return re.sub(r"://[^/\s]*@", "://***@", text)


def _first(sources: tuple[Source, ...], setting: str) -> tuple[str, str]:
    """The value of a setting and the name of the source that has it; empty where none has."""
    found = ((source.get(setting), source.name) for source in sources)
    return next(((value, name) for value, name in found if value), ("", ""))


def _urls(sources: tuple[Source, ...], setting: str) -> Iterator[str]:
    value, source = _first(sources, setting)
    for url in value.split():
        if not _is_of_the_web(url):
            raise UsageError(
                f"The package index {redacted(url)!r}, set by {source}, is no http or https URL; a"
                " build does not see the files of this machine.",
                hint="Give the URL of an index: --index-url URL",
            )
        yield url


def _is_of_the_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets that hold no IPv6 address
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _ca_bundle(path: str, source: str) -> str | None:
    if not path:
        return None
    try:
        require_regular(Path(path), _MAX_CA_BUNDLE_BYTES)
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except (OSError, ValueError) as error:  # ssl.SSLError, for what is no PEM, is an OSError
        raise UsageError(
            f"The CA bundle {path!r}, set by {source}, cannot be read as certificates in PEM form:"
            f" {getattr(error, 'strerror', None) or error}.",
            hint="Give a PEM file with the certificates to be trusted: --ca-cert FILE",
        ) from error
    return str(Path(path).absolute())


def _netrc() -> str | None:
    path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    return str(path.absolute()) if path.is_file() else None


# Source: https://docs.astral.sh/uv/reference/cli/#uv-pip-compile--keyring-provider
_PROVIDERS = frozenset({"subprocess", "import", "auto"})
_PATIENCE = 60  # seconds; it may ask the user


def credential_lookup(provider: str) -> Callable[[str], str]:
    """What completes the URL of an index that has a user name and no password, if `provider`
    (pip's or uv's setting) is the keyring; without an answer the URL stays as it is.
    """
    return _completed if provider in _PROVIDERS else lambda url: url


def _completed(url: str) -> str:
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
            timeout=_PATIENCE,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip("\n")
