"""Expected answers of the smoke test: those of the model itself, in a sandbox of the image.

An image is immutable, and its model answers the same rows again as before. The newest response of
each packaged image is therefore kept, and a second smoke test needs no sandbox while the service
answers as expected.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from modelpack import cache, parity
from modelpack.engines.protocol import Runner
from modelpack.errors import SmokeFailedError
from modelpack.types import Reference

T = TypeVar("T")

_MAX_BYTES = 2**20
"""Larger responses are not kept."""


@dataclass(frozen=True)
class Expected:
    """Expected answers.

    Attributes:
        answers: Waits for the rows with their answers.
        again: Queries the model if `answers` are those of an earlier test; None if they are equal.
    """

    answers: Callable[[], Reference]
    again: Callable[[], Reference | None] | None = None


@contextmanager
def query(
    runner: Runner, target: str, rows: Reference, *, concurrent: bool, reuse: bool
) -> Iterator[Expected]:
    """Query the model in a sandbox, in parallel to the start of the service.

    The response has the answers, unless they are known, and the bodies that pandas writes.

    Args:
        runner: Runs the sandbox.
        target: An image or a bundle.
        rows: The rows. Nothing is queried without any.
        concurrent: Yield before the response is complete.
        reuse: `target` is the id of an image, whose response is kept and used again.
    """
    if not rows.rows or rows.alone is not None:
        yield Expected(lambda: rows)
        return
    request = parity.build_request(rows, bodies=True)
    known = _load(target, request) if reuse else None
    if known is not None:
        completed = parity.complete_reference(rows, known)
        yield Expected(lambda: completed, partial(_query_again, runner, target, rows, known))
        return
    with entered_in_parallel(runner.query_model(target, request)) as entered:

        def answers() -> Reference:
            return _complete(rows, entered(), partial(_store, target, request) if reuse else None)

        if concurrent:
            yield Expected(answers)
        else:
            completed = answers()
            yield Expected(lambda: completed)


def complete(runner: Runner, target: str, rows: Reference) -> Reference:
    """Return the rows with the answers of the model in an image, or in a bundle."""
    with runner.query_model(target, parity.build_request(rows, bodies=True)) as get_response:
        return _complete(rows, get_response)


def _complete(
    rows: Reference, get_response: Callable[[], bytes], keep: Callable[[bytes], None] | None = None
) -> Reference:
    try:
        response = get_response()
    except SmokeFailedError as error:
        if rows.answers is not None:
            return rows
        return replace(rows, problem=f"the model does not respond in a sandbox: {error.message}")
    completed = parity.complete_reference(rows, response)
    if keep and not completed.problem:
        keep(response)
    return completed


def _query_again(runner: Runner, target: str, rows: Reference, known: bytes) -> Reference | None:
    """Return the rows with the answers of the model, None if its response is the known one."""
    request = parity.build_request(rows, bodies=True)
    with runner.query_model(target, request) as get_response:
        try:
            response = get_response()
        except SmokeFailedError:
            return None
    if response == known:
        return None
    _store(target, request, response)
    return parity.complete_reference(rows, response)


@contextmanager
def entered_in_parallel(context: AbstractContextManager[T]) -> Iterator[Callable[[], T]]:
    """Enter a context in another thread, and yield a function that waits for its value.

    The thread ends after the context, because the kernel may end a process with the thread that
    started it.
    """
    with ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        entered = pool.submit(stack.enter_context, context)
        try:
            yield entered.result
        finally:
            wait([entered])


def _store(image_id: str, request: bytes, response: bytes) -> None:
    """Keep the response to a request."""
    if len(response) <= _MAX_BYTES:
        with suppress(UnicodeDecodeError):
            cache.write("answers", _name(image_id), f"{_digest(request)}\n{response.decode()}")


def _load(image_id: str, request: bytes) -> bytes | None:
    """Return the response of an image to its newest request, if that was this one."""
    with suppress(OSError, ValueError):
        digest, _, response = cache.read("answers", _name(image_id)).partition("\n")
        return response.encode() if digest == _digest(request) else None
    return None


def _digest(request: bytes) -> str:
    return hashlib.sha256(request).hexdigest()


def _name(image_id: str) -> str:
    return image_id.removeprefix("sha256:")
