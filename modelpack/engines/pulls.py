"""Pulls images without waiting for a registry that does not answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import Thread

import docker
from docker.errors import APIError, DockerException, ImageNotFound

from modelpack.engines.hosts import Host
from modelpack.errors import UsageError

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
def pulled(host: Host, reference: str) -> Iterator[str]:
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


def _is_here(host: Host, reference: str) -> bool:
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
