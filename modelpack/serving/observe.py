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

from . import labels, metrics, tracecontext, tracing

access = logging.getLogger("modelpack.access")

HEALTH = frozenset(
    {"/healthz", "/readyz", "/ping", "/health", "/v2/health/live", "/v2/health/ready"}
)
"""Asked every few seconds, by whoever runs the service."""

PROBES = HEALTH | {"/metrics"}
"""The lines of those that succeed would hide all others."""

REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
WAITED = "modelpack.waited"  # in a request's environ: seconds that it stood in a queue


class Seen:
    """A request while it is answered. `route`: the rule that it matches, as in
    `/v1/models/<name>`, never what the client wrote; `rows`: of its last call of the model.
    """

    def __init__(self, environ: dict[str, Any], method: str, route: str | None) -> None:
        waited = environ.get(WAITED, 0.0)
        self.started = time.perf_counter() - waited
        self.method = labels.method(method)
        self.route = route
        self.rows: int | None = None
        given = environ.get("HTTP_X_REQUEST_ID", "")
        self.id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        context = tracecontext.of_request(
            environ.get("HTTP_TRACEPARENT"), environ.get("HTTP_TRACESTATE")
        )
        self.span, self.trace = tracing.begin(context, self.method, route, waited)


def install(app: Flask) -> None:
    """Let every request of `app` be seen. Before all else that looks at requests."""
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_leave)


def refused(status: int, reason: str, seconds: float) -> str:
    """The request id of a request that never came to a route, once it is counted and logged.
    `reason`: in words of ours, of a few; nothing that the client wrote. `seconds`: since it began.
    """
    metrics.REFUSED.labels(labels.reason(reason), str(status)).inc()
    metrics.ERRORS.labels(labels.kind(status)).inc()
    metrics.REQUESTS.labels(labels.NONE, labels.OTHER, str(status)).inc()
    request_id = uuid.uuid4().hex
    facts = {
        "id": request_id,
        "method": None,
        "route": None,
        "status": status,
        "ms": round(seconds * 1000, 3),
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
    seen = g.get("seen") if has_app_context() else None
    if seen is not None:
        seen.rows = rows
    started = time.perf_counter()
    with tracing.model_span(seen and seen.span, method, rows):
        try:
            yield
        finally:
            metrics.MODEL_SECONDS.labels(method).observe(time.perf_counter() - started)


def _begin() -> None:
    rule = request.url_rule
    # Headers are looked up in the environ: `request.headers` is slow to say that there is none.
    g.seen = Seen(request.environ, request.method, rule.rule if rule else None)
    g.request_id = g.seen.id
    metrics.IN_FLIGHT.inc()


def _end(response: Response) -> Response:
    seen: Seen = g.seen
    seconds, status = time.perf_counter() - seen.started, response.status_code
    response.headers.add("X-Request-Id", seen.id)
    response.headers.add("traceresponse", seen.trace.header)
    _count(seen, status, seconds)
    tracing.end(seen.span, status, seen.rows)
    quiet = seen.route in PROBES and status < 400
    level = logging.DEBUG if quiet else logging.INFO
    if access.isEnabledFor(level):
        access.log(level, "request", extra={"facts": _facts(seen, response, seconds)})
    return response


def _count(seen: Seen, status: int, seconds: float) -> None:
    route = seen.route or labels.NONE
    metrics.REQUESTS.labels(route, seen.method, str(status)).inc()
    metrics.REQUEST_SECONDS.labels(route).observe(seconds)
    if seen.rows and status < 400:
        metrics.ROWS_ASKED.labels(route).inc(seen.rows)
    if status >= 400:
        metrics.ERRORS.labels(labels.kind(status)).inc()


def _facts(seen: Seen, response: Response, seconds: float) -> dict[str, Any]:
    return {
        "id": seen.id,
        "trace_id": seen.trace.trace_id,
        "span_id": seen.trace.span_id,
        "parent_id": seen.trace.parent_id,
        "method": seen.method,
        "route": seen.route,
        "status": response.status_code,
        "ms": round(seconds * 1000, 3),
        "rows": seen.rows,
        "bytes": response.content_length,
    }


def _leave(_error: BaseException | None) -> None:
    if g.pop("seen", None) is not None:
        metrics.IN_FLIGHT.dec()
