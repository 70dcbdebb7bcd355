"""Passwords that the user's keyring holds, where pip or uv is set to ask it.

Source: https://docs.astral.sh/uv/reference/cli/#uv-pip-compile--keyring-provider
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from urllib.parse import quote, unquote, urlsplit

_PROVIDERS = frozenset({"subprocess", "import", "auto"})
_PATIENCE = 60  # seconds; it may ask the user


def asks(provider: str) -> Callable[[str], str]:
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
