"""`python -m modelpack.serving.health`, the HEALTHCHECK of the image.

Exits with 0 if the service on this machine is alive, otherwise with 1. Imports little, to be fast.
"""

from __future__ import annotations

import http.client
import os
import sys

PORTS = ("SAGEMAKER_BIND_TO_PORT", "AIP_HTTP_PORT", "PORT")
"""Variables in the order of precedence. SageMaker and Vertex AI set theirs, the image sets PORT."""
DEFAULT_PORT = 8080


def is_alive(port: int, seconds: float = 3.0) -> bool:
    """Return whether GET /healthz on 127.0.0.1 returns 200 within `seconds`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    port = next(filter(None, map(os.environ.get, PORTS)), DEFAULT_PORT)
    sys.exit(0 if is_alive(int(port)) else 1)
