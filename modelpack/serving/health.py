"""`python -m modelpack.serving.health`: exit status 0 if the service on this machine lives, 1 if
not. For HEALTHCHECK, so it imports little and is done in a moment.
"""

from __future__ import annotations

import http.client
import os
import sys


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
    sys.exit(0 if lives(int(os.environ.get("PORT") or 8080)) else 1)
