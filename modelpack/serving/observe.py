"""What operators see of each request: its ids, its line in the log, its part in the metrics, its
span in a trace.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from contextlib import contextmanager
from typing import Any, Iterator

from flask import Flask, Response, g, has_app_context, request

from . import metrics, tracecontext, tracing

access = logging.getLogger("modelpack.access")

HEALTH = frozenset(
    {"/healthz", "/readyz", "/ping", "/health", "/v2/health/live", "/v2/health/ready"}
)
"""Asked every few seconds, by whoever runs the service."""

PROBES = HEALTH | {"/metrics"}
"""The lines of those that succeed would hide all others."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NONE, OTHER = "none", "other"  # labels of what matches no route, and of what is not known
REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
REASONS = 50  # labels of what is refused; more would be a mistake of ours
WAITED = "modelpack.waited"  # in a request's environ: seconds that it stood in a queue
KINDS = {
    400: "malformed",
    401: "token",
    404: "not_found",
    405: "method",
    406: "accept",
    408: "slow_client",
    413: "too_large",
    415: "media_type",
    422: "misfit",
    429: "overload",
    431: "headers",
    500: "failure",
    503: "unavailable",
    504: "deadline",
}
"""Status -> the label of `modelpack_errors_total`."""
_reasons: set[str] = set()


def install(app: Flask) -> None:
    """Let every request of `app` be seen. Before all else that looks at requests."""
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_leave)


def refused(status: int, reason: str, seconds: float) -> str:
    """The request id of a request that never came to a route, once it is counted and logged.
    `reason`: in words of ours, of a few; nothing that the client wrote. `seconds`: since it began.
    """
    metrics.REFUSED.labels(_reason(reason), str(status)).inc()
    metrics.ERRORS.labels(KINDS.get(status, OTHER)).inc()
    metrics.REQUESTS.labels(NONE, OTHER, str(status)).inc()
    request_id = uuid.uuid4().hex
    facts = {
        "id": request_id,
        "method": None,
        "route": None,
        "status": status,
        "ms": _milliseconds(seconds),
        "reason": reason,
    }
    access.info("request", extra={"facts": facts})
    return request_id


def waiting(requests: int) -> None:
    """Tell how many requests wait for the model in this worker."""
    metrics.QUEUE.set(requests)


@contextmanager
def call(method: str, rows: int) -> Iterator[None]:
    """Around a call of the model's `method` for so many rows."""
    metrics.BATCH_ROWS.observe(rows)
    if has_app_context():
        g.rows = rows
    started = time.perf_counter()
    with tracing.model_span(_span(), method, rows):
        try:
            yield
        finally:
            metrics.MODEL_SECONDS.labels(method).observe(time.perf_counter() - started)


def _span() -> Any:
    return g.get("span") if has_app_context() else None


def _begin() -> None:
    environ = request.environ  # headers are looked up in it, as request.headers is slow for none
    g.started = time.perf_counter() - environ.get(WAITED, 0.0)
    given = environ.get("HTTP_X_REQUEST_ID", "")
    g.request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    metrics.IN_FLIGHT.inc()
    g.rows = None
    context = tracecontext.of_request(environ.get("HTTP_TRACEPARENT"))
    g.span, g.trace = tracing.begin(context, _method(), _route())


def _end(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    response.headers["traceresponse"] = g.trace.header
    seconds, status, route = time.perf_counter() - g.started, response.status_code, _route()
    _count(route or NONE, status, seconds)
    tracing.end(g.span, status, g.rows)
    quiet = route in PROBES and status < 400
    access.log(
        logging.DEBUG if quiet else logging.INFO,
        "request",
        extra={"facts": _facts(response, route, seconds)},
    )
    return response


def _count(route: str, status: int, seconds: float) -> None:
    metrics.REQUESTS.labels(route, _method(), str(status)).inc()
    metrics.REQUEST_SECONDS.labels(route).observe(seconds)
    if g.rows and status < 400:
        metrics.ROWS_ASKED.labels(route).inc(g.rows)
    if status >= 400:
        metrics.ERRORS.labels(KINDS.get(status, OTHER)).inc()


def _facts(response: Response, route: str | None, seconds: float) -> dict[str, Any]:
    return {
        "id": g.request_id,
        "trace_id": g.trace.trace_id,
        "span_id": g.trace.span_id,
        "parent_id": g.trace.parent_id,
        "method": _method(),
        "route": route,
        "status": response.status_code,
        "ms": _milliseconds(seconds),
        "rows": g.rows,
        "bytes": response.content_length,
    }


def _leave(_error: BaseException | None) -> None:
    if g.pop("started", None) is not None:
        metrics.IN_FLIGHT.dec()


def _route() -> str | None:
    """The rule that the request matches, as in `/v1/models/<name>`: never what the client wrote."""
    return request.url_rule.rule if request.url_rule else None


def _method() -> str:
    return request.method if request.method in METHODS else OTHER


def _reason(words: str) -> str:
    """A label of the first sentence, without its numbers: `there_are_too_many_connections`."""
    label = "_".join(re.findall("[a-z]+", words.partition(".")[0].lower()))
    if label not in _reasons and len(_reasons) >= REASONS:
        return OTHER
    _reasons.add(label)
    return label


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
