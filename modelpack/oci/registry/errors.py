"""Errors of registries, explained to the user.

Texts of a registry are hostile input. No message contains a URL, because signed ones are secrets.

Source: opencontainers/distribution-spec 1.1, spec.md, "Error Codes".
"""

from __future__ import annotations

import json
import socket

import requests
import urllib3

from modelpack.errors import BuildFailedError, ModelpackError, UsageError
from modelpack.oci.reference import DOCKER_HUB, ImageReference

BUSY = frozenset({408, 429, 500, 502, 503, 504})
_MAX_MESSAGE_LENGTH = 300
_MAX_RESPONSE_BYTES = 2**16


class BusyError(BuildFailedError):
    """The registry was busy, or the connection broke: a retry may help."""


def connection_lost(name: ImageReference, error: Exception) -> BusyError:
    """Return the error for a connection that broke or timed out."""
    why, hint = _reason(name, error)
    return BusyError(f"The registry {name.registry} stopped responding: {why}.", hint=hint)


def rejected(name: ImageReference, answer: requests.Response) -> ModelpackError:
    """Return the error for an unexpected response."""
    status, message = answer.status_code, error_message(response_text(answer))
    why = f": {message}" if message else ""
    if status == 401:
        return UsageError(
            f"The registry {name.registry} requires a login, or rejects the credentials{why}.",
            hint=login(name.registry),
        )
    if status == 403:
        return UsageError(
            f"The registry {name.registry} denies access to {name.repository}{why}.",
            hint=f"{login(name.registry)} as a user with access, or give another name.",
        )
    if status == 404:
        return not_found(name, name.reference, why)
    if status == 413:
        return BuildFailedError(
            f"A layer is too large for the registry {name.registry}{why}.",
            hint="Raise the limit of the registry, or of its proxy.",
        )
    message = f"The registry {name.registry} responds with status {status}{why}."
    if status in BUSY:
        return BusyError(message, hint="Try again later.")
    return BuildFailedError(message, hint="Contact its administrator.")


def not_found(name: ImageReference, reference: str, why: str = "") -> UsageError:
    """Return the error for a missing tag or digest."""
    mark = "@" if reference.startswith("sha256:") else ":"
    return UsageError(
        f"The registry {name.registry} has no {name.repository}{mark}{reference}{why}.",
        hint="Check the spelling, and who has access.",
    )


def unreachable(name: ImageReference, error: Exception) -> ModelpackError:
    """Return the error for a registry that has not responded yet."""
    why, hint = _reason(name, error)
    return UsageError(f"The registry {name.registry} cannot be reached: {why}.", hint=hint)


def login(host: str) -> str:
    return "docker login" if host == DOCKER_HUB else f"docker login {host}"


def response_text(answer: requests.Response) -> str:
    """Return the beginning of a response, or "" if the connection breaks."""
    try:
        data: bytes = answer.raw.read(_MAX_RESPONSE_BYTES, decode_content=True)
    except urllib3.exceptions.HTTPError:
        return ""
    return data.decode(errors="replace")


def error_message(text: str) -> str:
    """Return the messages in a response of a registry, or "" if it is malformed."""
    try:
        document = json.loads(text)
        messages = [f"{entry['code']}: {entry['message']}" for entry in document["errors"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    message = "; ".join(messages)[:_MAX_MESSAGE_LENGTH]
    return "".join(char if char.isprintable() else " " for char in message).rstrip(". ")


def _reason(name: ImageReference, error: Exception) -> tuple[str, str]:
    causes = _causes(error)
    if "CERTIFICATE_VERIFY_FAILED" in " ".join(map(str, causes)):
        return "no trusted authority has signed its certificate", (
            f"Add its authority to /etc/docker/certs.d/{name.registry}/ca.crt, or to the file"
            " that REQUESTS_CA_BUNDLE names."
        )
    for kind, why, hint in _REASONS:
        if any(isinstance(cause, kind) for cause in causes):
            return why, hint.format(name.registry_host)
    return "the connection breaks", "Try again later."


_REASONS = (
    (
        requests.exceptions.SSLError,
        "it does not use TLS",
        "To allow that, set MODELPACK_PLAIN_HTTP={}",
    ),
    (requests.exceptions.ProxyError, "the proxy fails", "Check HTTPS_PROXY and NO_PROXY."),
    (socket.gaierror, "the host does not exist", "Check the spelling."),
    (ConnectionRefusedError, "nothing listens there", "Check that it runs, and the port."),
    (requests.Timeout, "it does not respond in time", "Try again later."),
)


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
        nested = inner if isinstance(inner, BaseException) else None
        error = nested or error.__cause__ or error.__context__
    return found
