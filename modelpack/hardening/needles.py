"""The secrets that a build was given, as the bytes that must be nowhere in its image."""

from __future__ import annotations

import base64
import netrc
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from modelpack.types import IndexSettings

SHORTEST = 6
"""Bytes: a shorter one is found by chance in any library."""

_WORD = re.compile("[a-z]{0,12}")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_NO_PASSWORDS = {"", "x-oauth-basic", "x-token-auth"}  # with these, the user's name is the secret


@dataclass(frozen=True)
class Needle:
    """`what` it is, in words that do not tell it. `is_file`: all of a file's content."""

    what: str
    content: bytes
    is_file: bool = False


def needles(index: IndexSettings, environ: Mapping[str, str]) -> tuple[Needle, ...]:
    """`environ`: where proxies are set that the build was given. What cannot be read was not."""
    found = {needle.content: needle for needle in _all(index, environ)}
    return tuple(n for content, n in found.items() if len(content) >= SHORTEST)


def _all(index: IndexSettings, environ: Mapping[str, str]) -> Iterator[Needle]:
    urls = {"the index": (index.index_url, *index.extra_index_urls)}
    urls["the proxy"] = (
        index.proxy,
        *(value for name, value in environ.items() if name.upper() in _PROXIES),
    )
    for of_what, given in urls.items():
        for url in filter(None, given):
            yield from _of_url(urlsplit(url if "://" in url else f"//{url}"), of_what)
    if index.netrc:
        yield from _of_netrc(Path(index.netrc))
    if index.ca_bundle:
        with suppress(OSError):
            yield Needle("the file of authorities", Path(index.ca_bundle).read_bytes(), True)


def _of_url(url: SplitResult, of_what: str) -> Iterator[Needle]:
    user, password = url.username or "", url.password or ""
    if password in _NO_PASSWORDS:
        yield from _written(user, f"the token of {of_what}")
        return
    yield from _written(password, f"the password of {of_what}")
    yield Needle(f"the credentials of {of_what}", f"{user}:{password}@".encode())
    yield _basic(unquote(user), unquote(password), of_what)


def _of_netrc(path: Path) -> Iterator[Needle]:
    try:
        machines = netrc.netrc(path).hosts
        content = path.read_bytes()
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return
    yield Needle("the netrc file", content, True)
    for login, _, password in machines.values():
        yield from _written(password or "", "a password of netrc")
        yield _basic(login or "", password or "", "netrc")


def _written(secret: str, what: str) -> Iterator[Needle]:
    """As it stands in a URL, and as it is meant; unless it is a word that any text may have."""
    for form in (secret, unquote(secret)):
        if not _WORD.fullmatch(form):
            yield Needle(what, form.encode())


def _basic(user: str, password: str, of_what: str) -> Needle:
    """As HTTP's basic authentication sends it (RFC 7617)."""
    told = base64.b64encode(f"{user}:{password}".encode()) if password else b""
    return Needle(f"the credentials of {of_what}, in base64", told)
