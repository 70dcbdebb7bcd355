"""Problems with the member `error`, in which clients of V1 and V2 look for what was wrong.

RFC 9457 (section 3.2) lets a problem have members of its own; the protocols want
{"error": $string}.
"""

from __future__ import annotations

import orjson
from flask import Response, request


def tell(response: Response) -> Response:
    """What a route of /v1 or /v2 answers, with `error` if it is a problem."""
    version = request.path.split("/", 2)[1]
    if version in ("v1", "v2") and response.mimetype == "application/problem+json":
        response.set_data(with_error(response.get_data()))
    return response


def with_error(problem: bytes) -> bytes:
    """Return a problem with its detail as the member `error`, too."""
    document = orjson.loads(problem)
    return orjson.dumps({**document, "error": document["detail"]})
