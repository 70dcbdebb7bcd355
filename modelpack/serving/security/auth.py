"""The optional token."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import re
from pathlib import Path
from typing import Any, Mapping

from flask import Flask, Response, request

from .. import playground, problems, settings
from ..errors import StartupError
from ..observability import requests
from ..problems import Problem

EXTENSION = "modelpack.token"
VARIABLE, FILE_VARIABLE = "MODELPACK_TOKEN", "MODELPACK_TOKEN_FILE"
OPEN_METRICS = "MODELPACK_OPEN_METRICS"
BITS = 128
FEWEST_DIFFERENT = 8  # a random token of 128 bits has fewer characters once in 10,000,000,000
LONGEST = 4096
B64TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
ALPHABETS = ((r"[0-9]+", 10), (r"[0-9a-f]+|[0-9A-F]+", 16), (r"[0-9a-z]+|[0-9A-Z]+", 36))
WIDEST = 64
BEARER, BASIC = 'Bearer realm="modelpack"', 'Basic realm="modelpack", charset="UTF-8"'
SCRIPT = "empty"  # the page's own requests: it asks people itself, and not the browser in its stead
HOW = "Make one with `openssl rand -hex 32`."


def install(app: Flask, environ: Mapping[str, str]) -> None:
    """Let `app` ask for the token that `environ` sets, if it sets one.

    Raises:
        StartupError: as `token`; MODELPACK_OPEN_METRICS is neither 0 nor 1.
    """
    wanted = token(environ)
    is_open = open_routes(environ)
    if wanted is None:
        return
    app.extensions[EXTENSION] = _digest(wanted.encode())

    @app.before_request
    def check() -> Response | None:
        """Unknown routes too: who has no token is told nothing of what there is."""
        if request.url_rule and (
            request.url_rule.rule in is_open or playground.prefers_html(request)
        ):
            return None  # the page holds nothing of the model: it asks for the token, and then
        return None if passes(app, request.environ) else _refusal()


def require_valid(environ: Mapping[str, str]) -> None:
    """Check the settings of the token.

    Raises:
        StartupError: The token is malformed, or MODELPACK_OPEN_METRICS is neither 0 nor 1.
    """
    token(environ)
    open_routes(environ)


def passes(app: Flask, environ: Mapping[str, Any]) -> bool:
    """Whether a request of `app`, for a route that is not open, has the token, if there is one."""
    digest = app.extensions.get(EXTENSION)
    if digest is None:
        return True
    given = credentials(environ.get("HTTP_AUTHORIZATION", ""))
    return hmac.compare_digest(_digest(given), digest)


def open_routes(environ: Mapping[str, str]) -> frozenset[str]:
    """Those that ask for no token.

    Raises:
        StartupError: MODELPACK_OPEN_METRICS is neither 0 nor 1.
    """
    return requests.HEALTH | ({"/metrics"} if settings.flag(environ, OPEN_METRICS) else set())


def is_set(environ: Mapping[str, str]) -> bool:
    """Whether there is a token, of a service that has started."""
    return VARIABLE in environ or FILE_VARIABLE in environ


def token(environ: Mapping[str, str]) -> str | None:
    """The token of MODELPACK_TOKEN, or in the file that MODELPACK_TOKEN_FILE names; None where
    neither is set.

    Raises:
        StartupError: both are set; it is empty, malformed or weak; the file cannot be read.
    """
    if VARIABLE in environ and FILE_VARIABLE in environ:
        raise StartupError(f"both {VARIABLE} and {FILE_VARIABLE} are set; set one of them.")
    if FILE_VARIABLE in environ:
        return _sound(_content(environ[FILE_VARIABLE]), f"the file that {FILE_VARIABLE} names")
    if VARIABLE in environ:
        return _sound(environ[VARIABLE], VARIABLE)
    return None


def credentials(header: str) -> bytes:
    """What a header `Authorization` gives as the token: empty where it gives none."""
    scheme, _, value = header.strip(" ").partition(" ")
    value = value.strip(" ")
    if scheme.lower() == "bearer":
        return value.encode("latin-1", "replace")
    if scheme.lower() == "basic":
        return _password(value)
    return b""


def bits(text: str) -> float:
    """How many bits a token of random characters has, of the narrowest alphabet that it fits."""
    sizes = [size for pattern, size in ALPHABETS if re.fullmatch(pattern, text)]
    return len(text) * math.log2(min(sizes, default=WIDEST))


def _password(value: str) -> bytes:
    try:
        return base64.b64decode(value.encode("ascii"), validate=True).partition(b":")[2]
    except ValueError:
        return b""


def _digest(given: bytes) -> bytes:
    # Of one length, whatever came: comparing tells nothing of the token's.
    return hashlib.sha256(given).digest()


def _refusal() -> Response:
    answer = problems.response(
        Problem(401, "Send the service's token, with the header Authorization: Bearer TOKEN.")
    )
    answer.headers.add("WWW-Authenticate", BEARER)
    if request.environ.get("HTTP_SEC_FETCH_DEST") != SCRIPT:
        answer.headers.add("WWW-Authenticate", BASIC)
    return answer


def _content(path: str) -> str:
    try:
        with Path(path).open(encoding="utf-8") as file:
            return file.read(LONGEST + 1).rstrip("\r\n")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise StartupError(
            f"the file that {FILE_VARIABLE} names cannot be read: {reason}."
        ) from error


def _sound(text: str, source: str) -> str:
    """`text`, if it can be sent as a token and cannot be guessed. Errors never show it."""
    if not text:
        raise StartupError(f"{source} is empty. {HOW}")
    if len(text) > LONGEST or not B64TOKEN.fullmatch(text):
        raise StartupError(
            f"{source} holds more than a token of letters, digits and -._~+/= has. {HOW}"
        )
    if bits(text) < BITS or len(set(text)) < FEWEST_DIFFERENT:
        raise StartupError(f"{source} holds a token of fewer than {BITS} bits. {HOW}")
    return text
