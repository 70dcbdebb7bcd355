"""Metrics, logs and traces of each request."""

from __future__ import annotations

import logging
import os
import re
import time
from contextlib import contextmanager
from typing import Any, Iterator, Mapping, NamedTuple, Sequence

from flask import Flask, Response, g, has_app_context, request

from .. import platforms
from . import logs, metrics, tracing

access = logging.getLogger("modelpack.access")

HEALTH = frozenset(
    {"/healthz", "/readyz", "/ping", "/health", "/v2/health/live", "/v2/health/ready"}
)
"""Routes that the platform requests every few seconds."""

PROBES = HEALTH | {"/metrics"}
"""Routes whose successful requests are logged only at level DEBUG."""

REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
CUSTOM_ATTRIBUTES = "HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES"
"""The only header of a client that SageMaker forwards, in the WSGI environ."""
WAITED = "modelpack.waited"  # seconds in the queue, in the WSGI environ


def is_probe(route: str | None, environ: Mapping[str, str]) -> bool:
    """Return whether the platform requests a route every few seconds."""
    return route in PROBES or (route is not None and route == environ.get(platforms.HEALTH_ROUTE))


class TraceHeaders(NamedTuple):
    """The headers of a request that identify it and its trace."""

    request_id: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None


class Call(NamedTuple):
    method: str
    rows: int
    seconds: float


class RequestRecord:
    """A request while it is handled.

    Attributes:
        started: The time at which the request was complete.
        route: The URL rule that matches, such as `/v1/models/<name>`, not the client's path.
        rows: The rows of the last call of the model.
        ignored: The number of extra inputs.
        span: The span of OpenTelemetry, or None.
    """

    ignored = 0

    def __init__(
        self, method: str, route: str | None, waited: float, headers: TraceHeaders
    ) -> None:
        self.started = time.perf_counter() - waited
        self.method = metrics.method_label(method)
        self.route = route
        self.rows: int | None = None
        client_id = headers.request_id or ""
        self.id = client_id if REQUEST_ID.fullmatch(client_id) else _new_id()
        context = tracing.context_from_headers(headers.traceparent, headers.tracestate)
        self.span, self.trace = tracing.begin(context, self.method, route, waited)


def install(app: Flask) -> None:
    """Record every request of `app`. Call this before other hooks are added."""
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_leave)


def _new_id() -> str:
    return os.urandom(16).hex()


def record_rejection(status: int, reason: str, seconds: float, client_id: str | None = None) -> str:
    """Count and log a request that was rejected before any route, and return its id.

    Args:
        status: The status of the response.
        reason: A fixed text, without text of the client.
        seconds: Since the beginning of the request.
        client_id: The valid id that the client sent, if any.
    """
    metrics.REFUSED.labels(metrics.reason_label(reason), str(status)).inc()
    metrics.ERRORS.labels(metrics.error_kind(status)).inc()
    metrics.REQUESTS.labels(metrics.NONE, metrics.OTHER, str(status)).inc()
    request_id = client_id or _new_id()
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
    """Record the number of extra inputs of the current request."""
    record = g.get("record")
    if record is not None:
        record.ignored = inputs


def set_queue_length(requests: int) -> None:
    """Set the number of requests that wait for the model in this worker."""
    metrics.QUEUE.set(requests)


@contextmanager
def measure_call(method: str, rows: int) -> Iterator[None]:
    """Measure the call of the model within the context."""
    record = g.get("record") if has_app_context() else None
    if record is not None:
        record.rows = rows
    started = time.perf_counter()
    with tracing.model_span(record and record.span, method, rows):
        try:
            yield
        finally:
            record_calls([Call(method, rows, time.perf_counter() - started)])


def record_calls(calls: Sequence[Call]) -> None:
    """Count calls of the model."""
    for method, rows, seconds in calls:
        metrics.BATCH_ROWS.observe(rows)
        metrics.child(metrics.MODEL_SECONDS, method).observe(seconds)


def _begin() -> None:
    rule, environ = request.url_rule, request.environ
    # Headers are read from the environ, as `request.headers` is slow for missing ones.
    names = ("HTTP_X_REQUEST_ID", "HTTP_TRACEPARENT", "HTTP_TRACESTATE")
    request_id, *trace = map(environ.get, names)
    headers = TraceHeaders(request_id or environ.get(CUSTOM_ATTRIBUTES), *trace)
    g.record = RequestRecord(
        request.method, rule.rule if rule else None, environ.get(WAITED, 0.0), headers
    )
    g.request_id = g.record.id
    metrics.IN_FLIGHT.inc()


def _end(response: Response) -> Response:
    record: RequestRecord = g.record
    for name, value in id_headers(record):
        response.headers.add(name, value)
    record_response(record, response.status_code, response.content_length)
    return response


def id_headers(record: RequestRecord) -> tuple[tuple[str, str], ...]:
    """Return the headers with the ids of a request."""
    return ("X-Request-Id", record.id), ("traceresponse", record.trace.header)


def record_response(record: RequestRecord, status: int, size: int | None) -> None:
    """Count, trace and log a request. `size`: bytes of the body of the response."""
    seconds = time.perf_counter() - record.started
    _count(record, status, seconds)
    tracing.end(record.span, status, record.rows)
    quiet = status < 400 and is_probe(record.route, os.environ)
    level = logging.DEBUG if quiet else logging.INFO
    if access.isEnabledFor(level):
        access.log(level, "request", extra={"facts": _facts(record, status, size, seconds)})


def record_responses(answered: Sequence[tuple[RequestRecord, int]]) -> None:
    """Count and log requests that were answered with status 200, and the bytes of their bodies."""
    facts = []
    for record, size in answered:
        seconds = time.perf_counter() - record.started
        metrics.child(metrics.REQUEST_SECONDS, record.route).observe(seconds)
        facts.append(_facts(record, 200, size, seconds))
        if record.ignored:
            metrics.child(metrics.IGNORED, record.route).inc(record.ignored)
    for route, method in dict.fromkeys((record.route, record.method) for record, _ in answered):
        rows = [record.rows or 0 for record, _ in answered if record.route == route]
        metrics.child(metrics.REQUESTS, route, method, "200").inc(len(rows))
        metrics.child(metrics.ROWS_ASKED, route).inc(sum(rows))
    logs.log_all(access, "request", facts)


def _count(record: RequestRecord, status: int, seconds: float) -> None:
    route = record.route or metrics.NONE
    metrics.child(metrics.REQUESTS, route, record.method, str(status)).inc()
    metrics.child(metrics.REQUEST_SECONDS, route).observe(seconds)
    if record.rows and status < 400:
        metrics.child(metrics.ROWS_ASKED, route).inc(record.rows)
    if record.ignored:
        metrics.child(metrics.IGNORED, route).inc(record.ignored)
    if status >= 400:
        metrics.ERRORS.labels(metrics.error_kind(status)).inc()


def _facts(record: RequestRecord, status: int, size: int | None, seconds: float) -> dict[str, Any]:
    facts = {
        "id": record.id,
        "trace_id": record.trace.trace_id,
        "span_id": record.trace.span_id,
        "parent_id": record.trace.parent_id,
        "method": record.method,
        "route": record.route,
        "status": status,
        "ms": round(seconds * 1000, 3),
        "rows": record.rows,
        "bytes": size,
    }
    return {**facts, "ignored_inputs": record.ignored} if record.ignored else facts


def _leave(_error: BaseException | None) -> None:
    if g.pop("record", None) is not None:
        metrics.IN_FLIGHT.dec()
