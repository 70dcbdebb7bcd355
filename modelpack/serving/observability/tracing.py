"""OpenTelemetry spans and W3C trace context."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Iterator, Mapping

log = logging.getLogger("modelpack.serving")

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
EXPORTER = "OTEL_TRACES_EXPORTER"
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SUPPORTED_PROTOCOL = "http/protobuf"
INSTALL_COMMAND = "modelpack package --requirement opentelemetry-exporter-otlp-proto-http"
FLUSH_SECONDS = 3.0  # less than engines wait for a service that they stop


class Tracing:
    """The tracer of this worker, or None."""

    provider: Any = None
    tracer: Any = None


def start() -> None:
    """Start tracing if the environment requires it, or log why it cannot be started.

    Each worker calls this after the fork, which the thread that sends spans would not survive.
    """
    if not is_configured(os.environ):
        return
    reason = unsupported_protocol(os.environ)
    if reason:
        log.warning(reason)
        return
    try:
        Tracing.provider = _provider(os.environ)
        Tracing.tracer = Tracing.provider.get_tracer("modelpack.serving")
    except ImportError:
        log.warning(
            "OpenTelemetry is not in this image. Package the model again: %s", INSTALL_COMMAND
        )
    except Exception:
        log.exception("OpenTelemetry does not start; the service goes on without")


def stop() -> None:
    """Send the remaining spans within FLUSH_SECONDS."""
    if Tracing.provider is not None:
        sending = threading.Thread(target=Tracing.provider.shutdown, daemon=True)
        sending.start()
        sending.join(FLUSH_SECONDS)


def is_configured(environ: Mapping[str, str]) -> bool:
    """Return whether the variables of OpenTelemetry's specification enable traces."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get(EXPORTER) == "none":
        return False
    return any(environ.get(name) for name in (*ENDPOINTS, EXPORTER))


def unsupported_protocol(environ: Mapping[str, str]) -> str | None:
    """Return why the service does not support the exporter or protocol, or None."""
    exporter = environ.get(EXPORTER) or "otlp"
    if exporter != "otlp":
        return f"{EXPORTER} is {exporter!r}; traces are sent by otlp alone, and so not at all"
    chosen = next((environ[name] for name in PROTOCOLS if environ.get(name)), SUPPORTED_PROTOCOL)
    if chosen != SUPPORTED_PROTOCOL:
        return f"the protocol of OTLP is {chosen!r}; traces are sent by {SUPPORTED_PROTOCOL} alone"
    return None


def begin(
    context: TraceContext, method: str, route: str | None, waited: float
) -> tuple[Any, TraceContext]:
    """Start the span of a request, and return it with the context of its ids.

    Without tracing, the span is None and the context unchanged. `waited`: seconds until now.
    """
    if Tracing.tracer is None:
        return None, context
    from opentelemetry.trace import SpanKind  # noqa: PLC0415 - only where it is in the image

    facts = {"http.request.method": method if method != "other" else "_OTHER", "url.scheme": "http"}
    if route is not None:
        facts["http.route"] = route
    span = Tracing.tracer.start_span(
        f"{'HTTP' if method == 'other' else method} {route or ''}".strip(),
        context=_parent(context),
        kind=SpanKind.SERVER,
        attributes=facts,
        start_time=time.time_ns() - int(waited * 1e9),
    )
    ids = span.get_span_context()
    return span, replace(
        context,
        trace_id=f"{ids.trace_id:032x}",
        span_id=f"{ids.span_id:016x}",
        is_sampled=bool(ids.trace_flags.sampled),
    )


def end(span: Any, status: int, rows: int | None) -> None:
    if span is None:
        return
    span.set_attribute("http.response.status_code", status)
    if rows is not None:
        span.set_attribute("modelpack.rows", rows)
    if status >= 500:
        from opentelemetry.trace import StatusCode  # noqa: PLC0415 - as in `begin`

        span.set_attribute("error.type", str(status))
        span.set_status(StatusCode.ERROR)
    span.end()


@contextmanager
def model_span(parent: Any, method: str, rows: int) -> Iterator[None]:
    """Trace a call of the model within the span of the request, if there is one."""
    if parent is None:
        yield
        return
    from opentelemetry import trace  # noqa: PLC0415 - as in `begin`

    with Tracing.tracer.start_as_current_span(
        f"model {method}",
        context=trace.set_span_in_context(parent),
        attributes={"modelpack.method": method, "modelpack.rows": rows},
        record_exception=False,  # its text may contain text of the client
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except Exception:
            span.set_status(trace.StatusCode.ERROR)
            raise


def _parent(context: TraceContext) -> Any:
    """Return OpenTelemetry's context with the span of the caller, empty if it sent no span."""
    from opentelemetry import trace  # noqa: PLC0415 - as in `begin`
    from opentelemetry.context import Context  # noqa: PLC0415
    from opentelemetry.trace.span import TraceState  # noqa: PLC0415

    if context.parent_id is None:
        return Context()
    caller = trace.SpanContext(
        int(context.trace_id, 16),
        int(context.parent_id, 16),
        is_remote=True,
        trace_flags=trace.TraceFlags(int(context.is_sampled)),
        trace_state=TraceState.from_header([context.state]),
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(caller), Context())


def _provider(environ: Mapping[str, str]) -> Any:
    """Create the provider. OpenTelemetry reads its other settings from OTEL_* variables."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    name = environ.get("OTEL_SERVICE_NAME") or environ.get("MODELPACK_MODEL_NAME") or "modelpack"
    resource = Resource.create({"service.name": name, "process.pid": os.getpid()})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
SAMPLED = 1  # the flag that version 00 knows


@dataclass(frozen=True)
class TraceContext:
    """The trace of a request.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits, of this request.
        parent_id: 16 hexadecimal digits of the caller's span, None if the trace begins here.
        is_sampled: The caller records the trace.
        state: The header `tracestate`, for exported spans.
    """

    trace_id: str
    span_id: str
    parent_id: str | None = None
    is_sampled: bool = False
    state: str = ""

    @property
    def header(self) -> str:
        """The value of `traceparent` or `traceresponse` with the span of this request."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.is_sampled):02x}"


def context_from_headers(traceparent: str | None, tracestate: str | None = None) -> TraceContext:
    """Return a new span in the trace of the headers, or in a new trace if these are not valid.

    Several headers `traceparent` are joined by commas, which is not valid.
    """
    match = TRACEPARENT.fullmatch((traceparent or "").strip(" \t"))
    if match and _is_valid(*match.groups()):
        is_sampled = bool(int(match[4], 16) & SAMPLED)
        return TraceContext(match[2], _random(8), match[3], is_sampled, tracestate or "")
    return TraceContext(_random(16), _random(8))


def _is_valid(version: str, trace: str, parent: str, _flags: str, more: str | None) -> bool:
    """Check the version, the ids and further members. See W3C Trace Context, section 3.2.2."""
    return (
        version != "ff"
        and bool(trace.strip("0") and parent.strip("0"))
        and (version != "00" or more is None)
    )


def _random(count: int) -> str:
    # From the system, as the generators of forked workers would repeat each other.
    return os.urandom(count).hex()
