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
News = SimpleQueue[str | None]  # "": progress; a text: why it failed; None: it is here

_PATIENCE = 60  # seconds without a word


def pull(connect: Connect, reference: str, patience: float) -> str:
    """Pulls an image. Returns why that failed, "" if it did not.

    `patience`: seconds without a word from the registry; a pull in progress tells of itself all
    the time. The SDK has no such limit, and the engine's own is half a minute: so another thread
    listens, and is left to itself when it has nothing to tell.
    """
    news: News = SimpleQueue()
    Thread(target=_listen, args=(connect, reference, news), daemon=True).start()
    try:
        while (why := news.get(timeout=patience)) is not None:
            if why:
                return why
    except Empty:
        return f"its registry does not answer within {patience:g} s"
    return ""


@contextmanager
def pull_temporarily(host: EngineHost, reference: str) -> Iterator[str]:
    """The image, which is removed at the end if it was not here before.

    Raises:
        UsageError: it cannot be had.
    """
    if _is_here(host, reference):
        yield reference
        return
    if why := pull(host.connect, reference, _PATIENCE):
        raise UsageError(
            f"{reference} cannot be pulled: {why}.",
            hint=f"Does `{host.command} pull {reference}` work?",
        )
    try:
        yield reference
    finally:
        with suppress(ImageNotFound, APIError):  # somebody else may use it by now
            host.client.images.remove(reference)


def _is_here(host: EngineHost, reference: str) -> bool:
    try:
        host.client.images.get(reference)
    except ImageNotFound:
        return False
    return True


def digest(connect: Connect, reference: str, platform: str, patience: float) -> str:
    """What the registry calls the image `reference` with all its platforms; "" where it does not
    answer within `patience` seconds, or has none for `platform`.
    """
    answers: SimpleQueue[str] = SimpleQueue()
    Thread(target=_ask, args=(connect, reference, platform, answers), daemon=True).start()
    try:
        return answers.get(timeout=patience)
    except Empty:
        return ""


def _ask(connect: Connect, reference: str, platform: str, answers: SimpleQueue[str]) -> None:
    try:
        with closing(connect()) as client:
            data = client.images.get_registry_data(reference)
            answers.put(data.id if data.has_platform(platform) else "")
    except (DockerException, OSError):
        answers.put("")


def reason(error: Exception) -> str:
    """What the engine said, on one line."""
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
# What Docker says -> what that means, and what to do. "{0}" is the registry.
_CAUSES = (
    (
        r"HTTP response to HTTPS client",
        "it speaks no TLS",
        'If that is meant, put it into "insecure-registries" of /etc/docker/daemon.json.',
    ),
    (
        r"x509: |certificate",
        "nobody who is trusted here vouches for its certificate",
        "Put its authority into /etc/docker/certs.d/{0}/ca.crt.",
    ),
    (r"no such host|server misbehaving", "there is no such host", "Look at its spelling."),
    (r"connection refused", "nothing listens there", "Is it running, and is the port right?"),
    (r"timeout|deadline exceeded", "it does not answer in time", "Try again later."),
    (
        r"unauthorized|authentication required|no basic auth credentials|\b401\b",
        "it asks who you are, and does not take what it was told",
        "{1}",
    ),
    (
        r"denied|insufficient_scope|\b403\b",
        "it denies access",
        "{1} as a user who may, or give another name: --as REF",
    ),
    (r"does not exist|No such image", "there is no such image here", "docker image ls"),
)
_TOO_LARGE = r"\b413\b|too large"


def push(client: docker.DockerClient, name: ImageReference, on_progress: OnProgress) -> str:
    """Pushes what is called so, with what `docker login` has left; the manifest's digest.

    Raises:
        UsageError: there is no such image, or the registry cannot be reached, or does not let this
            user do it.
        BuildFailedError: the registry fails, or does not take the image.
    """
    host, told, known = name.registry, _PushEvents(on_progress), _credentials(name)
    try:
        for event in client.api.push(
            name.name, name.tag, stream=True, decode=True, auth_config=known
        ):
            if "error" in event:
                raise failure(host, str(event["error"]))
            told.event(event)
    except (DockerException, requests.RequestException) as error:
        raise failure(host, reason(error)) from error
    if not told.digest:
        raise BuildFailedError(
            f"The engine does not tell under which digest {name} was pushed.",
            hint="Push it once more.",
        )
    return told.digest


def failure(host: str, said: str) -> ModelpackError:
    """For what an engine says when a push fails."""
    said = re.sub(r"\?\S*", "", " ".join(said.split()))[:500].rstrip(". ")  # addresses' secrets
    for pattern, why, hint in _CAUSES:
        if re.search(pattern, said):
            message = f"The image cannot be pushed to {host}: {why} ({said})."
            return UsageError(message, hint=hint.format(host, errors.login(host)))
    if re.search(_TOO_LARGE, said):
        return BuildFailedError(
            f"A layer is too large for {host} ({said}).",
            hint="Raise the limit of the registry, or of the proxy before it.",
        )
    return BuildFailedError(f"The image cannot be pushed to {host}: {said}.", hint="Try again.")


class _PushEvents:
    """What the engine has told so far."""

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
        """It has begun, even if all of it has gone already."""
        if layer not in self._sizes:
            self._sizes[layer] = total
            self._on_progress(layer, 0, total)
        elif done:
            self._on_progress(layer, min(done, self._sizes[layer] - 1), self._sizes[layer])


def _credentials(name: ImageReference) -> dict[str, str]:
    """As Docker's API takes them."""
    host, found = name.registry, auth.find(name.registry, name.repository)
    if found is None:
        return {}
    if found.token:
        return {"identitytoken": found.token, "serveraddress": host}
    return {"username": found.user, "password": found.password, "serveraddress": host}
