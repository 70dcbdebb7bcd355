"""Wait for a condition, or for the response of a URL."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.request import urlopen


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Return whether `condition` becomes true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def get_when_ready(url: str) -> bytes:
    """Return the body of the response, retrying until the server accepts connections."""
    deadline = time.monotonic() + 20
    while True:
        try:
            with urlopen(url, timeout=5) as response:
                return response.read()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
