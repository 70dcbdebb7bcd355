"""Lets what must not be left half done be finished before an interrupt is heard."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def held_back() -> Iterator[None]:
    """What would interrupt the block does so once it has ended. Python interrupts its main thread
    only, so that in another there is nothing to hold back.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers = [(number, signal.getsignal(number)) for number in _NUMBERS]
    try:
        for number in _NUMBERS:
            signal.signal(number, lambda number, _: came.append(number))
        yield
    finally:
        for number, handler in handlers:
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)
