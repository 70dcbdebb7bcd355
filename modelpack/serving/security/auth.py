"""Authentication of requests by the optional token."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import re
from pathlib import Path
from typing import Any, Mapping

from flask import Flask, Response, request

from .. import platforms, playground, problems, settings
from ..errors import StartupError
from ..observability import requests
from ..problems import Problem

EXTENSION = "modelpack.token"
VARIABLE, FILE_VARIABLE = "MODELPACK_TOKEN", "MODELPACK_TOKEN_FILE"
OPEN_METRICS = "MODELPACK_OPEN_METRICS"
BITS = 128
MIN_DISTINCT = 8  # a random token of 128 bits has fewer characters once in 10,000,000,000
MAX_LENGTH = 4096
B64TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
ALPHABETS = ((r"[0-9]+", 10), (r"[0-9a-f]+|[0-9A-F]+", 16), (r"[0-9a-z]+|[0-9A-Z]+", 36))
MAX_ALPHABET = 64
BEARER, BASIC = 'Bearer realm="modelpack"', 'Basic realm="modelpack", charset="UTF-8"'
SCRIPT = "empty"  # sent by scripts of the page, which has a form for the token
HINT = "Create a token with `openssl rand -hex 32`."


def install(app: Flask, environ: Mapping[str, str]) -> None:
    """Make `app` require the token that `environ` sets, if it sets one.

    Raises:
        StartupError: The token is malformed, or MODELPACK_OPEN_METRICS is neither 0 nor 1.
    """
    expected = token(environ)
    is_open = open_routes(environ)
    if expected is None:
        return
    app.extensions[EXTENSION] = _digest(expected.encode())

    @app.before_request
    def check() -> Response | None:
        """Reject a request without the token, also for unknown routes, so that none is revealed."""
        if request.url_rule and (
            request.url_rule.rule in is_open or playground.prefers_html(request)
        ):
            return None  # the page contains nothing of the model before its user enters the token
        return None if is_authorized(app, request.environ) else _unauthorized()


def require_valid(environ: Mapping[str, str]) -> None:
    """Check the settings of the token.

    Raises:
        StartupError: The token is malformed, or MODELPACK_OPEN_METRICS is neither 0 nor 1.
    """
    token(environ)
    open_routes(environ)


def is_authorized(app: Flask, environ: Mapping[str, Any]) -> bool:
    """Return whether a request has the token of `app`, or `app` has no token."""
    digest = app.extensions.get(EXTENSION)
    if digest is None:
        return True
    received = credentials(environ.get("HTTP_AUTHORIZATION", ""))
    return hmac.compare_digest(_digest(received), digest)


def open_routes(environ: Mapping[str, str]) -> frozenset[str]:
    """Return the routes that need no token. Raise StartupError if their setting is malformed."""
    vertex = platforms.vertex_route(environ, platforms.HEALTH_ROUTE)
    metrics = {"/metrics"} if settings.flag(environ, OPEN_METRICS) else set()
    return requests.HEALTH | metrics | ({vertex} if vertex else set())


def is_set(environ: Mapping[str, str]) -> bool:
    """Return whether a token is set. Its value was checked when the service started."""
    return VARIABLE in environ or FILE_VARIABLE in environ


def token(environ: Mapping[str, str]) -> str | None:
    """Return MODELPACK_TOKEN, or the content of MODELPACK_TOKEN_FILE; None if neither is set.

    Raises:
        StartupError: Both are set, the token is empty, malformed or weak, or the file cannot be
            read.
    """
    if VARIABLE in environ and FILE_VARIABLE in environ:
        raise StartupError(f"both {VARIABLE} and {FILE_VARIABLE} are set; set one of them.")
    if FILE_VARIABLE in environ:
        return _checked(_content(environ[FILE_VARIABLE]), f"the file of {FILE_VARIABLE}")
    if VARIABLE in environ:
        return _checked(environ[VARIABLE], VARIABLE)
    return None


def credentials(header: str) -> bytes:
    """Return the token in a header `Authorization`, empty if it contains none."""
    scheme, _, value = header.strip(" ").partition(" ")
    value = value.strip(" ")
    if scheme.lower() == "bearer":
        return value.encode("latin-1", "replace")
    if scheme.lower() == "basic":
        return _password(value)
    return b""


def bits(text: str) -> float:
    """Return the bits of a random token in the smallest alphabet that contains its characters."""
    sizes = [size for pattern, size in ALPHABETS if re.fullmatch(pattern, text)]
    return len(text) * math.log2(min(sizes, default=MAX_ALPHABET))


def _password(value: str) -> bytes:
    try:
        return base64.b64decode(value.encode("ascii"), validate=True).partition(b":")[2]
    except ValueError:
        return b""


def _digest(received: bytes) -> bytes:
    # Digests have one length, so that a comparison does not reveal the length of the token.
    return hashlib.sha256(received).digest()


def _unauthorized() -> Response:
    response = problems.response(
        Problem(401, "Send the service's token, with the header Authorization: Bearer TOKEN.")
    )
    response.headers.add("WWW-Authenticate", BEARER)
    if request.environ.get("HTTP_SEC_FETCH_DEST") != SCRIPT:
        response.headers.add("WWW-Authenticate", BASIC)
    return response


def _content(path: str) -> str:
    try:
        with Path(path).open(encoding="utf-8") as file:
            return file.read(MAX_LENGTH + 1).rstrip("\r\n")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise StartupError(f"the file of {FILE_VARIABLE} cannot be read: {reason}.") from error


def _checked(text: str, source: str) -> str:
    """Return `text` if it is a token that cannot be guessed. No error contains it."""
    if not text:
        raise StartupError(f"{source} is empty. {HINT}")
    if len(text) > MAX_LENGTH or not B64TOKEN.fullmatch(text):
        raise StartupError(
            f"{source} is too long, or has characters other than letters, digits and -._~+/=. "
            f"{HINT}"
        )
    if bits(text) < BITS or len(set(text)) < MIN_DISTINCT:
        raise StartupError(f"{source} contains a token of fewer than {BITS} bits. {HINT}")
    return text
