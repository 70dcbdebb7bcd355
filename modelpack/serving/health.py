"""`python -m modelpack.serving.health`, the HEALTHCHECK of the image.

Exits with 0 if the service on this machine is alive, otherwise with 1. Importing `http.client`
would take longer than all the rest.
"""

from __future__ import annotations

import os
import socket
import sys

PORTS = ("SAGEMAKER_BIND_TO_PORT", "AIP_HTTP_PORT", "PORT")
"""Variables in the order of precedence. SageMaker and Vertex AI set theirs, the image sets PORT."""
DEFAULT_PORT = 8080
_MAX_LINE = 2**10


def is_alive(port: int, seconds: float = 3.0) -> bool:
    """Return whether GET /healthz on 127.0.0.1 returns 200 within `seconds`."""
    try:
        with socket.create_connection(("127.0.0.1", port), seconds) as connection:
            connection.sendall(
                b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
            )
            with connection.makefile("rb") as response:
                return response.readline(_MAX_LINE).split(b" ")[1:2] == [b"200"]
    except OSError:
        return False


if __name__ == "__main__":
    port = next(filter(None, map(os.environ.get, PORTS)), DEFAULT_PORT)
    sys.exit(0 if is_alive(int(port)) else 1)
