"""W3C Trace Context (https://www.w3.org/TR/trace-context/): which trace a request belongs to."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
SAMPLED = 1  # the flag that version 00 knows


@dataclass(frozen=True)
class TraceContext:
    """`trace_id`: 32 hexadecimal digits; `span_id`: 16, of this request; `parent_id`: 16, of the
    caller's span, None where the trace begins here. `state`: what the systems before wrote in
    `tracestate`, for who exports spans.
    """

    trace_id: str
    span_id: str
    parent_id: str | None = None
    is_sampled: bool = False
    state: str = ""

    @property
    def header(self) -> str:
        """The value of `traceparent` or `traceresponse` that names this request's span."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.is_sampled):02x}"


def of_request(traceparent: str | None, tracestate: str | None = None) -> TraceContext:
    """A span of its own for a request: in the trace of its headers, else in a new one. Several
    headers `traceparent` come as one with commas, and are none.
    """
    found = TRACEPARENT.fullmatch((traceparent or "").strip(" \t"))
    if found and _is_valid(*found.groups()):
        is_sampled = bool(int(found[4], 16) & SAMPLED)
        return TraceContext(found[2], _random(8), found[3], is_sampled, tracestate or "")
    return TraceContext(_random(16), _random(8))


def _is_valid(version: str, trace: str, parent: str, _flags: str, more: str | None) -> bool:
    """Section 3.2.2: no version ff, no id of zeros; only versions to come may add members."""
    return (
        version != "ff"
        and bool(trace.strip("0") and parent.strip("0"))
        and (version != "00" or more is None)
    )


def _random(count: int) -> str:
    # Of the system: the generators of forked workers would repeat each other.
    return os.urandom(count).hex()
