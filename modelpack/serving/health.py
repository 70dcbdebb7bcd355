"""`python -m modelpack.serving.health`: exit status 0 if the service on this machine lives, 1 if
not. For HEALTHCHECK, so it imports little and is done in a moment.
"""

from __future__ import annotations

import http.client
import os
import sys

PORTS = ("SAGEMAKER_BIND_TO_PORT", "AIP_HTTP_PORT", "PORT")
"""The first that is set counts. SageMaker and Vertex AI set theirs, and the image sets PORT."""
DEFAULT_PORT = 8080


def lives(port: int, seconds: float = 3.0) -> bool:
    """Whether /healthz on 127.0.0.1 answers 200 within `seconds`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    found = next(filter(None, map(os.environ.get, PORTS)), DEFAULT_PORT)
    sys.exit(0 if lives(int(found)) else 1)
