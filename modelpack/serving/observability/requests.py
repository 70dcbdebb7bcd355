"""What is recorded of each request."""

from __future__ import annotations

import logging
import os
import re
import time
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Iterator, NamedTuple, Sequence

from flask import Flask, Response, g, has_app_context, request

from . import logs, metrics, tracing

access = logging.getLogger("modelpack.access")

HEALTH = frozenset(
    {"/healthz", "/readyz", "/ping", "/health", "/v2/health/live", "/v2/health/ready"}
)
"""Asked every few seconds, by whoever runs the service."""

PROBES = HEALTH | {"/metrics"}
"""The lines of those that succeed would hide all others."""

REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
WAITED = "modelpack.waited"  # in a request's environ: seconds that it stood in a queue


class TraceHeaders(NamedTuple):
    """The headers of a request that tell what it is part of, as they came."""

    request_id: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None


class Call(NamedTuple):
    """Of the model's `method` for so many rows, which took so many seconds."""

    method: str
    rows: int
    seconds: float


class RequestRecord:
    """A request while it is answered. `route`: the rule that it matches, as in
    `/v1/models/<name>`, never what the client wrote; `rows`: of its last call of the model.
    `waited`: seconds until now. `ignored`: how many inputs came that the model does not have.
    """

    ignored = 0

    def __init__(self, method: str, route: str | None, waited: float, given: TraceHeaders) -> None:
        self.started = time.perf_counter() - waited
        self.method = metrics.method_label(method)
        self.route = route
        self.rows: int | None = None
        asked = given.request_id or ""
        self.id = asked if REQUEST_ID.fullmatch(asked) else _new_id()
        context = tracing.context_from_headers(given.traceparent, given.tracestate)
        self.span, self.trace = tracing.begin(context, self.method, route, waited)


def install(app: Flask) -> None:
    """Let every request of `app` be seen. Before all else that looks at requests."""
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_leave)


def _new_id() -> str:
    return os.urandom(16).hex()


def record_rejection(status: int, reason: str, seconds: float, given: str | None = None) -> str:
    """The request id of a request that never came to a route, once it is counted and logged.
    `reason`: in words of ours, of a few; nothing that the client wrote. `seconds`: since it began.
    `given`: the id that the client has sent, if it is one.
    """
    metrics.REFUSED.labels(metrics.reason_label(reason), str(status)).inc()
    metrics.ERRORS.labels(metrics.error_kind(status)).inc()
    metrics.REQUESTS.labels(metrics.NONE, metrics.OTHER, str(status)).inc()
    request_id = given or _new_id()
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


def record_ignored_inputs(inputs: int) -> None:
    """Tell that the request at hand has so many inputs that the model does not have."""
    seen = g.get("seen")
    if seen is not None:
        seen.ignored = inputs


def set_queue_length(requests: int) -> None:
    """Tell how many requests wait for the model in this worker."""
    metrics.QUEUE.set(requests)


@contextmanager
def measure_call(method: str, rows: int) -> Iterator[None]:
    """Around a call of the model's `method` for so many rows."""
    seen = g.get("seen") if has_app_context() else None
    if seen is not None:
        seen.rows = rows
    started = time.perf_counter()
    with tracing.model_span(seen and seen.span, method, rows):
        try:
            yield
        finally:
            record_calls([Call(method, rows, time.perf_counter() - started)])


def record_calls(calls: Sequence[Call]) -> None:
    """Count calls of the model."""
    for method, rows, seconds in calls:
        metrics.BATCH_ROWS.observe(rows)
        _child(metrics.MODEL_SECONDS, method).observe(seconds)


def _begin() -> None:
    rule, environ = request.url_rule, request.environ
    # Headers are looked up in the environ: `request.headers` is slow to say that there is none.
    names = ("HTTP_X_REQUEST_ID", "HTTP_TRACEPARENT", "HTTP_TRACESTATE")
    given = TraceHeaders(*map(environ.get, names))
    g.seen = RequestRecord(
        request.method, rule.rule if rule else None, environ.get(WAITED, 0.0), given
    )
    g.request_id = g.seen.id
    metrics.IN_FLIGHT.inc()


def _end(response: Response) -> Response:
    seen: RequestRecord = g.seen
    for name, value in id_headers(seen):
        response.headers.add(name, value)
    record_response(seen, response.status_code, response.content_length)
    return response


def id_headers(seen: RequestRecord) -> tuple[tuple[str, str], ...]:
    """The headers by which a client can name its request."""
    return ("X-Request-Id", seen.id), ("traceresponse", seen.trace.header)


def record_response(seen: RequestRecord, status: int, size: int | None) -> None:
    """Count, trace and log a request that is answered; `size`: bytes of its body."""
    seconds = time.perf_counter() - seen.started
    _count(seen, status, seconds)
    tracing.end(seen.span, status, seen.rows)
    quiet = seen.route in PROBES and status < 400
    level = logging.DEBUG if quiet else logging.INFO
    if access.isEnabledFor(level):
        access.log(level, "request", extra={"facts": _facts(seen, status, size, seconds)})


def record_responses(answered: Sequence[tuple[RequestRecord, int]]) -> None:
    """The same for several requests that were answered together, all with status 200: each with
    the bytes of its body.
    """
    facts = []
    for seen, size in answered:
        seconds = time.perf_counter() - seen.started
        _child(metrics.REQUEST_SECONDS, seen.route).observe(seconds)
        facts.append(_facts(seen, 200, size, seconds))
        if seen.ignored:
            _child(metrics.IGNORED, seen.route).inc(seen.ignored)
    for route, method in dict.fromkeys((seen.route, seen.method) for seen, _ in answered):
        rows = [seen.rows or 0 for seen, _ in answered if seen.route == route]
        _child(metrics.REQUESTS, route, method, "200").inc(len(rows))
        _child(metrics.ROWS_ASKED, route).inc(sum(rows))
    logs.log_all(access, "request", facts)


def _count(seen: RequestRecord, status: int, seconds: float) -> None:
    route = seen.route or metrics.NONE
    _child(metrics.REQUESTS, route, seen.method, str(status)).inc()
    _child(metrics.REQUEST_SECONDS, route).observe(seconds)
    if seen.rows and status < 400:
        _child(metrics.ROWS_ASKED, route).inc(seen.rows)
    if seen.ignored:
        _child(metrics.IGNORED, route).inc(seen.ignored)
    if status >= 400:
        metrics.ERRORS.labels(metrics.error_kind(status)).inc()


@lru_cache(maxsize=1024)  # the library's own look-up takes longer than to count
def _child(metric: Any, *values: str) -> Any:
    """Of a metric with labels, the one that has these values."""
    return metric.labels(*values)


def _facts(seen: RequestRecord, status: int, size: int | None, seconds: float) -> dict[str, Any]:
    facts = {
        "id": seen.id,
        "trace_id": seen.trace.trace_id,
        "span_id": seen.trace.span_id,
        "parent_id": seen.trace.parent_id,
        "method": seen.method,
        "route": seen.route,
        "status": status,
        "ms": round(seconds * 1000, 3),
        "rows": seen.rows,
        "bytes": size,
    }
    return {**facts, "ignored_inputs": seen.ignored} if seen.ignored else facts


def _leave(_error: BaseException | None) -> None:
    if g.pop("seen", None) is not None:
        metrics.IN_FLIGHT.dec()
