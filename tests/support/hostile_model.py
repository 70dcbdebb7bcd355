"""A model that tries forbidden actions when it is loaded and when it predicts."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sklearn.base import BaseEstimator

FAST_OPEN = 0x20000000


def refusal(call: Callable[[], object]) -> str | None:
    try:
        call()
    except OSError as error:
        return error.strerror
    return None


def _send_at_once() -> None:
    with socket.socket() as stream:
        stream.sendto(b"x", FAST_OPEN, ("127.0.0.1", 9))


def attempt_all() -> dict[str, str | None]:
    """Return the error of the kernel for each attempt, None if the attempt succeeds."""
    return {
        "exec": refusal(lambda: subprocess.run(["true"], check=False)),
        "app": refusal(lambda: Path("app.py").open("a").close()),
        "connect": refusal(lambda: socket.create_connection(("127.0.0.1", 9), 1)),
        "send": refusal(_send_at_once),
        "datagram": refusal(lambda: socket.socket(type=socket.SOCK_DGRAM)),
        "netlink": refusal(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
        "listen": refusal(lambda: socket.create_server(("127.0.0.1", 0)).close()),
    }


class Hostile(BaseEstimator):
    """A model that predicts the failed attempts: [at load time, now]."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.loaded_ = attempt_all()

    def predict(self, rows: Any) -> list[str]:
        return [json.dumps([self.loaded_, attempt_all()])] * len(rows)
