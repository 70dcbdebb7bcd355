"""Pulls and pushes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound

from modelpack.engines.docker.connection import EngineHost
from modelpack.engines.protocol import OnProgress
from modelpack.errors import BuildFailedError, ModelpackError, UsageError
from modelpack.oci.reference import ImageReference
from modelpack.oci.registry import auth, errors

Connect = Callable[[], docker.DockerClient]  # to the engine that pulls
News = SimpleQueue[str | None]  # "": progress; a text: why it failed; None: it is pulled

_TIMEOUT = 60  # seconds without progress


def pull(connect: Connect, reference: str, timeout: float) -> str:
    """Pull an image. Return why that failed, such as `timeout` seconds without progress, or "".

    The SDK has no timeout, and that of the engine is half a minute. Therefore another thread
    listens to the engine, and is abandoned after the timeout.
    """
    news: News = SimpleQueue()
    Thread(target=_listen, args=(connect, reference, news), daemon=True).start()
    try:
        while (why := news.get(timeout=timeout)) is not None:
            if why:
                return why
    except Empty:
        return f"its registry does not respond within {timeout:g} s"
    return ""


@contextmanager
def pull_temporarily(host: EngineHost, reference: str) -> Iterator[str]:
    """Yield the image. If it was pulled for this, it is removed with the context.

    Raises:
        UsageError: The image cannot be pulled.
    """
    if _is_here(host, reference):
        yield reference
        return
    if why := pull(host.connect, reference, _TIMEOUT):
        raise UsageError(
            f"{reference} cannot be pulled: {why}.", hint=f"Run: {host.command} pull {reference}"
        )
    try:
        yield reference
    finally:
        with suppress(ImageNotFound, APIError):  # another process may use it
            host.client.images.remove(reference)


def _is_here(host: EngineHost, reference: str) -> bool:
    try:
        host.client.images.get(reference)
    except ImageNotFound:
        return False
    return True


def digest(connect: Connect, reference: str, platform: str, timeout: float) -> str:
    """Return the digest of an image or image index in its registry.

    The result is "" if the registry does not respond in time, or has no image for the platform.
    """
    answers: SimpleQueue[str] = SimpleQueue()
    Thread(
        target=_request_digest, args=(connect, reference, platform, answers), daemon=True
    ).start()
    try:
        return answers.get(timeout=timeout)
    except Empty:
        return ""


def _request_digest(
    connect: Connect, reference: str, platform: str, answers: SimpleQueue[str]
) -> None:
    try:
        with closing(connect()) as client:
            data = client.images.get_registry_data(reference)
            answers.put(data.id if data.has_platform(platform) else "")
    except (DockerException, OSError):
        answers.put("")


def reason(error: Exception) -> str:
    """Return the message of the engine on one line."""
    return " ".join(str(getattr(error, "explanation", None) or error).split()).rstrip(".")


def _listen(connect: Connect, reference: str, news: News) -> None:
    try:
        with closing(connect()) as client:
            for event in client.api.pull(reference, stream=True, decode=True):
                news.put(event.get("error", ""))
    except (DockerException, OSError) as error:
        news.put(reason(error))
    news.put(None)


_EXISTING = re.compile("Layer already exists|Mounted from ")
# Pattern of Docker's message, what it means, and what to do. "{0}" is the registry.
_CAUSES = (
    (
        r"HTTP response to HTTPS client",
        "it does not use TLS",
        'To allow that, add it to "insecure-registries" in /etc/docker/daemon.json.',
    ),
    (
        r"x509: |certificate",
        "no trusted authority has signed its certificate",
        "Add its authority to /etc/docker/certs.d/{0}/ca.crt.",
    ),
    (r"no such host|server misbehaving", "the host does not exist", "Check the spelling."),
    (r"connection refused", "nothing listens there", "Check that it runs, and the port."),
    (r"timeout|deadline exceeded", "it does not respond in time", "Try again later."),
    (
        r"unauthorized|authentication required|no basic auth credentials|\b401\b",
        "it requires a login, or rejects the credentials",
        "{1}",
    ),
    (
        r"denied|insufficient_scope|\b403\b",
        "it denies access",
        "{1} as a user with access, or give another name: --as REF",
    ),
    (r"does not exist|No such image", "the engine has no such image", "docker image ls"),
)
_TOO_LARGE = r"\b413\b|too large"


def push(client: docker.DockerClient, name: ImageReference, on_progress: OnProgress) -> str:
    """Push an image with the credentials of `docker login`, and return the digest of its manifest.

    Raises:
        UsageError: The image does not exist, or the registry cannot be reached or denies access.
        BuildFailedError: The registry fails or rejects the image.
    """
    host, events, known = name.registry, _PushEvents(on_progress), _credentials(name)
    try:
        for event in client.api.push(
            name.name, name.tag, stream=True, decode=True, auth_config=known
        ):
            if "error" in event:
                raise failure(host, str(event["error"]))
            events.event(event)
    except (DockerException, requests.RequestException) as error:
        raise failure(host, reason(error)) from error
    if not events.digest:
        raise BuildFailedError(
            f"The engine did not report the digest of {name}.", hint="Push the image again."
        )
    return events.digest


def failure(host: str, message: str) -> ModelpackError:
    """Return the error for an engine's message about a failed push."""
    reported = re.sub(r"\?\S*", "", " ".join(message.split()))[:500].rstrip(". ")  # secrets in URLs
    for pattern, why, hint in _CAUSES:
        if re.search(pattern, reported):
            text = f"The image cannot be pushed to {host}: {why} ({reported})."
            return UsageError(text, hint=hint.format(host, errors.login(host)))
    if re.search(_TOO_LARGE, reported):
        return BuildFailedError(
            f"A layer is too large for {host} ({reported}).",
            hint="Raise the limit of the registry, or of its proxy.",
        )
    return BuildFailedError(f"The image cannot be pushed to {host}: {reported}.", hint="Try again.")


class _PushEvents:
    """The events of a push, reported to `on_progress`."""

    def __init__(self, on_progress: OnProgress) -> None:
        self.digest = ""
        self._on_progress = on_progress
        self._sizes: dict[str, int] = {}

    def event(self, event: Mapping[str, Any]) -> None:
        layer, status = str(event.get("id", "")), str(event.get("status", ""))
        detail, aux = event.get("progressDetail") or {}, event.get("aux") or {}
        if "Digest" in aux:
            self.digest = str(aux["Digest"])
        elif _EXISTING.match(status):
            self._on_progress(layer, 0, 0)
        elif status == "Pushing" and detail.get("total"):
            self._moving(layer, int(detail.get("current", 0)), int(detail["total"]))
        elif status == "Pushed":
            self._moving(layer, 0, self._sizes.get(layer, 1))
            self._on_progress(layer, self._sizes[layer], self._sizes[layer])

    def _moving(self, layer: str, done: int, total: int) -> None:
        """Report the start of a layer first, even if all of it is pushed already."""
        if layer not in self._sizes:
            self._sizes[layer] = total
            self._on_progress(layer, 0, total)
        elif done:
            self._on_progress(layer, min(done, self._sizes[layer] - 1), self._sizes[layer])


def _credentials(name: ImageReference) -> dict[str, str]:
    """Return the credentials for a registry in the form of Docker's API."""
    host, found = name.registry, auth.find(name.registry, name.repository)
    if found is None:
        return {}
    if found.token:
        return {"identitytoken": found.token, "serveraddress": host}
    return {"username": found.user, "password": found.password, "serveraddress": host}
