"""Registry failures explained to the user.

Source: opencontainers/distribution-spec 1.1, spec.md, "Error Codes". Its own words are hostile
text. Addresses stand in no message: registries make up some that are as good as a password.
"""

from __future__ import annotations

import json
import socket

import requests
import urllib3

from modelpack.errors import BuildFailedError, ModelpackError, UsageError
from modelpack.oci.reference import DOCKER_HUB, ImageReference

BUSY = frozenset({408, 429, 500, 502, 503, 504})
_WORDS = 300  # characters of the registry's own
_READ = 2**16  # bytes


class BusyError(BuildFailedError):
    """It was busy, or the connection broke: asked once more, it may do it."""


def connection_lost(name: ImageReference, error: Exception) -> BusyError:
    """For a connection that broke, or on which nothing came, once there had been one."""
    why, hint = _reason(name, error)
    return BusyError(f"The registry {name.registry} has stopped to answer: {why}.", hint=hint)


def rejected(name: ImageReference, answer: requests.Response) -> ModelpackError:
    """For an answer that is none to what was asked."""
    status, told = answer.status_code, error_message(response_text(answer))
    why = f": {told}" if told else ""
    if status == 401:
        return UsageError(
            f"The registry {name.registry} asks who you are, and does not take what it was told"
            f"{why}.",
            hint=login(name.registry),
        )
    if status == 403:
        return UsageError(
            f"The registry {name.registry} denies access to {name.repository}{why}.",
            hint=f"{login(name.registry)} as a user who may, or give another name.",
        )
    if status == 404:
        return not_found(name, name.reference, why)
    if status == 413:
        return BuildFailedError(
            f"A layer is too large for the registry {name.registry}{why}.",
            hint="Raise the limit of the registry, or of the proxy before it.",
        )
    message = f"The registry {name.registry} answers {status}{why}."
    if status in BUSY:
        return BusyError(message, hint="Try again later.")
    return BuildFailedError(message, hint="Ask whoever runs it.")


def not_found(name: ImageReference, reference: str, said: str = "") -> UsageError:
    """For a tag or a digest that is not there."""
    mark = "@" if reference.startswith("sha256:") else ":"
    return UsageError(
        f"The registry {name.registry} has no {name.repository}{mark}{reference}{said}.",
        hint="Look at its spelling, and at who may see it.",
    )


def unreachable(name: ImageReference, error: Exception) -> ModelpackError:
    """For a registry that has not answered yet."""
    why, hint = _reason(name, error)
    return UsageError(f"The registry {name.registry} cannot be reached: {why}.", hint=hint)


def login(host: str) -> str:
    return "docker login" if host == DOCKER_HUB else f"docker login {host}"


def response_text(answer: requests.Response) -> str:
    """The beginning of an answer's text; "" if the connection breaks."""
    try:
        data: bytes = answer.raw.read(_READ, decode_content=True)
    except urllib3.exceptions.HTTPError:
        return ""
    return data.decode(errors="replace")


def error_message(text: str) -> str:
    """What an answer of a registry says; "" if that is in no form that is known."""
    try:
        document = json.loads(text)
        told = [f"{entry['code']}: {entry['message']}" for entry in document["errors"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    said = "; ".join(told)[:_WORDS]
    return "".join(char if char.isprintable() else " " for char in said).rstrip(". ")


def _reason(name: ImageReference, error: Exception) -> tuple[str, str]:
    causes = _causes(error)
    if "CERTIFICATE_VERIFY_FAILED" in " ".join(map(str, causes)):
        return "nobody who is trusted here vouches for its certificate", (
            f"Put its authority into /etc/docker/certs.d/{name.registry}/ca.crt, or into the file"
            " that REQUESTS_CA_BUNDLE names."
        )
    for kind, why, hint in _REASONS:
        if any(isinstance(cause, kind) for cause in causes):
            return why, hint.format(name.registry_host)
    return "the connection breaks", "Try again later."


_REASONS = (
    (requests.exceptions.SSLError, "it speaks no TLS", "If that is meant: MODELPACK_PLAIN_HTTP={}"),
    (requests.exceptions.ProxyError, "the proxy fails", "Look at HTTPS_PROXY and NO_PROXY."),
    (socket.gaierror, "there is no such host", "Look at its spelling."),
    (ConnectionRefusedError, "nothing listens there", "Is it running, and is the port right?"),
    (requests.Timeout, "it does not answer in time", "Try again later."),
)


def _causes(error: BaseException | None) -> list[BaseException]:
    """An error, and what it comes from."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
        nested = inner if isinstance(inner, BaseException) else None
        error = nested or error.__cause__ or error.__context__
    return found
