"""Tokens, and credentials of `docker login` and `podman login`.

Sources: distribution.github.io/distribution/spec/auth/token and .../oauth; RFC 7235.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from modelpack.errors import UsageError
from modelpack.oci.reference import DOCKER_HUB
from modelpack.oci.registry.errors import response_text

Request = Callable[..., requests.Response]

_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_CLIENT = "modelpack"


def authorization(challenge: str, credentials: Credentials | None, request: Request) -> str | None:
    """Return the Authorization header for a challenge, or None without suitable credentials.

    `request` is like `requests.request`, for the token server.

    Raises:
        UsageError: The token server refuses.
    """
    scheme, _, rest = challenge.partition(" ")
    if scheme.lower() == "bearer":
        return _bearer(dict(_CHALLENGE.findall(rest)), credentials, request)
    if scheme.lower() == "basic" and credentials and credentials.user:
        return _basic(credentials)
    return None


def _basic(credentials: Credentials) -> str:
    pair = f"{credentials.user}:{credentials.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _bearer(
    challenge: Mapping[str, str], credentials: Credentials | None, request: Request
) -> str | None:
    if "realm" not in challenge:
        return None
    parameters = {name: challenge[name] for name in ("service", "scope") if name in challenge}
    if credentials and credentials.token:
        form = {
            **parameters,
            "grant_type": "refresh_token",
            "client_id": _CLIENT,
            "refresh_token": credentials.token,
        }
        answer = request("POST", challenge["realm"], data=form)
    else:
        headers = {"Authorization": _basic(credentials)} if credentials else {}
        answer = request("GET", challenge["realm"], params=parameters, headers=headers)
    return f"Bearer {_token(answer)}"


def _token(answer: requests.Response) -> str:
    if answer.ok:
        try:
            document = json.loads(response_text(answer))
        except ValueError:
            document = None
        if isinstance(document, dict):
            token = document.get("token") or document.get("access_token")
            if isinstance(token, str) and re.fullmatch(r"[\x21-\x7e]+", token):
                return token
    raise UsageError(
        f"The token server of the registry returns no token (status {answer.status_code}).",
        hint="Log in again: docker login HOST",
    )


# Sources: github.com/docker/cli, cli/config/credentials and docs of `docker login`;
# github.com/docker/docker-credential-helpers; containers-auth.json(5).
_HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", DOCKER_HUB)
_TOKEN_USER = "<token>"  # noqa: S105  # the user of an identity token, in helpers
_TIMEOUT = 30  # seconds for a helper, which may query a service


@dataclass(frozen=True)
class Credentials:
    """A user and a password, or an identity token (a refresh token of OAuth2)."""

    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


def find(host: str, repository: str = "") -> Credentials | None:
    """Find the credentials for a repository of the registry `host`.

    They are searched in the file that REGISTRY_AUTH_FILE names, in Docker's and in Podman's.

    Raises:
        UsageError: The file or a helper cannot be read.
    """
    for path in _files():
        if found := _in_file(path, host, repository):
            return found
    return None


def _files() -> Iterator[Path]:
    if named := os.environ.get("REGISTRY_AUTH_FILE"):
        yield Path(named)
    yield Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "containers" / "auth.json"
    yield Path(f"/run/containers/{os.getuid()}/auth.json")


def _in_file(path: Path, host: str, repository: str) -> Credentials | None:
    config = _read(path)
    keys = (*_folders(host, repository), *(_HUB_KEYS if host == DOCKER_HUB else (host,)))
    helpers = _mapping(config.get("credHelpers"))
    for key in keys:
        helper = helpers.get(key) or config.get("credsStore")
        if helper and (found := _helped(str(helper), key)):
            return found
    entries = _mapping(config.get("auths"))
    by_host = {_host(key): value for key, value in reversed(list(entries.items()))}
    entry = next((entries[key] for key in keys if key in entries), by_host.get(host))
    return _entry(_mapping(entry), path)


def _folders(host: str, repository: str) -> list[str]:
    """Return the keys that Podman's file may have: "HOST/team/iris", then "HOST/team"."""
    parts = [host, *filter(None, repository.split("/"))]
    return ["/".join(parts[:end]) for end in range(len(parts), 1, -1)]


def _host(key: str) -> str:
    """Return the host of a key of older releases of Docker: "https://HOST/v1/"."""
    match = re.fullmatch(r"https?://([^/]+)(?:/v[12])?/?", key)
    return match[1] if match else ""


def _read(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return {}
    except ValueError as error:
        raise _unreadable(path) from error
    try:
        return _mapping(json.loads(text))
    except ValueError as error:
        raise _unreadable(path) from error


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _entry(entry: Mapping[str, Any], path: Path) -> Credentials | None:
    if token := entry.get("identitytoken"):
        return Credentials(token=str(token))
    if auth := entry.get("auth"):
        try:
            user, colon, password = (
                base64.b64decode(str(auth), validate=True).decode().partition(":")
            )
        except ValueError as error:
            raise _unreadable(path) from error
        return Credentials(user, password.rstrip("\0")) if colon else None
    if entry.get("username"):
        return Credentials(str(entry["username"]), str(entry.get("password", "")))
    return None


def _unreadable(path: Path) -> UsageError:
    return UsageError(
        f"The credentials in {path} cannot be read: they are not in the format of `docker login`.",
        hint="Fix the file, or remove it and log in again.",
    )


def _helped(helper: str, key: str) -> Credentials | None:
    """Run `docker-credential-HELPER get`; None if it has nothing or is not installed."""
    if not re.fullmatch(r"[\w.-]+", helper):
        return None
    command = [f"docker-credential-{helper}", "get"]
    try:
        done = subprocess.run(
            command, input=key, capture_output=True, text=True, check=False, timeout=_TIMEOUT
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise _no_answer(helper) from error
    if done.returncode:  # "credentials not found", most often
        return None
    try:
        answer = _mapping(json.loads(done.stdout))
    except ValueError as error:
        raise _no_answer(helper) from error
    user, secret = str(answer.get("Username", "")), str(answer.get("Secret", ""))
    return Credentials(token=secret) if user == _TOKEN_USER else Credentials(user, secret)


def _no_answer(helper: str) -> UsageError:
    return UsageError(
        f"The credential helper docker-credential-{helper} returns no valid response.",
        hint=f"Run: echo HOST | docker-credential-{helper} get",
    )
