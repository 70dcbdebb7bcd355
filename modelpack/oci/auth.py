"""Who asks: answers the challenge of a registry by a password or by a token made for it.

Sources: distribution.github.io/distribution/spec/auth/token and .../oauth; RFC 7235.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping

import requests

from modelpack.errors import UsageError
from modelpack.oci.credentials import Credentials
from modelpack.oci.failures import said

Ask = Callable[..., requests.Response]

_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_CLIENT = "modelpack"


def authorization(challenge: str, credentials: Credentials | None, ask: Ask) -> str | None:
    """The header that answers a challenge; None if there is nothing to answer with. `ask`: as
    `requests.request`, for the server that makes tokens.

    Raises:
        UsageError: that server refuses.
    """
    scheme, _, rest = challenge.partition(" ")
    if scheme.lower() == "bearer":
        return _bearer(dict(_CHALLENGE.findall(rest)), credentials, ask)
    if scheme.lower() == "basic" and credentials and credentials.user:
        return _basic(credentials)
    return None


def _basic(credentials: Credentials) -> str:
    pair = f"{credentials.user}:{credentials.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _bearer(asked: Mapping[str, str], credentials: Credentials | None, ask: Ask) -> str | None:
    if "realm" not in asked:
        return None
    wanted = {name: asked[name] for name in ("service", "scope") if name in asked}
    if credentials and credentials.token:
        form = {
            **wanted,
            "grant_type": "refresh_token",
            "client_id": _CLIENT,
            "refresh_token": credentials.token,
        }
        answer = ask("POST", asked["realm"], data=form)
    else:
        headers = {"Authorization": _basic(credentials)} if credentials else {}
        answer = ask("GET", asked["realm"], params=wanted, headers=headers)
    return f"Bearer {_token(answer)}"


def _token(answer: requests.Response) -> str:
    if answer.ok:
        try:
            document = json.loads(said(answer))
        except ValueError:
            document = None
        if isinstance(document, dict):
            token = document.get("token") or document.get("access_token")
            if isinstance(token, str) and re.fullmatch(r"[\x21-\x7e]+", token):
                return token
    raise UsageError(
        f"The registry's server for tokens answers {answer.status_code}, and gives no token.",
        hint="Log in once more: docker login HOST",
    )
